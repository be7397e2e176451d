//! Decoder: an object's bytes in, its records out, each with its place; or the fault of the object as a whole.
//!
//! Knows formats and nothing of schemas, stores or clocks. Invariant: every byte of a readable object that is not
//! white space or punctuation between records belongs to exactly one record.

mod compression;
mod content;
pub mod csv;
mod framed;
mod input;
mod json_array;
pub(crate) mod ndjson;
pub mod parse;
mod source;

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::ReadSettings,
};
use serde_json::Value;

pub(crate) use content::{Opened, Text, open, skip_mark};
pub(crate) use framed::{Framed, too_long};
pub(crate) use input::Input;
pub(crate) use json_array::elements;
pub use source::{Progress, Source, Streamed};

/// The fault of an object that is larger than its stream allows; known from its size alone.
pub fn too_large_object(size: u64, limit: u64) -> Fault {
    let message = format!("the object has {size} bytes; limits.object_bytes allows {limit}");
    Fault::new(Reason::Oversized, ErrorCode::TooLarge, message)
}

/// The value of one record's bytes.
///
/// # Errors
/// The record's fault: it is too long, no UTF-8, no JSON, or beyond another limit.
pub(crate) fn value(raw: &[u8], settings: &ReadSettings) -> Result<Value, Fault> {
    if raw.len() as u64 > settings.record_bytes_max {
        return Err(too_long(raw.len() as u64, settings));
    }
    let text = std::str::from_utf8(raw).map_err(|error| not_utf8(Reason::CorruptedRecord, "record", error))?;
    parse::parse(text, parse::Limits { depth: settings.depth_max, fields: settings.fields_max })
}

/// The fault of an object of no byte.
pub(crate) fn empty_object() -> Fault {
    Fault::new(Reason::CorruptedBatch, ErrorCode::Empty, "the object holds no byte")
}

fn not_utf8(reason: Reason, what: &str, error: std::str::Utf8Error) -> Fault {
    let message = format!("the {what} is not UTF-8 from its byte {} on", error.valid_up_to());
    Fault::new(reason, ErrorCode::BadEncoding, message)
}
