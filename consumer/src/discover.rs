//! Discovery: which objects have landed that no commit accounts for.
//!
//! An input is identified by its key and its ETag, never by a time: a late object with a smaller key is found, and an
//! overwritten one is a new input. Its task finds out whether it contains the same as before. Invariant: a listing
//! skips only known inputs and what is not one; it counts the latter.

mod deferred;
mod known;
mod late;
mod pending;

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{
    StreamExt, TryStreamExt,
    stream::{BoxStream, empty},
};
use lake::{
    Error,
    ids::StreamName,
    keys::{Key, Prefix},
    ledger::PlannedObject,
    store::{Lake, Listed},
    stream::InputNames,
};
use tokio::time::Instant;

pub use deferred::DeferredObject;
pub(crate) use deferred::DeferredObjects;
pub use known::{KnownAs, KnownInputs, Mending};
use late::LateKeys;
pub use pending::Pending;

/// The most new objects that one listing keeps in memory, give or take a page; the next listing finds the rest.
const FOUND_MAX: usize = 100_000;

/// How many listed objects are looked up at once: enough that each block of an index answers for several of them.
const PAGE_LISTED: usize = 4_000;

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
    pub deferred: Vec<DeferredObject>,
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
///
/// Where a hint names an object that the short listing does not show, the short look asks for that object too.
#[derive(Debug)]
pub struct Discovery {
    reconcile: Duration,
    known_ones: KnownOnes,
    inputs: InputNames,
    cursor: Option<Key>,
    full_due: Instant,
    late: LateKeys,
}

/// What a full listing may cost: a page of a thousand keys for each second since the last one.
const PAGE_KEYS: u64 = 1_000;

impl Discovery {
    /// Starts with a full listing. Names are inputs as without settings.
    pub fn new(reconcile: Duration, known_ones: KnownOnes) -> Self {
        let inputs = InputNames::default();
        Self { reconcile, known_ones, inputs, cursor: None, full_due: Instant::now(), late: LateKeys::default() }
    }

    /// The same, with a stream's own names of inputs.
    pub fn of_inputs(self, inputs: InputNames) -> Self {
        Self { inputs, ..self }
    }

    /// Says that these objects may have landed; the next look takes care of them. Any keys are accepted.
    pub fn hint(&mut self, keys: impl IntoIterator<Item = Key>) {
        self.late.add(keys);
    }

    /// Looks for objects that are not known.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails; the next look does the same again.
    pub async fn look(
        &mut self,
        lake: &Lake,
        stream: &StreamName,
        known: &mut KnownInputs,
    ) -> Result<Discovered, Error> {
        let began = Instant::now();
        let full = self.cursor.is_none() || began >= self.full_due;
        let after = if full { None } else { self.cursor.as_ref() };
        let late = match after {
            Some(after) => self.late.look_up(lake, stream, &self.inputs, after),
            None => empty().boxed(),
        };
        let discovered = discover_named(lake, stream, known, after, late, self.known_ones, &self.inputs).await?;
        self.late.clear();
        if !discovered.complete {
            // The rest is still to be found.
            self.cursor = None;
        } else if full {
            let pages = discovered.listed.div_ceil(PAGE_KEYS).saturating_sub(1);
            self.full_due = began + Duration::from_secs(pages).min(self.reconcile);
            self.cursor = discovered.last.as_deref().map(raw_key).transpose()?;
        } else if let Some(last) = discovered.last.as_deref().filter(|last| is_ahead(last, self.cursor.as_ref())) {
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
    known: &mut KnownInputs,
    after: Option<&Key>,
    known_ones: KnownOnes,
) -> Result<Discovered, Error> {
    let late = empty().boxed();
    discover_named(lake, stream, known, after, late, known_ones, &InputNames::default()).await
}

async fn discover_named(
    lake: &Lake,
    stream: &StreamName,
    known: &mut KnownInputs,
    after: Option<&Key>,
    late: BoxStream<'static, Result<Listed, Error>>,
    known_ones: KnownOnes,
    inputs: &InputNames,
) -> Result<Discovered, Error> {
    let mut listing = lake.list(&Prefix::Raw(stream), after).chain(late).try_chunks(PAGE_LISTED);
    let mut found = Found { known_ones, inputs, discovered: Discovered::default(), objects: Vec::new() };
    (found.discovered.complete, found.discovered.full) = (true, after.is_none());
    while let Some(page) = listing.try_next().await.map_err(|broken_off| broken_off.1)? {
        let page = found.count(page);
        let known_as = known.look_up(page.iter().map(|listed| (listed.key.as_str(), listed.etag.as_str()))).await?;
        for (listed, known_as) in page.into_iter().zip(known_as) {
            found.add(listed, known_as)?;
        }
        if found.is_full() {
            found.discovered.complete = false;
            break;
        }
    }
    Ok(found.sorted())
}

/// What a listing has found so far.
struct Found<'a> {
    known_ones: KnownOnes,
    inputs: &'a InputNames,
    discovered: Discovered,
    /// New objects, and when they last changed.
    objects: Vec<(PlannedObject, DateTime<Utc>)>,
}

impl Found<'_> {
    /// Counts what was listed; returns the objects.
    fn count(&mut self, page: Vec<Listed>) -> Vec<Listed> {
        let last = page.iter().map(|listed| &listed.key).max();
        if last > self.discovered.last.as_ref() {
            self.discovered.last = last.cloned();
        }
        self.discovered.listed += page.len() as u64;
        let (objects, other): (Vec<_>, Vec<_>) =
            page.into_iter().partition(|listed| listed.is_object && !is_folder(listed));
        self.discovered.ignored += other.len() as u64;
        objects
    }

