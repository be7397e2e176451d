//! One batch: its bytes, and the expected result of each record in it.
//!
//! A plain function of the recipe, the batch's number and its time. Knows no clock, store or file.
//! Invariant: a batch's slots are in the order of its text, and each slot's fate follows from the text it covers.

use std::{collections::VecDeque, ops::Range};

use bytes::Bytes;
use lake::{clock::Timestamp, dead_letter::ErrorCode, ids::StreamName, keys::Key, stream::Format};
use uuid::Uuid;

use crate::{
    compression::Compression,
    corrupt::{self, Corruption},
    csv,
    dice::Dice,
    event::{self, EventWriter, InvalidKind},
};

/// Everything but the time that decides the contents of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// The stream that the objects land in.
    pub stream: StreamName,
    /// The format of an object.
    pub format: Format,
    /// The compression of an object.
    pub compression: Compression,
    /// Records per batch, at least 1.
    pub batch_size: usize,
    /// The chance that a batch is corrupt, from 0 to 1.
    pub corrupt_batches: f64,
    /// The chance that a record is invalid, from 0 to 1.
    pub invalid_records: f64,
    /// The chance that a record is an exact copy of an earlier one, from 0 to 1.
    pub duplicates: f64,
    /// The seed of all randomness.
    pub seed: u64,
}

/// One batch object, ready to be sent.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its position in the run, from 1.
    pub number: u64,
    /// The key to store it under.
    pub key: Key,
    /// The bytes to store.
    pub bytes: Bytes,
    /// How it was damaged, if it was.
    pub corruption: Option<Corruption>,
    /// Its bytes before compression; the records' spans refer to them.
    pub(crate) text: Bytes,
    pub(crate) content: Content,
}

/// The content of an object.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Records, each with its own fate.
    Records(Vec<Slot>),
    /// Unreadable: the object is one dead letter, with one of these codes.
    Unreadable(&'static [ErrorCode]),
}

/// One record of an object.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) span: Range<usize>,
    pub(crate) event_id: Uuid,
    pub(crate) fate: Fate,
    pub(crate) is_copy: bool,
}

/// The expected result of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Row,
    Invalid(InvalidKind),
    Unreadable(&'static [ErrorCode]),
}

/// The latest records of a run, to send some of them again.
#[derive(Debug, Default)]
pub struct Earlier(VecDeque<(Box<[u8]>, Uuid, Fate)>);

impl Earlier {
    /// Bounds memory, and keeps copies near their originals, as a retrying sender would.
    const RECORDS_MAX: usize = 1_000;

    fn remember(&mut self, text: &[u8], event_id: Uuid, fate: Fate) {
        if self.0.len() == Self::RECORDS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((text.into(), event_id, fate));
    }

    fn pick(&self, dice: &mut Dice) -> Option<&(Box<[u8]>, Uuid, Fate)> {
        if self.0.is_empty() { None } else { self.0.get(dice.below(self.0.len())) }
    }
}

impl Recipe {
    /// Makes batch `number` of the run, with events from the minute before `at`.
    ///
    /// The same arguments give the same batch on every machine; if compressed, the same text. With duplicates,
    /// `earlier` counts as an argument: it has the records that may be copied, and this batch adds its own to it.
    pub fn batch(&self, number: u64, at: Timestamp, earlier: &mut Earlier) -> Batch {
        let mut dice = Dice::new(self.seed, number);
        let id = time_ordered_id(number, at, &mut dice);
        let rest = format!("{id}.{}{}", self.extension(), self.compression.extension());
        let mut corruption = dice.happens(self.corrupt_batches).then(|| dice.pick(&Corruption::ALL));
        // The records of a corrupt batch were not sent intact, so nothing could be an exact copy of them.
        let remembers = self.duplicates > 0.0 && corruption.is_none();
        let (mut text, slots) = self.records(at, &mut dice, earlier, remembers);
        let mut content = Content::Records(slots);
        let on_the_way =
            corruption.filter(|kind| self.compression != Compression::None && kind.happens_to_stored_bytes());
        if on_the_way.is_none() {
            corruption = corruption.map(|kind| corrupt::damage(kind, self.format, &mut text, &mut content, &mut dice));
        }
        let text = Bytes::from(text);
        let mut bytes = self.compression.compress(&text);
        if let Some(kind) = on_the_way {
            (bytes, content) = corrupt::damage_compressed(kind, self.compression, &bytes, text.len(), &mut dice);
        }
        let key = Key::Raw { stream: self.stream.clone(), rest };
        Batch { number, key, bytes, corruption, text, content }
    }

