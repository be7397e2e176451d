//! What commits account for: every version of every object that was read.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use lake::{
    Error,
    clock::Timestamp,
    ids::{ContentId, SchemaId},
    keys::Key,
    ledger::{Commit, FromCommitFile, InputOutcome, Outcome, StoredFormat},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// How many earlier contents of an object a plan names: the newest ones. An object that had more than these, and has
/// one of the older ones again under a new ETag, is read again.
const EARLIER_MAX: usize = 64;

/// The inputs that commits account for, as hashes: a stream may have millions.
#[derive(Debug, Default)]
pub struct KnownInputs {
    /// Of key and ETag.
    versions: HashSet<u128>,
    /// By key, what the newest version read contained.
    newest: HashMap<u128, ContentId>,
    /// By key, what the earlier versions contained, the oldest first; few objects are ever overwritten.
    before: HashMap<u128, Vec<ContentId>>,
    /// Versions that the store refused to let be read, and since when.
    deferred: HashMap<u128, Timestamp>,
    /// Versions that were given up for that.
    unreadable: HashSet<u128>,
}

/// A commit's inputs, in as little memory as is needed to recognise them.
#[derive(Debug)]
pub struct CommittedInputs {
    inputs: Vec<CommittedInput>,
    committed_at: Timestamp,
    /// The schema that validated its records.
    pub schema_id: SchemaId,
}

/// One version that a commit accounts for, as hashes.
#[derive(Debug)]
struct CommittedInput {
    version: u128,
    key: u128,
    outcome: Outcome,
    content: Option<ContentId>,
}

impl FromCommitFile for CommittedInputs {
    fn from_commit_file(key: &Key, bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct File<'a> {
            version: u32,
            schema_id: SchemaId,
            committed_at: Timestamp,
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
            Ok(file) if file.version <= Commit::VERSION => {
                let found =
                    |input: &Input<'_>| CommittedInput::of(&input.key, &input.etag, input.outcome, input.content);
                let inputs = file.inputs.iter().filter_map(found).collect();
                Ok(Self { inputs, committed_at: file.committed_at, schema_id: file.schema_id })
            }
            // The slow way reports exactly what is wrong.
            _ => Commit::from_commit_file(key, bytes).map(|commit| Self::of(&commit)),
        }
    }
}

impl CommittedInputs {
    /// The inputs of this commit.
    pub fn of(commit: &Commit) -> Self {
        let found = |input: &InputOutcome| {
            CommittedInput::of(&input.key.to_string(), &input.etag, input.outcome, input.content)
        };
        let inputs = commit.inputs.iter().filter_map(found).collect();
        Self { inputs, committed_at: commit.committed_at, schema_id: commit.schema_id.clone() }
    }
}

impl CommittedInput {
    /// `None` for a version that was gone.
    fn of(key: &str, etag: &str, outcome: Outcome, content: Option<ContentId>) -> Option<Self> {
        let counts = outcome.is_final() || outcome == Outcome::Deferred;
        counts.then(|| Self { version: input_id(key, etag), key: short_hash(&[key]), outcome, content })
    }
}

impl KnownInputs {
    /// Adds what a commit has read.
    pub fn add(&mut self, inputs: &CommittedInputs) {
        for input in &inputs.inputs {
            if input.outcome == Outcome::Deferred {
                self.deferred.entry(input.version).or_insert(inputs.committed_at);
                continue;
            }
            self.deferred.remove(&input.version);
            if input.outcome == Outcome::Unreadable {
                self.unreadable.insert(input.version);
            }
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
        self.has(input_id(key, etag))
    }

    /// The same for a version whose id is known.
    pub(super) fn has(&self, version: u128) -> bool {
        self.versions.contains(&version)
    }

    /// Whether a version waits because the store refuses to let it be read.
    pub(super) fn is_deferred(&self, version: u128) -> bool {
        self.deferred.contains_key(&version)
    }

    /// Since when a version waits because the store refuses to let it be read.
    pub fn deferred_since(&self, key: &str, etag: &str) -> Option<Timestamp> {
        self.deferred.get(&input_id(key, etag)).copied()
    }

    /// Whether a version was given up since the store never let it be read.
    pub(super) fn is_unreadable(&self, version: u128) -> bool {
        self.unreadable.contains(&version)
    }

    /// What the versions of this object that a commit has read contained, the newest last.
    pub(super) fn earlier(&self, key: &str) -> Vec<ContentId> {
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

    /// Whether no input is known.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }
}

/// A version of an object in 128 bits of its SHA-256: no two inputs share one, by accident or on purpose.
pub(super) fn input_id(key: &str, etag: &str) -> u128 {
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