    /// Takes in an object and what is known of it.
    fn add(&mut self, listed: Listed, known_as: KnownAs) -> Result<(), Error> {
        let key = raw_key(&listed.key)?;
        let (earlier, deferred_since) = match known_as {
            KnownAs::New { earlier, deferred_since } => (earlier, deferred_since),
            KnownAs::Done { unreadable } => {
                let may_be_removed = self.known_ones == KnownOnes::Report && !unreadable;
                if may_be_removed && self.discovered.done_with.len() < FOUND_MAX {
                    self.discovered.done_with.push(KnownVersion { key, etag: listed.etag });
                }
                return Ok(());
            }
        };
        if let Key::Raw { rest, .. } = &key
            && !self.inputs.has(rest)
        {
            self.discovered.ignored += 1;
            self.discovered.passed_over += 1;
            self.discovered.passed_over_example.get_or_insert(listed.key);
            return Ok(());
        }
        let object = PlannedObject { key, etag: listed.etag, size: listed.size, earlier, last_try: false };
        match deferred_since {
            Some(since) => self.discovered.deferred.push(DeferredObject { object, since }),
            None => self.objects.push((object, listed.last_modified)),
        }
        Ok(())
    }

    /// Whether no more is kept in memory.
    fn is_full(&self) -> bool {
        self.objects.len() + self.discovered.deferred.len() >= FOUND_MAX
    }

    /// All of it, each version once: a listing may show one object twice.
    fn sorted(mut self) -> Discovered {
        self.objects.sort_by_cached_key(|(object, _)| version(object));
        self.objects.dedup_by(|(one, _), (other, _)| are_same(one, other));
        self.discovered.deferred.sort_by_cached_key(|deferred| version(&deferred.object));
        self.discovered.deferred.dedup_by(|one, other| are_same(&one.object, &other.object));
        (self.discovered.objects, self.discovered.changed) = self.objects.into_iter().unzip();
        self.discovered
    }
}

/// Whether both are one version of one object.
fn are_same(one: &PlannedObject, other: &PlannedObject) -> bool {
    one.key == other.key && one.etag == other.etag
}

fn version(object: &PlannedObject) -> (String, String) {
    (object.key.to_string(), object.etag.clone())
}

/// Whether a key sorts after the cursor; a late one does not.
fn is_ahead(key: &str, cursor: Option<&Key>) -> bool {
    cursor.is_none_or(|cursor| *cursor.to_string() < *key)
}

fn raw_key(text: &str) -> Result<Key, Error> {
    Key::parse(text).map_err(|error| Error::Bug(error.to_string()))
}

/// Whether a listed object only shows that there is an empty "folder".
fn is_folder(listed: &Listed) -> bool {
    listed.size == 0 && listed.key.ends_with('/')
}
