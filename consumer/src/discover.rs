//! Discovery: which objects have landed that no commit accounts for.
//!
//! An input is identified by its key and its ETag, never by a time: a late object with a smaller key is found, and an
//! overwritten one is a new input. Its task finds out whether it contains the same as before. Invariant: a listing
//! skips only known inputs and what is not one; it counts the latter.

mod begun;
mod deferred;
mod found;
mod known;
mod late;
mod passed_over;
mod pending;

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{
    StreamExt, TryStreamExt,
    stream::{BoxStream, empty},
};
use lake::{
    Error,
    ids::StreamName,
    keys::{Key, Prefix, ZoneName},
    ledger::PlannedObject,
    store::{Lake, Listed},
    stream::InputNames,
};
use tokio::time::Instant;

pub use begun::BegunListing;
pub use deferred::DeferredObject;
pub(crate) use deferred::DeferredObjects;
use found::{Found, Version, raw_key, version};
pub use known::{KnownAs, KnownInputs, Mending};
use late::LateKeys;
pub(crate) use passed_over::PassedOver;
pub use pending::Pending;

/// The most objects that one look keeps in memory, give or take a page; the next look goes on after them.
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
    /// Whether the listing reached its end; if not, the next look goes on with it.
    pub complete: bool,
    /// Whether it began a full listing: all of it if it is complete as well, and otherwise its first part. If not, it
    /// listed only what an earlier one had not.
    pub full: bool,
    /// How many objects were listed.
    listed: u64,
    /// The largest key that was listed.
    last: Option<String>,
}

/// The objects below a prefix, listed page by page.
type Listing = BoxStream<'static, Result<Listed, Error>>;

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
/// A look that finds very many new objects stops before its listing ends, and the next one goes on from there, so that
/// each object is listed once. What lands meanwhile among the keys already listed waits for the next full listing, which
/// begins after `reconcile` even if this one has not ended.
///
/// Where a hint names an object that the listing will not show, the look asks for that object too.
#[derive(Debug)]
pub struct Discovery {
    reconcile: Duration,
    known_ones: KnownOnes,
    inputs: InputNames,
    found_max: usize,
    /// The largest key of all that was listed; `None` until a full listing has ended.
    cursor: Option<Key>,
    full_due: Instant,
    /// A listing that has not ended.
    unfinished: Option<Progress>,
    /// The rest of it, where it can't be listed by what sorts after a key.
    rest: Option<Rest>,
    late: LateKeys,
    begun: Option<BegunListing>,
}

/// How far a listing is.
#[derive(Clone, Debug)]
struct Progress {
    full: bool,
    began: Instant,
    listed: u64,
    /// The largest key that was listed.
    last: Option<String>,
}

/// The rest of a listing, kept open. Never locked: so that what contains it can be shared.
struct Rest(Mutex<Listing>);

/// What a full listing may cost: a page of a thousand keys for each second since the last one.
const PAGE_KEYS: u64 = 1_000;

impl Discovery {
    /// Starts with a full listing. Names are inputs as without settings.
    pub fn new(reconcile: Duration, known_ones: KnownOnes) -> Self {
        Self {
            reconcile,
            known_ones,
            inputs: InputNames::default(),
            found_max: FOUND_MAX,
            cursor: None,
            full_due: Instant::now(),
            unfinished: None,
            rest: None,
            late: LateKeys::default(),
            begun: None,
        }
    }

    /// The same, with a stream's own names of inputs.
    pub fn of_inputs(self, inputs: InputNames) -> Self {
        Self { inputs, ..self }
    }

    /// The same, with another limit to what one look keeps in memory, so that a test needs few objects.
    pub fn in_parts_of(self, found_max: usize) -> Self {
        Self { found_max, ..self }
    }

    /// The same, with a listing that the first look continues unless a hint comes before it.
    pub fn with_listing(self, begun: BegunListing) -> Self {
        Self { begun: Some(begun), ..self }
    }

    /// Says that these objects may have landed; the next look takes care of them. Any keys are accepted.
    pub fn hint(&mut self, keys: impl IntoIterator<Item = Key>) {
        self.late.add(keys);
    }

