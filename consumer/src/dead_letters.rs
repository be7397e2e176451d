//! Dead letters: records and objects that did not pass, turned into the one table that all streams share.
//!
//! Knows Arrow and the contract in `lake::dead_letter`. Invariant: what was refused is kept as it came, up to the
//! stream's limit, and marked where it was cut.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, BinaryBuilder, BooleanBuilder, Int64Builder, RecordBatch, StringBuilder},
    datatypes::{Schema, SchemaRef},
};
use lake::{
    columns::DEAD_LETTER_COLUMNS,
    dead_letter::{Fault, Reason},
};

use crate::rows::{BatchOrigin, arrow_field, origin_arrays};

/// A record, or an object as a whole, that did not pass.
#[derive(Debug)]
pub struct DeadLetter<'a> {
    /// What is wrong with it.
    pub fault: &'a Fault,
    /// Its bytes, as they came.
    pub raw: &'a [u8],
    /// Its object.
    pub key: &'a str,
    /// The object's version.
    pub etag: &'a str,
    /// Its place among the object's records; `None` for the object as a whole.
    pub index: Option<u64>,
    /// Where its first byte lies in the object.
    pub offset: u64,
    /// Its whole length in bytes, kept or not.
    pub length: u64,
}

/// Collects dead letters into Arrow columns.
pub struct DeadLetterBuilder {
    schema: SchemaRef,
    origin: BatchOrigin,
    raw_bytes_max: usize,
    reasons: StringBuilder,
    codes: StringBuilder,
    paths: StringBuilder,
    messages: StringBuilder,
    raw_records: StringBuilder,
    raw_bytes: BinaryBuilder,
    truncated: BooleanBuilder,
    keys: StringBuilder,
    etags: StringBuilder,
    indexes: Int64Builder,
    offsets: Int64Builder,
    lengths: Int64Builder,
    rows: usize,
    bytes: usize,
    by_reason: BTreeMap<Reason, u64>,
}

impl DeadLetterBuilder {
    /// A builder that keeps at most `raw_bytes_max` bytes of each dead letter.
    pub fn new(origin: BatchOrigin, raw_bytes_max: u64) -> Self {
        let fields = DEAD_LETTER_COLUMNS.iter().map(|column| arrow_field(&column.column())).collect::<Vec<_>>();
        Self {
            schema: Arc::new(Schema::new(fields)),
            origin,
            raw_bytes_max: usize::try_from(raw_bytes_max).unwrap_or(usize::MAX),
            reasons: StringBuilder::new(),
            codes: StringBuilder::new(),
            paths: StringBuilder::new(),
            messages: StringBuilder::new(),
            raw_records: StringBuilder::new(),
            raw_bytes: BinaryBuilder::new(),
            truncated: BooleanBuilder::new(),
            keys: StringBuilder::new(),
            etags: StringBuilder::new(),
            indexes: Int64Builder::new(),
            offsets: Int64Builder::new(),
            lengths: Int64Builder::new(),
            rows: 0,
            bytes: 0,
            by_reason: BTreeMap::new(),
        }
    }

    /// The Arrow schema, with Parquet field ids, of what [`DeadLetterBuilder::take`] gives.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Appends one dead letter.
    pub fn append(&mut self, letter: &DeadLetter<'_>) {
        let (text, bytes) = match std::str::from_utf8(letter.raw) {
            Ok(text) => (Some(&text[..text.floor_char_boundary(self.raw_bytes_max)]), None),
            Err(_) => (None, Some(&letter.raw[..letter.raw.len().min(self.raw_bytes_max)])),
        };
        let kept = text.map_or(0, str::len) + bytes.map_or(0, <[u8]>::len);
        let fault = letter.fault;
        self.reasons.append_value(fault.reason.as_str());
        self.codes.append_value(fault.code.as_str());
        self.paths.append_option(fault.path.as_deref());
        self.messages.append_value(&fault.message);
        self.raw_records.append_option(text);
        self.raw_bytes.append_option(bytes);
        self.truncated.append_value((kept as u64) < letter.length);
        self.keys.append_value(letter.key);
        self.etags.append_value(letter.etag);
        self.indexes.append_option(letter.index.map(|index| index as i64));
        self.offsets.append_value(letter.offset as i64);
        self.lengths.append_value(letter.length as i64);
        self.rows += 1;
        self.bytes += kept + fault.message.len() + letter.key.len() + letter.etag.len() + 128;
        *self.by_reason.entry(fault.reason).or_default() += 1;
    }

    /// About how much memory the collected dead letters take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many dead letters were appended in all, by reason.
    pub fn by_reason(&self) -> &BTreeMap<Reason, u64> {
        &self.by_reason
    }

    /// The dead letters collected since the last call; the builder is empty then.
    pub fn take(&mut self) -> RecordBatch {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let own: [ArrayRef; 12] = [
            Arc::new(self.reasons.finish()),
            Arc::new(self.codes.finish()),
            Arc::new(self.paths.finish()),
            Arc::new(self.messages.finish()),
            Arc::new(self.raw_records.finish()),
            Arc::new(self.raw_bytes.finish()),
            Arc::new(self.truncated.finish()),
            Arc::new(self.keys.finish()),
            Arc::new(self.etags.finish()),
            Arc::new(self.indexes.finish()),
            Arc::new(self.offsets.finish()),
            Arc::new(self.lengths.finish()),
        ];
        let arrays = own.into_iter().chain(origin_arrays(&self.origin, rows)).collect();
        RecordBatch::try_new(self.schema(), arrays).expect("the columns are appended in the contract's order and types")
    }
}
