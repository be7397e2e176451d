//! The SQL name of each stream.
//!
//! Stream names are case-sensitive, SQL names are not. Pure. Names are chosen over all streams at once, so that a name
//! does not depend on which stream was seen first. Invariant: SQL sees a different name for each stream.

use std::collections::{BTreeMap, BTreeSet};

use lake::ids::StreamName;

/// The SQL name of each stream. Of streams that differ only in case, the one in lower case keeps its name, or else the
/// first one; the others get a number at the end.
pub fn sql_names<'a>(streams: impl IntoIterator<Item = &'a StreamName>) -> BTreeMap<StreamName, String> {
    let mut streams: Vec<&StreamName> = streams.into_iter().collect();
    streams.sort_by_key(|stream| (folded(stream.as_str()) != stream.as_str(), stream.as_str()));
    let mut taken = BTreeSet::new();
    let (own, others): (Vec<_>, Vec<_>) = streams.into_iter().partition(|stream| taken.insert(folded(stream.as_str())));
    let mut names: BTreeMap<StreamName, String> =
        own.into_iter().map(|stream| (stream.clone(), stream.to_string())).collect();
    for stream in others {
        let mut numbered = (2..).map(|number: u64| format!("{stream}_{number}"));
        let name = numbered.find(|name| taken.insert(folded(name))).unwrap_or_default();
        names.insert(stream.clone(), name);
    }
    names
}

/// The form of a name in which SQL compares names.
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}