    fn records(&self, at: Timestamp, dice: &mut Dice, earlier: &mut Earlier, remembers: bool) -> (Vec<u8>, Vec<Slot>) {
        /// Enough for most events, so that the buffer rarely grows.
        const EVENT_BYTES: usize = 384;
        let writer = EventWriter::new(self.format, at);
        let kinds = event::faults(self.format);
        let mut bytes = Vec::with_capacity(self.batch_size * EVENT_BYTES + 2);
        let mut slots = Vec::with_capacity(self.batch_size);
        let is_array = self.format == Format::JsonArray;
        match self.format {
            Format::JsonArray => bytes.push(b'['),
            Format::Ndjson => {}
            Format::Csv => csv::write_names(&mut bytes, &event::FIELDS),
        }
        for index in 0..self.batch_size {
            if is_array && index > 0 {
                bytes.extend_from_slice(b",\n");
            }
            let start = bytes.len();
            let copied = if dice.happens(self.duplicates) { earlier.pick(dice) } else { None };
            let is_copy = copied.is_some();
            let (event_id, fate) = if let Some((text, event_id, fate)) = copied {
                bytes.extend_from_slice(text);
                (*event_id, *fate)
            } else {
                let invalid = dice.happens(self.invalid_records).then(|| dice.pick(kinds));
                let event_id = writer.write(&mut bytes, invalid.map(|(_, faults)| faults), dice);
                (event_id, invalid.map_or(Fate::Row, |(kind, _)| Fate::Invalid(kind)))
            };
            if remembers && !is_copy {
                earlier.remember(&bytes[start..], event_id, fate);
            }
            slots.push(Slot { span: start..bytes.len(), event_id, fate, is_copy });
            if !is_array {
                bytes.push(b'\n');
            }
        }
        if is_array {
            bytes.push(b']');
        }
        (bytes, slots)
    }

    fn extension(&self) -> &'static str {
        match self.format {
            Format::JsonArray => "json",
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
        }
    }
}

impl Batch {
    /// How many records a consumer must count: one for an object that can't be read.
    pub fn records_read(&self) -> u64 {
        match &self.content {
            Content::Records(slots) => slots.len() as u64,
            Content::Unreadable(_) => 1,
        }
    }

    /// How many of them are invalid on their own; zero for an object that can't be read.
    pub fn invalid_records(&self) -> u64 {
        match &self.content {
            Content::Records(slots) => slots.iter().filter(|slot| matches!(slot.fate, Fate::Invalid(_))).count() as u64,
            Content::Unreadable(_) => 0,
        }
    }
}

/// A version 7 UUID that sorts by time, and within a millisecond by the batch's number: RFC 9562, 6.2, method 1.
fn time_ordered_id(number: u64, at: Timestamp, dice: &mut Dice) -> Uuid {
    let millis = at.micros().div_euclid(1000) as u128 & ((1 << 48) - 1);
    let counter = u128::from(number) & ((1 << 42) - 1);
    let (counter_high, counter_low) = (counter >> 30, counter & ((1 << 30) - 1));
    let low = counter_low << 32 | u128::from(dice.bits());
    Uuid::from_u128(millis << 80 | 7 << 76 | counter_high << 64 | 0b10 << 62 | low)
}
