//! Discovery: which objects have landed that no commit accounts for.
//!
//! An input's identity is its key and its ETag, never a time: a late object with a smaller key is found, and an
//! overwritten one is a new input unless it holds again what it held before, which its task finds out. Invariant: nothing listed is passed over but what is known or a marker.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures::TryStreamExt;
use lake::{
    Error,
    ids::{ContentId, SchemaId, StreamName},
    keys::{Key, Prefix},
    ledger::{Commit, FromCommitFile, Outcome, PlannedObject, StoredFormat},
    store::{Lake, Listed},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::after_commit::DoneWith;

/// The most new objects that one listing keeps in memory; the rest is found by the next listing.
const FOUND_MAX: usize = 100_000;

/// How many earlier contents of an object a plan names: the newest ones. An object that has held more than these, and
/// holds one of the older again under a new ETag, is read again.
const EARLIER_MAX: usize = 64;

/// The inputs that commits account for, as hashes: a stream may have millions.
#[derive(Debug, Default)]
pub struct KnownInputs {
    /// Of key and ETag.
    versions: HashSet<u128>,
    /// By key, what the newest version that was read held.
    newest: HashMap<u128, ContentId>,
    /// By key, what the versions before held, the oldest first; few objects are ever overwritten.
    before: HashMap<u128, Vec<ContentId>>,
}

/// What a commit says of its inputs, in as little memory as is needed to know them again.
#[derive(Debug)]
pub struct CommittedInputs {
    inputs: Vec<CommittedInput>,
    /// The schema that its records were held to.
    pub schema_id: SchemaId,
}

/// One version that a commit accounts for, as hashes.
#[derive(Debug)]
struct CommittedInput {
    version: u128,
    key: u128,
    content: Option<ContentId>,
}

impl FromCommitFile for CommittedInputs {
    fn from_commit_file(key: &Key, bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct File<'a> {
            version: u32,
            schema_id: SchemaId,
            #[serde(borrow)]
            inputs: Vec<Input<'a>>,
        }
        #[derive(Deserialize)]
        struct Input<'a> {
            #[serde(borrow)]
            key: Cow<'a, str>,
            #[serde(borrow)]
            etag: Cow<'a, str>,
            outcome: Outcome,
            content: Option<ContentId>,
        }
        match serde_json::from_slice::<File<'_>>(bytes) {
            Ok(file) if file.version == Commit::VERSION => {
                let read = file.inputs.iter().filter(|input| input.outcome.is_final());
                let inputs = read.map(|input| CommittedInput::of(&input.key, &input.etag, input.content)).collect();
                Ok(Self { inputs, schema_id: file.schema_id })
            }
            // The slow way says exactly what is wrong.
            _ => Commit::from_commit_file(key, bytes).map(|commit| Self::of(&commit)),
        }
    }
}

impl CommittedInputs {
    /// What this commit says of its inputs.
    pub fn of(commit: &Commit) -> Self {
        let read = commit.inputs.iter().filter(|input| input.outcome.is_final());
        let inputs = read.map(|input| CommittedInput::of(&input.key.to_string(), &input.etag, input.content)).collect();
        Self { inputs, schema_id: commit.schema_id.clone() }
    }
}

impl CommittedInput {
    fn of(key: &str, etag: &str, content: Option<ContentId>) -> Self {
        Self { version: input_id(key, etag), key: short_hash(&[key]), content }
    }
}

impl KnownInputs {
    /// Accounts for what a commit has read.
    pub fn add(&mut self, inputs: &CommittedInputs) {
        for input in &inputs.inputs {
            self.versions.insert(input.version);
            let Some(content) = input.content else { continue };
            if let Some(before) = self.newest.insert(input.key, content)
                && before != content
            {
                self.before.entry(input.key).or_default().push(before);
            }
        }
    }

    /// Whether a commit has read this version of this object.
    pub fn contains(&self, key: &str, etag: &str) -> bool {
        self.versions.contains(&input_id(key, etag))
    }

    /// What versions of this object held that a commit has read, the newest last.
    fn earlier(&self, key: &str) -> Vec<ContentId> {
        let key = short_hash(&[key]);
        let Some(newest) = self.newest.get(&key) else { return Vec::new() };
        let before = self.before.get(&key).map_or(&[][..], Vec::as_slice);
        let skipped = (before.len() + 1).saturating_sub(EARLIER_MAX);
        before.iter().skip(skipped).chain([newest]).copied().collect()
    }

