//! The truth about what was sent: what must become of each object and of each record in it.
//!
//! A truth file is NDJSON, one [`ObjectTruth`] per line, each written with one call and never changed. An object has
//! two lines: `sending`, with its records, stands in the file before the object is sent; `stored`, without them, after
//! the store has it. So a crash at any moment loses no truth: of an object with the first line alone nobody knows
//! whether the store has it, and to look is enough, as its key is its own. [`Truth::read`] puts the lines together.
//!
//! Stored and scripted against: add fields, never rename one.

mod file;
mod tell;

use std::{collections::HashMap, path::Path};

use lake::{
    dead_letter::{ErrorCode, Reason},
    keys::Key,
    ledger::Outcome,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{corrupt::Corruption, error::Error, event::InvalidKind};
pub use file::TruthFile;

/// Whether the store is known to have the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is about to be sent.
    Sending,
    /// The store has it.
    Stored,
}

/// What must become of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectTruth {
    /// Whether the store is known to have it.
    pub state: State,
    /// Its place in the run, from 1.
    pub batch: u64,
    /// Its key.
    pub key: Key,
    /// Its version, where the store told one; never in a `sending` line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its size, compressed if it is.
    pub bytes: u64,
    /// The SHA-256 of these bytes in lower-case hex.
    pub sha256: String,
    /// Whether its records can be read.
    pub outcome: Outcome,
    /// How it was damaged, if it was. A damaged object of NDJSON or CSV is ingested all the same, with dead letters among
    /// its records, unless it is compressed and can't be decompressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corruption: Option<Corruption>,
    /// The records in it: one, when it can't be read, and none in CSV of a row of names alone.
    pub records_read: u64,
    /// Those that become rows.
    pub rows: u64,
    /// Those that become dead letters.
    pub dead_letters: u64,
    /// What it is set aside for as a whole, when it can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetterTruth>,
    /// Its records in order; none in a `stored` line, and none when it can't be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordTruth>,
}

/// What must become of one record: either a row or a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordTruth {
    /// Its place in the object, from 0.
    pub index: u64,
    /// It is an exact copy of an earlier record of this run, and counts all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
    /// Its fate.
    #[serde(flatten)]
    pub fate: RecordFate,
}

/// What must become of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordFate {
    /// It satisfies its schema.
    Row(RowTruth),
    /// It does not, or can't be read.
    DeadLetter(DeadLetterTruth),
}

/// A record that must become a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowTruth {
    /// Its `event_id`.
    pub event_id: Uuid,
    /// Its JSON, or its row of CSV, just as it was sent.
    pub text: String,
}

/// A record, or a whole object, that must become a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterTruth {
    /// The reason it must have.
    pub reason: Reason,
    /// The error codes of which it must have one: more than one where damage can be seen as either.
    pub codes: Vec<ErrorCode>,
    /// How the record was made wrong, when that was done to it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<InvalidKind>,
    /// The record just as it was sent; none for a whole object, and none when it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A truth file, put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// What the store has, with records and version, in the order sent.
    pub stored: Vec<ObjectTruth>,
    /// What was being sent when the producer ended: the store may have it or not.
    pub unsure: Vec<ObjectTruth>,
}

impl Truth {
    /// Reads a truth file, of a producer that still runs or that crashed, too.
    ///
    /// A last line without its end is what a crash leaves behind; nothing had been sent or known on its account, so
    /// it is passed over.
    ///
    /// # Errors
    /// [`Error::Truth`] when the file can't be read or holds anything else than a truth.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Truth { doing: "read", path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let whole_lines = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut sent: Vec<ObjectTruth> = Vec::new();
        let mut places: HashMap<Key, usize> = HashMap::new();
        for line in whole_lines.lines() {
            let line: ObjectTruth = serde_json::from_str(line).map_err(|error| failed(error.into()))?;
            match (line.state, places.get(&line.key)) {
                (State::Sending, None) => {
                    places.insert(line.key.clone(), sent.len());
                    sent.push(line);
                }
                // The same run again: it sends the same objects, and what was stored before still is.
                (State::Sending, Some(_)) => {}
                (State::Stored, Some(&place)) => {
                    sent[place].state = State::Stored;
                    sent[place].etag = line.etag;
                }
                (State::Stored, None) => {
                    let what = format!("{} is stored and was never sent", line.key);
                    return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, what)));
                }
            }
        }
        let (stored, unsure) = sent.into_iter().partition(|object| object.state == State::Stored);
        Ok(Self { stored, unsure })
    }
}
