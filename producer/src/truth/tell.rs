//! Builds the truth about a batch.
//!
//! Knows batches and their expected results. Knows nothing about files.

use lake::{
    dead_letter::{ErrorCode, Reason},
    ids::sha256_hex,
    ledger::Outcome,
};

use super::{DeadLetterTruth, ObjectTruth, RecordFate, RecordTruth, RowTruth, State};
use crate::batch::{Batch, Content, Fate, Slot};

impl Batch {
    /// The expected result of this batch, as written to a truth file before the batch is sent.
    pub fn truth(&self) -> ObjectTruth {
        let records = match &self.content {
            Content::Records(slots) => slots.iter().enumerate().map(|(index, slot)| self.record(index, slot)).collect(),
            Content::Unreadable(_) => Vec::new(),
        };
        let (outcome, dead_letter) = match &self.content {
            Content::Records(_) => (Outcome::Ingested, None),
            Content::Unreadable(codes) => {
                (Outcome::DeadLettered, Some(unreadable(Reason::CorruptedBatch, codes, None)))
            }
        };
        let rows = records.iter().filter(|record| matches!(record.fate, RecordFate::Row(_))).count() as u64;
        ObjectTruth {
            state: State::Sending,
            batch: self.number,
            key: self.key.clone(),
            etag: None,
            bytes: self.bytes.len() as u64,
            sha256: sha256_hex(&self.bytes),
            outcome,
            corruption: self.corruption,
            records_read: self.records_read(),
            rows,
            dead_letters: self.records_read() - rows,
            dead_letter,
            records,
        }
    }

    fn record(&self, index: usize, slot: &Slot) -> RecordTruth {
        let text = std::str::from_utf8(&self.text[slot.span.clone()]).ok().map(str::to_owned);
        let fate = match slot.fate {
            Fate::Row => RecordFate::Row(RowTruth { event_id: slot.event_id, text: text.unwrap_or_default() }),
            Fate::Invalid(kind) => {
                let (reason, code) = kind.expected();
                RecordFate::DeadLetter(DeadLetterTruth { reason, codes: vec![code], invalid: Some(kind), text })
            }
            Fate::Unreadable(codes) => RecordFate::DeadLetter(unreadable(Reason::CorruptedRecord, codes, text)),
        };
        RecordTruth { index: index as u64, duplicate: slot.is_copy, fate }
    }
}

fn unreadable(reason: Reason, codes: &[ErrorCode], text: Option<String>) -> DeadLetterTruth {
    DeadLetterTruth { reason, codes: codes.to_vec(), invalid: None, text }
}
