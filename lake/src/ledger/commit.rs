//! A commit: what one batch published. Bronze, dead letters and progress become visible by its creation alone.
//!
//! Stored: golden files hold its shape. Invariant: `records_read = rows + dead_letters`, for each input and in total.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StoredFormat;
use crate::{
    clock::Timestamp,
    dead_letter::Reason,
    ids::{BatchId, ContentId, Fingerprint, SchemaId, StreamName},
    keys::{Key, ZoneName},
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
    /// Tells this execution from a rival's, so that a lost answer can be recognised.
    pub attempt_id: Uuid,
    /// When the batch was committed; decides nothing.
    pub committed_at: Timestamp,
    /// The schema that its records were held to.
    pub schema_id: SchemaId,
    /// The version of the code that wrote its files.
    pub fingerprint: Fingerprint,
    /// What became of each object of the plan, in the plan's order.
    pub inputs: Vec<InputOutcome>,
    /// The files that hold its rows and dead letters.
    pub files: Vec<OutputFile>,
    /// The sums over all inputs.
    pub totals: Totals,
}

/// What became of one object.
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
    /// What it held, where it was read whole.
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
    /// It holds what an earlier version of it held: the same bytes were uploaded again, and were not read again.
    Unchanged,
}

impl Outcome {
    /// Whether the commit accounts for this version for good; else it is found and planned again.
    pub fn is_final(self) -> bool {
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
        }
    }
}

/// One file that the commit makes visible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputFile {
    /// Its key; the zone tells rows from dead letters.
    pub key: Key,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// The rows or dead letters in it.
    pub rows: u64,
    /// The earliest event in it, where the stream has an event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time_min: Option<Timestamp>,
    /// The latest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time_max: Option<Timestamp>,
}

/// Counts of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Records read; a corrupt batch counts as one.
    pub records_read: u64,
    /// Records that became rows.
    pub rows: u64,
    /// Records that became dead letters.
    pub dead_letters: u64,
    /// Dead letters by reason; reasons without any are left out.
    pub dead_letters_by_reason: BTreeMap<Reason, u64>,
}

impl Totals {
    /// Adds `other` to these.
    pub fn add(&mut self, other: &Self) {
        self.records_read += other.records_read;
        self.rows += other.rows;
        self.dead_letters += other.dead_letters;
        for (reason, count) in &other.dead_letters_by_reason {
            *self.dead_letters_by_reason.entry(*reason).or_default() += count;
        }
    }
}

impl Commit {
    /// Whether nothing was lost or doubled: for each input, over all inputs, over all files and over all reasons.
    ///
    /// # Errors
    /// What does not add up, in words.
    pub fn check_balance(&self) -> Result<(), String> {
        for input in &self.inputs {
            if input.records_read != input.rows + input.dead_letters {
                return Err(format!(
                    "does not balance: {} has {} records, {} rows and {} dead letters",
                    input.key, input.records_read, input.rows, input.dead_letters
                ));
            }
        }
        let sum = |count: fn(&InputOutcome) -> u64| self.inputs.iter().map(count).sum::<u64>();
        let in_files =
            |zone| self.files.iter().filter(|file| file.key.zone() == zone).map(|file| file.rows).sum::<u64>();
        let by_reason = self.totals.dead_letters_by_reason.values().sum::<u64>();
        let sums = [
            ("records", self.totals.records_read, sum(|input| input.records_read)),
            ("rows", self.totals.rows, sum(|input| input.rows)),
            ("dead letters", self.totals.dead_letters, sum(|input| input.dead_letters)),
            ("rows in files", self.totals.rows, in_files(ZoneName::Bronze)),
            ("dead letters in files", self.totals.dead_letters, in_files(ZoneName::DeadLetters)),
            ("dead letters by reason", self.totals.dead_letters, by_reason),
        ];
        match sums.iter().find(|(_, total, sum)| total != sum) {
            Some((what, total, sum)) => Err(format!("does not balance: {total} {what} in total, {sum} when added up")),
            None => Ok(()),
        }
    }
}

impl StoredFormat for Commit {
    const VERSION: u32 = 1;
}
