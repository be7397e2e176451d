//! Which name SQL knows each stream by.
//!
//! Streams are told apart by case, SQL's names are not. Pure, and decided over all streams at once, so that a name does
//! not depend on which stream was seen first. Invariant: no two streams have one name, as SQL compares them.

use std::collections::{BTreeMap, BTreeSet};

use lake::ids::StreamName;

/// The name of each stream. Of streams that differ only in case, the one in lower case keeps its own, else the first
/// of them; the others get a number behind it.
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

/// A name with the differences gone that SQL does not see.
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}
