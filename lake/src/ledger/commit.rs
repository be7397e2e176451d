//! A commit: what one batch published. Its creation alone makes bronze, dead letters and progress visible.
//!
//! Stored: golden files contain its shape. Invariant, the law of every commit:
//! `records read + dead letters resolved = rows + dead letters + discarded`.

mod balance;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StoredFormat;
use crate::{
    clock::Timestamp,
    dead_letter::{DeadLetterId, Reason},
    ids::{BatchId, ContentId, Fingerprint, SchemaId, StreamName},
    keys::Key,
};

/// `checkpoints/<stream>/commits/<batch>.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The stream.
    pub stream: StreamName,
    /// The batch.
    pub batch: BatchId,
    /// The plan that was executed.
    pub plan_id: Uuid,
    /// Distinguishes this execution from a rival's, so that a lost answer can be recognised.
    pub attempt_id: Uuid,
    /// When the batch was committed; decides nothing.
    pub committed_at: Timestamp,
    /// The schema that validated its records; for a batch that read none, the stream's newest.
    pub schema_id: SchemaId,
    /// The version of the code that wrote its files.
    pub fingerprint: Fingerprint,
    /// The outcome of each object of the plan, in the plan's order.
    pub inputs: Vec<InputOutcome>,
    /// The files that contain its rows and dead letters, added to the stream's tables.
    pub files: Vec<OutputFile>,
    /// Files that this commit removes from the stream's tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<RemovedFile>,
    /// Dead letters that this commit resolves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<ResolvedDeadLetters>,
    /// The sums over all of it.
    pub totals: Totals,
}

/// The outcome of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputOutcome {
    /// Its key.
    pub key: Key,
    /// The version that was read.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it was read, and how.
    pub outcome: Outcome,
    /// The records in it; a corrupt batch counts as one.
    pub records_read: u64,
    /// Those that passed.
    pub rows: u64,
    /// Those that did not.
    pub dead_letters: u64,
    /// What it contained, if it was read completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentId>,
    /// Where a corrupt batch is kept, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<Key>,
}

/// Whether an object was read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its records were read, each into a row or a dead letter.
    Ingested,
    /// It can't be read, and is a dead letter as a whole.
    DeadLettered,
    /// It was gone before it could be read.
    Missing,
    /// It was overwritten before it could be read; the new version is an input of its own.
    Changed,
    /// It contains the same as an earlier version of it: the same bytes were uploaded again, and were not read again.
    Unchanged,
    /// The store refuses to let it be read: its permissions, or an archive class. It stays pending.
    Deferred,
    /// The store has refused that for so long that it is not tried again. It stays where it is.
    Unreadable,
}

impl Outcome {
    /// Whether the commit accounts for this version for good; otherwise it is found and planned again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Ingested | Self::DeadLettered | Self::Unchanged | Self::Unreadable)
    }

    /// Whether the lake has all of this version, so that the raw object is not needed any more.
    pub fn may_be_removed(self) -> bool {
        matches!(self, Self::Ingested | Self::DeadLettered | Self::Unchanged)
    }

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingested => "ingested",
            Self::DeadLettered => "dead_lettered",
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Deferred => "deferred",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One file that the commit makes visible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputFile {
    /// Its key; the zone shows whether it contains rows or dead letters.
    pub key: Key,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// The rows or dead letters in it.
    pub rows: u64,
    /// The earliest event in it, if the stream has an event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time_min: Option<Timestamp>,
    /// The latest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time_max: Option<Timestamp>,
}

/// A file that an earlier commit added and this one removes. Its bytes stay until they are cleaned up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovedFile {
    /// Its key.
    pub key: Key,
    /// Its size in bytes.
    pub size: u64,
    /// The rows or dead letters in it.
    pub rows: u64,
}

/// Dead letters of one file that this commit resolves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolvedDeadLetters {
    /// The file that they are in.
    pub file: Key,
    /// Their number.
    pub dead_letters: u64,
    /// Their ids; absent if they are all that the file contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<DeadLetterId>>,
}

/// Counts of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Records read from objects; a corrupt batch counts as one.
    pub records_read: u64,
    /// Records that became rows.
    pub rows: u64,
    /// Records that became dead letters.
    pub dead_letters: u64,
    /// Dead letters by reason; reasons without any are left out.
    pub dead_letters_by_reason: BTreeMap<Reason, u64>,
    /// Dead letters of earlier batches that were resolved.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resolved: u64,
    /// Those by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resolved_by_reason: BTreeMap<Reason, u64>,
    /// Those that were discarded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub discarded: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Totals {
    /// Adds `other` to these.
    pub fn add(&mut self, other: &Self) {
        self.records_read += other.records_read;
        self.rows += other.rows;
        self.dead_letters += other.dead_letters;
        self.resolved += other.resolved;
        self.discarded += other.discarded;
        let by_reason = |sums: &mut BTreeMap<Reason, u64>, counts: &BTreeMap<Reason, u64>| {
            counts.iter().for_each(|(reason, count)| *sums.entry(*reason).or_default() += count);
        };
        by_reason(&mut self.dead_letters_by_reason, &other.dead_letters_by_reason);
        by_reason(&mut self.resolved_by_reason, &other.resolved_by_reason);
    }

    /// Dead letters that are still open, of all that these totals count.
    pub fn open(&self) -> u64 {
        self.dead_letters.saturating_sub(self.resolved)
    }

    /// Those by reason; reasons without any are left out.
    pub fn open_by_reason(&self) -> BTreeMap<Reason, u64> {
        let resolved = |reason| self.resolved_by_reason.get(reason).copied().unwrap_or(0);
        let open =
            self.dead_letters_by_reason.iter().map(|(reason, count)| (*reason, count.saturating_sub(resolved(reason))));
        open.filter(|(_, count)| *count > 0).collect()
    }
}

impl StoredFormat for Commit {
    const VERSION: u32 = 2;

    /// A commit that only adds has the shape of version 1; an older program must not skip what was removed or resolved,
    /// and does not know the newer outcomes and names of copies.
    fn version(&self) -> u32 {
        let only_adds = self.removed.is_empty() && self.resolved.is_empty() && self.totals.resolved == 0;
        let is_newer = |input: &InputOutcome| {
            matches!(input.copy, Some(Key::ObjectCopy { plan: Some(_), .. }))
                || matches!(input.outcome, Outcome::Deferred | Outcome::Unreadable)
        };
        if only_adds && self.totals.discarded == 0 && !self.inputs.iter().any(is_newer) { 1 } else { 2 }
    }
}
