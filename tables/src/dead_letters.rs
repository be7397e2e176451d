//! Dead letters: records and objects that did not pass, as the one table layout that all streams share.
//!
//! Knows Arrow and the contract in `lake::dead_letter`. Invariant: what was refused is kept as it arrived, up to the
//! stream's limit, and marked if it was cut. What is kept depends only on the first bytes, however the object was
//! fetched.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, BinaryBuilder, BooleanBuilder, Int64Builder, RecordBatch, StringBuilder},
    datatypes::{Schema, SchemaRef},
};
use lake::{
    columns::DEAD_LETTER_COLUMNS,
    dead_letter::{DeadLetterIds, Fault, Reason},
};

use crate::{
    rows::{BatchOrigin, origin_arrays},
    schema::arrow_field,
};

/// A record, or an object as a whole, that did not pass.
#[derive(Debug)]
pub struct DeadLetter<'a> {
    /// What is wrong with it.
    pub fault: &'a Fault,
    /// Its bytes, as they arrived.
    pub raw: &'a [u8],
    /// Its object.
    pub key: &'a str,
    /// The object's version.
    pub etag: &'a str,
    /// Its place among the object's records; `None` for the object as a whole.
    pub index: Option<u64>,
    /// Where its first byte is in the object.
    pub offset: u64,
    /// Its full length in bytes, kept or not.
    pub length: u64,
}

/// Collects dead letters into Arrow columns.
pub struct DeadLetterBuilder {
    schema: SchemaRef,
    origin: BatchOrigin,
    raw_bytes_max: usize,
    ids: StringBuilder,
    /// The object of the last dead letter: its key, its ETag and the ids derived from them.
    object: Option<(String, String, DeadLetterIds)>,
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
            ids: StringBuilder::new(),
            object: None,
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

    /// The Arrow schema, with Parquet field ids, of what [`DeadLetterBuilder::take`] returns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Appends one dead letter.
    pub fn append(&mut self, letter: &DeadLetter<'_>) {
        let (text, bytes) = kept(letter, self.raw_bytes_max);
        let kept = text.map_or(0, str::len) + bytes.map_or(0, <[u8]>::len);
        let fault = letter.fault;
        self.append_id(letter);
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

    fn append_id(&mut self, letter: &DeadLetter<'_>) {
        let is_same = |(key, etag, _): &&(String, String, DeadLetterIds)| key == letter.key && etag == letter.etag;
        let ids = match self.object.as_ref().filter(is_same) {
            Some((_, _, ids)) => ids,
            None => {
                let ids = DeadLetterIds::of(letter.key, letter.etag);
                &self.object.insert((letter.key.to_owned(), letter.etag.to_owned(), ids)).2
            }
        };
        self.ids.append_value(ids.id(letter.index).to_string());
    }

    /// About how much memory the collected dead letters take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many dead letters were appended in total, by reason.
    pub fn by_reason(&self) -> &BTreeMap<Reason, u64> {
        &self.by_reason
    }

    /// The dead letters collected since the last call; the builder is then empty.
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
        let ids: ArrayRef = Arc::new(self.ids.finish());
        let arrays = own.into_iter().chain(origin_arrays(&self.origin, rows)).chain([ids]).collect();
        RecordBatch::try_new(self.schema(), arrays).expect("the columns are appended in the contract's order and types")
    }
}

/// The part of a dead letter's bytes to keep: the first `bytes_max`, as text if they are UTF-8 (except for a character
/// that the limit cuts).
fn kept<'a>(letter: &DeadLetter<'a>, bytes_max: usize) -> (Option<&'a str>, Option<&'a [u8]>) {
    let first = &letter.raw[..letter.raw.len().min(bytes_max)];
    match std::str::from_utf8(first) {
        Ok(text) => (Some(text), None),
        Err(error) if error.error_len().is_none() && (first.len() as u64) < letter.length => {
            (std::str::from_utf8(&first[..error.valid_up_to()]).ok(), None)
        }
        Err(_) => (None, Some(first)),
    }
}
