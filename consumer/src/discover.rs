//! Discovery: which objects have landed that no commit accounts for.
//!
//! An input's identity is its key and its ETag, never a time: a late object with a smaller key is found, and an
//! overwritten one is a new input. Invariant: nothing listed is passed over but what is known or a marker.

use std::collections::HashSet;

use futures::TryStreamExt;
use lake::{
    Error,
    ids::StreamName,
    keys::{Key, Prefix},
    ledger::{Commit, Outcome, PlannedObject},
    store::{Lake, Listed},
};

/// The most new objects that one listing keeps in memory; the rest is found by the next listing.
const FOUND_MAX: usize = 100_000;

/// The inputs that commits account for, as hashes of key and ETag.
#[derive(Debug, Default)]
pub struct KnownInputs(HashSet<u128>);

impl KnownInputs {
    /// Accounts for what a commit has read. What was missing or changed was never read, and stays unknown.
    pub fn add(&mut self, commit: &Commit) {
        let read =
            commit.inputs.iter().filter(|input| matches!(input.outcome, Outcome::Ingested | Outcome::DeadLettered));
        self.0.extend(read.map(|input| input_id(&input.key.to_string(), &input.etag)));
    }

    /// Whether a commit has read this version of this object.
    pub fn contains(&self, key: &str, etag: &str) -> bool {
        self.0.contains(&input_id(key, etag))
    }

    /// How many inputs are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A version of an object in 128 bits of its SHA-256: two inputs never share one by chance.
fn input_id(key: &str, etag: &str) -> u128 {
    let hex = lake::ids::sha256_hex(format!("{key}\0{etag}").as_bytes());
    u128::from_str_radix(&hex[..32], 16).unwrap_or_default()
}

/// What a listing found.
#[derive(Debug, Default)]
pub struct Discovered {
    /// New objects, by key.
    pub objects: Vec<PlannedObject>,
    /// Markers and empty folders: seen, and no input.
    pub ignored: u64,
    /// When the oldest of the new objects last changed, by the store's clock.
    pub oldest: Option<chrono::DateTime<chrono::Utc>>,
}

/// Lists a stream's raw objects and keeps those that are not known.
///
/// # Errors
/// [`Error::Store`] when the store fails.
pub async fn discover(lake: &Lake, stream: &StreamName, known: &KnownInputs) -> Result<Discovered, Error> {
    let mut listing = lake.list(&Prefix::Raw(stream), None);
    let mut discovered = Discovered::default();
    let mut seen = HashSet::new();
    while let Some(listed) = listing.try_next().await? {
        if is_marker(&listed) {
            discovered.ignored += 1;
            continue;
        }
        // A listing may show one object twice.
        if known.contains(&listed.key, &listed.etag) || !seen.insert(input_id(&listed.key, &listed.etag)) {
            continue;
        }
        let key = Key::parse(&listed.key).map_err(|error| Error::Bug(error.to_string()))?;
        discovered.oldest = Some(discovered.oldest.map_or(listed.last_modified, |old| old.min(listed.last_modified)));
        discovered.objects.push(PlannedObject { key, etag: listed.etag, size: listed.size });
        if discovered.objects.len() >= FOUND_MAX {
            break;
        }
    }
    discovered.objects.sort_by_cached_key(|object| object.key.to_string());
    Ok(discovered)
}

/// Whether an object only says something about others: an empty "folder", or what Spark, Hadoop and Databricks leave.
fn is_marker(listed: &Listed) -> bool {
    let name = listed.key.rsplit('/').next().unwrap_or_default();
    let is_folder = name.is_empty() && listed.size == 0;
    is_folder || name == "_SUCCESS" || name.starts_with("_started_") || name.starts_with("_committed_")
}