    /// Looks for objects that are not known.
    ///
    /// Whatever an earlier look found and no commit accounts for may be found again, or not before the next full
    /// listing: the caller keeps it.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails; the next look does the same again.
    pub async fn look(
        &mut self,
        lake: &Lake,
        stream: &StreamName,
        known: &mut KnownInputs,
    ) -> Result<Discovered, Error> {
        let now = Instant::now();
        let continued = self.unfinished.clone().filter(|_| now < self.full_due);
        let rest = self.rest.take().filter(|_| continued.is_some());
        let full = continued.is_none() && (self.cursor.is_none() || now >= self.full_due);
        let mut progress = continued.unwrap_or(Progress { full, began: now, listed: 0, last: None });
        let listed_up_to = progress.last.as_deref().map(raw_key).transpose()?;
        let after = if full { None } else { listed_up_to.as_ref().or(self.cursor.as_ref()) };
        // It may have passed the places of objects that were hinted at since.
        let begun = self.begun.take().filter(|_| full && self.late.is_empty()).map(BegunListing::into_listing);
        let late = match after {
            Some(after) => self.late.look_up(lake, stream, &self.inputs, after),
            None => empty().boxed(),
        };
        let open = rest.map(Rest::into_listing).or(begun);
        let listing = open.unwrap_or_else(|| lake.list(&Prefix::Raw(stream), after));
        let in_order = lake.lists_in_order(ZoneName::Raw);
        if !in_order {
            // If this look fails, the rest is lost.
            self.unfinished = None;
        }
        let found = Found::of(self.known_ones, &self.inputs, self.found_max);
        let (mut discovered, rest) = list_part(listing, late, found, known).await?;
        discovered.full = full;
        self.late.clear();
        progress.add(&discovered);
        self.rest = rest.filter(|_| !in_order).map(Rest::of);
        self.advance(progress, discovered.complete)?;
        Ok(discovered)
    }

    /// Decides what the next look lists.
    fn advance(&mut self, progress: Progress, complete: bool) -> Result<(), Error> {
        let due_in = if complete { self.reconcile.min(progress.seconds_worth()) } else { self.reconcile };
        if progress.full {
            self.full_due = progress.began + due_in;
            // What an unfinished listing has not listed is not before any cursor.
            self.cursor = None;
        }
        if !complete {
            self.unfinished = Some(progress);
            return Ok(());
        }
        self.unfinished = None;
        if let Some(last) = progress.last.filter(|last| is_ahead(last, self.cursor.as_ref())) {
            self.cursor = Some(raw_key(&last)?);
        }
        Ok(())
    }
}

impl Progress {
    fn add(&mut self, part: &Discovered) {
        self.listed += part.listed;
        if part.last > self.last {
            self.last.clone_from(&part.last);
        }
    }

    /// After how long a full listing may cost as much again.
    fn seconds_worth(&self) -> Duration {
        Duration::from_secs(self.listed.div_ceil(PAGE_KEYS).saturating_sub(1))
    }
}

impl Rest {
    fn of(listing: Listing) -> Self {
        Self(Mutex::new(listing))
    }

    fn listing(&mut self) -> &mut Listing {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_listing(self) -> Listing {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rest")
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
    let inputs = InputNames::default();
    let found = Found::of(known_ones, &inputs, FOUND_MAX);
    let listing = lake.list(&Prefix::Raw(stream), after);
    let (discovered, _rest) = list_part(listing, empty().boxed(), found, known).await?;
    Ok(Discovered { full: after.is_none(), ..discovered })
}

/// Takes from a listing until it ends, or until there is enough; returns the rest of it then. Late objects are not part
/// of the listing.
async fn list_part(
    mut listing: Listing,
    late: Listing,
    mut found: Found<'_>,
    known: &mut KnownInputs,
) -> Result<(Discovered, Option<Listing>), Error> {
    found.add_all(late.try_collect().await?, known).await?;
    let page_listed = found.page_listed();
    loop {
        let page: Vec<Listed> = listing.by_ref().take(page_listed).try_collect().await?;
        let is_last = page.len() < page_listed;
        found.count(&page);
        found.add_all(page, known).await?;
        if is_last || found.is_enough() {
            return Ok((found.sorted(is_last), (!is_last).then_some(listing)));
        }
    }
}

/// Whether a key sorts after the cursor.
fn is_ahead(key: &str, cursor: Option<&Key>) -> bool {
    cursor.is_none_or(|cursor| *cursor.to_string() < *key)
}