    /// How many inputs are known.
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }
}

/// A version of an object in 128 bits of its SHA-256: no two inputs share one, by chance or by design.
fn input_id(key: &str, etag: &str) -> u128 {
    short_hash(&[key, "\0", etag])
}

fn short_hash(parts: &[&str]) -> u128 {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let digest = hash.finalize();
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(first)
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
    /// Versions that a commit has accounted for and that are still there, where they were asked for.
    pub done_with: Vec<DoneWith>,
    /// Whether the listing came to its end; if not, there is more to be found.
    pub complete: bool,
    /// How many objects were listed.
    listed: u64,
    /// The largest key that was listed.
    last: Option<String>,
}

/// What to do with known objects that a listing shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownOnes {
    /// Pass over them.
    PassOver,
    /// Tell them, so that they can be removed.
    Tell,
}

/// When to list all of a prefix, and when only what sorts after the keys already seen.
///
/// Names that sort by time are found by the short listing, at one request a look. All others wait for a full listing,
/// which is made as often as it costs no more than about a request a second, and at least every `reconcile`: at once
/// on a prefix of a thousand objects, every minute on one of sixty thousand. No clock but the process's own is asked.
#[derive(Debug)]
pub struct Discovery {
    reconcile: Duration,
    known_ones: KnownOnes,
    cursor: Option<Key>,
    full_due: Instant,
}

/// What a full listing may cost: a page of a thousand keys for each second since the last one.
const PAGE_KEYS: u64 = 1_000;

impl Discovery {
    /// Begins with a full listing.
    pub fn new(reconcile: Duration, known_ones: KnownOnes) -> Self {
        Self { reconcile, known_ones, cursor: None, full_due: Instant::now() }
    }

    /// Looks for objects that are not known.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails; the next look is the same again.
    pub async fn look(&mut self, lake: &Lake, stream: &StreamName, known: &KnownInputs) -> Result<Discovered, Error> {
        let began = Instant::now();
        let full = self.cursor.is_none() || began >= self.full_due;
        let after = if full { None } else { self.cursor.as_ref() };
        let discovered = discover(lake, stream, known, after, self.known_ones).await?;
        if !discovered.complete {
            // The rest of it is still to be found.
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

/// Lists a stream's raw objects, all or those whose keys sort after `after`, and keeps those that are not known.
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
    let mut listing = lake.list(&Prefix::Raw(stream), after);
    let mut discovered = Discovered { complete: true, ..Discovered::default() };
    let mut seen = HashSet::new();
    while let Some(listed) = listing.try_next().await? {
        discovered.listed += 1;
        if discovered.last.as_ref().is_none_or(|last| *last < listed.key) {
            discovered.last = Some(listed.key.clone());
        }
        if is_marker(&listed) {
            discovered.ignored += 1;
            continue;
        }
        if known.contains(&listed.key, &listed.etag) {
            if known_ones == KnownOnes::Tell && discovered.done_with.len() < FOUND_MAX {
                discovered.done_with.push(DoneWith { key: raw_key(&listed.key)?, etag: listed.etag });
            }
            continue;
        }
        // A listing may show one object twice.
        if !seen.insert(input_id(&listed.key, &listed.etag)) {
            continue;
        }
        let key = raw_key(&listed.key)?;
        discovered.oldest = Some(discovered.oldest.map_or(listed.last_modified, |old| old.min(listed.last_modified)));
        let earlier = known.earlier(&listed.key);
        discovered.objects.push(PlannedObject { key, etag: listed.etag, size: listed.size, earlier });
        if discovered.objects.len() >= FOUND_MAX {
            discovered.complete = false;
            break;
        }
    }
    discovered.objects.sort_by_cached_key(|object| object.key.to_string());
    Ok(discovered)
}

fn raw_key(text: &str) -> Result<Key, Error> {
    Key::parse(text).map_err(|error| Error::Bug(error.to_string()))
}

/// Whether what was listed is no input: it can't be read, or says something about others, as an empty "folder" does and
/// what Spark, Hadoop and Databricks leave.
fn is_marker(listed: &Listed) -> bool {
    let name = listed.key.rsplit('/').next().unwrap_or_default();
    let is_folder = name.is_empty() && listed.size == 0;
    !listed.is_object
        || is_folder
        || name == "_SUCCESS"
        || name.starts_with("_started_")
        || name.starts_with("_committed_")
}
