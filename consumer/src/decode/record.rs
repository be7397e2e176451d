//! One record as cut out of an object, and the trait that takes it.

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::ReadSettings,
};
use serde_json::Value;

use super::{
    csv::{Cell, Header},
    input::Input,
    json::{self, Cursor},
    not_utf8,
};
use crate::error::Error;

/// A record's bytes and place.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// Its place among the object's records, from 0.
    pub(crate) index: u64,
    /// Where its first byte is in the object's text.
    pub(crate) offset: u64,
    /// Its whole length in bytes.
    pub(crate) length: u64,
    /// Its bytes; only the first ones if the record is too long.
    pub(crate) raw: &'a [u8],
    /// The line that it begins in, from 1, if messages should show it.
    pub(crate) line: Option<u64>,
    /// Its content.
    pub(crate) content: Content<'a>,
}

/// The content of a record.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    /// Its bytes are JSON, as far as its bounds show.
    Json,
    /// The same, and [`RecordSink::record_at`] did not take it.
    TriedJson,
    /// Its cells are a CSV row, as many as the header has names.
    Cells(&'a Header, &'a [Cell<'a>]),
    /// It can't be read: its bounds or its cells already show that.
    Fault(Fault),
}

impl Record<'_> {
    /// The record's value.
    ///
    /// # Errors
    /// The record's fault: it is too long, not UTF-8, not JSON, or beyond another limit.
    pub(crate) fn value(&self, settings: &ReadSettings) -> Result<Value, Fault> {
        let value = match &self.content {
            Content::Json | Content::TriedJson => json_value(self.raw, settings),
            Content::Cells(header, cells) => header.record(cells, settings),
            Content::Fault(fault) => Err(fault.clone()),
        };
        value.map_err(|fault| self.in_line(fault))
    }

    /// The fault, with the record's line if messages should show it.
    pub(crate) fn in_line(&self, fault: Fault) -> Fault {
        match self.line {
            Some(line) => Fault { message: format!("line {line}: {}", fault.message), ..fault },
            None => fault,
        }
    }
}

fn json_value(raw: &[u8], settings: &ReadSettings) -> Result<Value, Fault> {
    if raw.len() as u64 > settings.record_bytes_max {
        return Err(too_long(raw.len() as u64, settings));
    }
    let text = std::str::from_utf8(raw).map_err(|error| not_utf8(Reason::CorruptedRecord, "record", error))?;
    json::parse(text, json::Limits { depth: settings.depth_max, fields: settings.fields_max })
}

/// Takes the records of one object, in order, and judges each with its place.
pub(crate) trait RecordSink {
    /// Takes a record.
    ///
    /// # Errors
    /// Those of the outputs; they stop the reading.
    fn record(&mut self, record: &Record<'_>) -> Result<(), Error>;

    /// Takes the JSON record at the cursor if it can be read straight into columns; the cursor is then after it.
    /// `false` if it can't: nothing was taken, the cursor may be anywhere, and [`RecordSink::record`] must take the
    /// record.
    ///
    /// # Errors
    /// As [`RecordSink::record`].
    fn record_at(&mut self, cursor: &mut Cursor<'_>, index: u64) -> Result<bool, Error>;

    /// Gives the names for the cells of the rows that follow.
    fn header(&mut self, names: &[String]);

    /// Holds back what follows, so that [`RecordSink::take_back`] can undo it. It must fit into memory.
    fn hold(&mut self);

    /// Undoes everything since [`RecordSink::hold`].
    fn take_back(&mut self);

    /// Confirms everything since [`RecordSink::hold`].
    ///
    /// # Errors
    /// As [`RecordSink::record`].
    fn release(&mut self) -> Result<(), Error>;
}

/// How far to search for the end of a record: the length of the longest one, and `beyond` for what follows it.
pub(super) fn reach_of(settings: &ReadSettings, beyond: usize) -> usize {
    usize::try_from(settings.record_bytes_max).unwrap_or(usize::MAX).saturating_add(beyond)
}

/// The fault of a record that is longer than allowed.
pub(super) fn too_long(length: u64, settings: &ReadSettings) -> Fault {
    let message = format!("the record has {length} bytes; limits.record_bytes allows {}", settings.record_bytes_max);
    Fault::new(Reason::Oversized, ErrorCode::TooLarge, message)
}

/// The first bytes of a record that is too long, and its length to its last byte that is not white space. Its first
/// `known` bytes are known to belong to it; it ends at the next line end. The input is then before that line end.
///
/// # Errors
/// The store's.
pub(super) fn skip_long(input: &mut Input<'_>, known: usize, settings: &ReadSettings) -> Result<(Vec<u8>, u64), Error> {
    let kept_max = usize::try_from(settings.raw_bytes_max).unwrap_or(usize::MAX).saturating_add(1);
    let mut kept = Vec::new();
    let (mut length, mut solid, mut known) = (0_u64, 0_u64, known);
    loop {
        let window = input.window();
        let from = std::mem::take(&mut known);
        let end = memchr::memchr(b'\n', &window[from..]).map(|at| from + at);
        let part = &window[..end.unwrap_or(window.len())];
        kept.extend_from_slice(&part[..part.len().min(kept_max - kept.len().min(kept_max))]);
        let trimmed = json::trim_space_end(part).len() as u64;
        if trimmed > 0 {
            solid = length + trimmed;
        }
        length += part.len() as u64;
        let passed = part.len();
        input.consume(passed);
        if end.is_some() || input.is_last() {
            kept.truncate(usize::try_from(solid).unwrap_or(usize::MAX));
            return Ok((kept, solid));
        }
        input.grow()?;
    }
}
