//! Decoder: an object's bytes in, its records out, each with its place; or the fault of the object as a whole.
//!
//! Knows formats and nothing of schemas, stores or clocks. Invariant: every byte of a readable object that is not
//! white space or punctuation between records belongs to exactly one record.

mod json_array;
mod ndjson;
pub mod parse;

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::{Format, ReadSettings},
};
use serde_json::Value;

/// One record as it lies in its object.
#[derive(Debug)]
pub struct DecodedRecord<'a> {
    /// Its place among the object's records, from 0.
    pub index: u64,
    /// Where its first byte lies in the object.
    pub offset: u64,
    /// Its bytes, as they came.
    pub raw: &'a [u8],
    /// Its value, or why it can't be read.
    pub value: Result<Value, Fault>,
}

/// Reads an object record by record, handing each to `each` in order.
///
/// # Errors
/// The fault of the object as a whole, when it can't be read; then `each` was never called.
pub fn decode<'a>(
    bytes: &'a [u8],
    settings: &ReadSettings,
    each: &mut dyn FnMut(DecodedRecord<'a>),
) -> Result<(), Fault> {
    if bytes.len() as u64 > settings.object_bytes_max {
        return Err(too_large_object(bytes.len() as u64, settings.object_bytes_max));
    }
    if bytes.is_empty() {
        return Err(Fault::new(Reason::CorruptedBatch, ErrorCode::Empty, "the object holds no byte"));
    }
    let (mark, text) = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(text) => (3, text),
        None => (0, bytes),
    };
    match settings.format {
        Format::JsonArray => json_array::decode(text, mark, settings, each),
        Format::Ndjson => {
            ndjson::decode(text, mark, settings, each);
            Ok(())
        }
    }
}

/// The fault of an object that is larger than its stream allows; known from its size alone.
pub fn too_large_object(size: u64, limit: u64) -> Fault {
    let message = format!("the object has {size} bytes; limits.object_bytes allows {limit}");
    Fault::new(Reason::Oversized, ErrorCode::TooLarge, message)
}

/// Reads the text of one record.
pub(crate) fn record<'a>(index: u64, offset: u64, raw: &'a [u8], settings: &ReadSettings) -> DecodedRecord<'a> {
    let value = if raw.len() as u64 > settings.record_bytes_max {
        let message =
            format!("the record has {} bytes; limits.record_bytes allows {}", raw.len(), settings.record_bytes_max);
        Err(Fault::new(Reason::Oversized, ErrorCode::TooLarge, message))
    } else {
        match std::str::from_utf8(raw) {
            Ok(text) => parse::parse(text, settings.depth_max),
            Err(error) => Err(not_utf8(Reason::CorruptedRecord, "record", error)),
        }
    };
    DecodedRecord { index, offset, raw, value }
}

fn not_utf8(reason: Reason, what: &str, error: std::str::Utf8Error) -> Fault {
    let message = format!("the {what} is not UTF-8 from its byte {} on", error.valid_up_to());
    Fault::new(reason, ErrorCode::BadEncoding, message)
}
