//! Discovery: which objects have landed that no commit accounts for.
//!
//! An input is identified by its key and its ETag, never by a time: a late object with a smaller key is found, and an
//! overwritten one is a new input. Its task finds out whether it contains the same as before. Invariant: a listing
//! skips only known inputs and what is not one; it counts the latter.

mod deferred;
mod known;
mod pending;

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use lake::{
    Error,
    ids::StreamName,
    keys::{Key, Prefix},
    ledger::PlannedObject,
    store::{Lake, Listed},
    stream::InputNames,
};
use tokio::time::Instant;

pub(crate) use deferred::DeferredObjects;
use known::input_id;
pub use known::{CommittedInputs, KnownInputs};
pub use pending::Pending;

/// The most new objects that one listing keeps in memory; the next listing finds the rest.
const FOUND_MAX: usize = 100_000;

/// One version of an object that a commit accounts for and that still exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownVersion {
    /// The object.
    pub key: Key,
    /// The version.
    pub etag: String,
}

/// What a listing found.
#[derive(Debug, Default)]
pub struct Discovered {
    /// New objects, by key.
    pub objects: Vec<PlannedObject>,
    /// When each of them last changed, by the store's clock.
    pub changed: Vec<DateTime<Utc>>,
    /// New objects that the store refused to let be read, by key.
    pub deferred: Vec<PlannedObject>,
    /// What is not an input: empty folders, what can't be read, and what is passed over.
    pub ignored: u64,
    /// Those of them that are passed over because of their names.
    pub passed_over: u64,
    /// One of these names.
    pub passed_over_example: Option<String>,
    /// Versions that a commit accounts for and that still exist, if asked for.
    pub done_with: Vec<KnownVersion>,
    /// Whether the listing reached its end; if not, there is more to find.
    pub complete: bool,
    /// Whether it listed everything, or only what sorts after the keys of an earlier listing.
    pub full: bool,
    /// How many objects were listed.
    listed: u64,
    /// The largest key that was listed.
    last: Option<String>,
}

/// What to do with known objects in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownOnes {
    /// Skip them.
    PassOver,
    /// Report them, so that they can be removed.
    Report,
}

/// When to list all of a prefix, and when only what sorts after the keys already seen.
///
/// The short listing finds names that sort by time, at one request a look. All others wait for a full listing. That
/// runs at least every `reconcile`, and otherwise as often as it costs no more than about one request a second: at once
/// on a prefix of a thousand objects, every minute on one of sixty thousand. Only the process's own clock is used.
#[derive(Debug)]
pub struct Discovery {
    reconcile: Duration,
    known_ones: KnownOnes,
    inputs: InputNames,
    cursor: Option<Key>,
    full_due: Instant,
}

/// What a full listing may cost: a page of a thousand keys for each second since the last one.
const PAGE_KEYS: u64 = 1_000;

impl Discovery {
    /// Starts with a full listing. Names are inputs as without settings.
    pub fn new(reconcile: Duration, known_ones: KnownOnes) -> Self {
        let inputs = InputNames::default();
        Self { reconcile, known_ones, inputs, cursor: None, full_due: Instant::now() }
    }

    /// The same, with a stream's own names of inputs.
    pub fn of_inputs(self, inputs: InputNames) -> Self {
        Self { inputs, ..self }
    }

    /// Looks for objects that are not known.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails; the next look does the same again.
    pub async fn look(&mut self, lake: &Lake, stream: &StreamName, known: &KnownInputs) -> Result<Discovered, Error> {
        let began = Instant::now();
        let full = self.cursor.is_none() || began >= self.full_due;
        let after = if full { None } else { self.cursor.as_ref() };
        let discovered = discover_named(lake, stream, known, after, self.known_ones, &self.inputs).await?;
        if !discovered.complete {
            // The rest is still to be found.
            self.cursor = None;
        } else if full {
            let pages = discovered.listed.div_ceil(PAGE_KEYS).saturating_sub(1);
            self.full_due = began + Duration::from_secs(pages).min(self.reconcile);
            self.cursor = discovered.last.as_deref().map(raw_key).transpose()?;
        } else if let Some(last) = &discovered.last {
            self.cursor = Some(raw_key(last)?);
        }
        Ok(discovered)
    }
}

/// Lists a stream's raw objects, all or those whose keys sort after `after`, and keeps those that are not known. Names
/// are inputs as without settings.
///
/// # Errors
/// [`Error::Store`] when the store fails.
pub async fn discover(
    lake: &Lake,
    stream: &StreamName,
    known: &KnownInputs,
    after: Option<&Key>,
    known_ones: KnownOnes,
) -> Result<Discovered, Error> {
    discover_named(lake, stream, known, after, known_ones, &InputNames::default()).await
}

async fn discover_named(
    lake: &Lake,
    stream: &StreamName,
    known: &KnownInputs,
    after: Option<&Key>,
    known_ones: KnownOnes,
    inputs: &InputNames,
) -> Result<Discovered, Error> {
    let mut listing = lake.list(&Prefix::Raw(stream), after);
    let mut discovered = Discovered { complete: true, full: after.is_none(), ..Discovered::default() };
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    while let Some(listed) = listing.try_next().await? {
        discovered.listed += 1;
        if discovered.last.as_ref().is_none_or(|last| *last < listed.key) {
            discovered.last = Some(listed.key.clone());
        }
        if !listed.is_object || is_folder(&listed) {
            discovered.ignored += 1;
            continue;
        }
        let version = input_id(&listed.key, &listed.etag);
        if known.has(version) {
            let may_be_removed = known_ones == KnownOnes::Report && !known.is_unreadable(version);
            if may_be_removed && discovered.done_with.len() < FOUND_MAX {
                discovered.done_with.push(KnownVersion { key: raw_key(&listed.key)?, etag: listed.etag });
            }
            continue;
        }
        let key = raw_key(&listed.key)?;
        if let Key::Raw { rest, .. } = &key
            && !inputs.has(rest)
        {
            discovered.ignored += 1;
            discovered.passed_over += 1;
            discovered.passed_over_example.get_or_insert(listed.key);
            continue;
        }
        // A listing may show one object twice.
        if !seen.insert(version) {
            continue;
        }
        let earlier = known.earlier(&listed.key);
        let object = PlannedObject { key, etag: listed.etag, size: listed.size, earlier, last_try: false };
        match known.is_deferred(version) {
            true => discovered.deferred.push(object),
            false => found.push((object, listed.last_modified)),
        }
        if found.len() + discovered.deferred.len() >= FOUND_MAX {
            discovered.complete = false;
            break;
        }
    }
    found.sort_by_cached_key(|(object, _)| object.key.to_string());
    (discovered.objects, discovered.changed) = found.into_iter().unzip();
    Ok(discovered)
}

fn raw_key(text: &str) -> Result<Key, Error> {
    Key::parse(text).map_err(|error| Error::Bug(error.to_string()))
}

/// Whether a listed object only shows that there is an empty "folder".
fn is_folder(listed: &Listed) -> bool {
    listed.size == 0 && listed.key.ends_with('/')
}
