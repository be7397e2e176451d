//! Splits one JSON array into its elements.

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::ReadSettings,
};
use serde::de::IgnoredAny;
use serde_json::{error::Category, value::RawValue};

use super::{DecodedRecord, not_utf8, record};

/// `skipped` bytes stood before `bytes` in the object.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    skipped: u64,
    settings: &ReadSettings,
    each: &mut dyn FnMut(DecodedRecord<'a>),
) -> Result<(), Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(Reason::CorruptedBatch, "object", error))?;
    match text.trim_start_matches([' ', '\t', '\r', '\n']).bytes().next() {
        None => return Err(corrupted(ErrorCode::Empty, "the object holds nothing but white space")),
        Some(b'[') => {}
        Some(_) => return Err(no_array(text)),
    }
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| broken(&error))?;
    for (index, element) in elements.into_iter().enumerate() {
        let raw = element.get().as_bytes();
        let at = raw.as_ptr() as usize - bytes.as_ptr() as usize;
        each(record(index as u64, skipped + at as u64, raw, settings));
    }
    Ok(())
}

fn no_array(text: &str) -> Fault {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => corrupted(ErrorCode::NotAnArray, "the object is JSON, but not an array of records"),
        Err(error) => broken(&error),
    }
}

fn broken(error: &serde_json::Error) -> Fault {
    let place = format!("line {} column {}", error.line(), error.column());
    match error.classify() {
        Category::Eof => corrupted(ErrorCode::Truncated, format!("the JSON ends too early, at {place}")),
        _ => corrupted(ErrorCode::NotJson, format!("the object is not JSON from {place} on")),
    }
}

fn corrupted(code: ErrorCode, message: impl AsRef<str>) -> Fault {
    Fault::new(Reason::CorruptedBatch, code, message)
}
