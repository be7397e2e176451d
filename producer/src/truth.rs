//! The truth about what was sent: the expected result of each object and of each record in it.
//!
//! A truth file is NDJSON, one [`ObjectTruth`] per line, each written with one call and never changed. An object has
//! two lines: `sending`, with its records, is written before the object is sent; `stored`, without them, after the
//! store has it. So a crash never loses truth. An object with only the first line may or may not be in the store; its
//! key is unique, so looking there is enough to find out. [`Truth::read`] joins the lines.
//!
//! Stored, and read by scripts: add fields, never rename one.

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

/// The expected result of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectTruth {
    /// Whether the store is known to have it.
    pub state: State,
    /// Its position in the run, from 1.
    pub batch: u64,
    /// Its key.
    pub key: Key,
    /// Its version, if the store reported one; never in a `sending` line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its size as stored, compressed or not.
    pub bytes: u64,
    /// The SHA-256 of these bytes in lower-case hex.
    pub sha256: String,
    /// Whether its records can be read.
    pub outcome: Outcome,
    /// How it was damaged, if it was. A damaged NDJSON or CSV object is still ingested, with dead letters among its
    /// records, unless it is empty or can't be decompressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corruption: Option<Corruption>,
    /// The number of records in it: one if it can't be read, zero for CSV with only a header.
    pub records_read: u64,
    /// How many of them become rows.
    pub rows: u64,
    /// How many of them become dead letters.
    pub dead_letters: u64,
    /// The dead letter for the whole object, if it can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetterTruth>,
    /// Its records in order; empty in a `stored` line and if it can't be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordTruth>,
}

/// The expected result of one record, with its position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordTruth {
    /// Its position in the object, from 0.
    pub index: u64,
    /// Whether it is an exact copy of an earlier record of this run. Copies count as records too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
    /// Its expected result.
    #[serde(flatten)]
    pub fate: RecordFate,
}

/// The expected result of a record: a row or a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordFate {
    /// It is valid.
    Row(RowTruth),
    /// It is not valid, or can't be read.
    DeadLetter(DeadLetterTruth),
}

/// A record that must become a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowTruth {
    /// Its `event_id`.
    pub event_id: Uuid,
    /// Its JSON or CSV row, exactly as sent.
    pub text: String,
}

/// A record, or a whole object, that must become a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterTruth {
    /// The reason it must have.
    pub reason: Reason,
    /// The error codes of which it must have one: several if the damage can be reported in several ways.
    pub codes: Vec<ErrorCode>,
    /// How the record was made invalid, if it was made invalid on its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<InvalidKind>,
    /// The record exactly as sent; `None` for a whole object, and if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A truth file with its lines joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// What the store has, with records and version, in the order sent.
    pub stored: Vec<ObjectTruth>,
    /// What was being sent when the producer ended: the store may or may not have it.
    pub unsure: Vec<ObjectTruth>,
}

impl Truth {
    /// Reads a truth file, also of a producer that still runs or that crashed.
    ///
    /// A crash can leave a last line without its line end. Nothing was sent or known because of that line, so it is
    /// skipped.
    ///
    /// # Errors
    /// [`Error::Truth`] when the file can't be read or contains anything but truth.
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
                // The same run again: it sends the same objects, and what was stored is still stored.
                (State::Sending, Some(_)) => {}
                (State::Stored, Some(&place)) => {
                    sent[place].state = State::Stored;
                    sent[place].etag = line.etag;
                }
                (State::Stored, None) => {
                    let what = format!("{} is recorded as stored but not as sent", line.key);
                    return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, what)));
                }
            }
        }
        let (stored, unsure) = sent.into_iter().partition(|object| object.state == State::Stored);
        Ok(Self { stored, unsure })
    }
}
