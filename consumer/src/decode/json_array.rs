//! Splits one JSON array into its elements.

use lake::dead_letter::{ErrorCode, Fault, Reason};
use serde::de::IgnoredAny;
use serde_json::{error::Category, value::RawValue};

use super::not_utf8;

/// The elements of the array that a text is, each with the place of its first byte.
///
/// # Errors
/// The fault of the object as a whole.
pub(crate) fn elements(bytes: &[u8]) -> Result<impl Iterator<Item = (usize, &str)>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(Reason::CorruptedBatch, "object", error))?;
    match text.trim_start_matches([' ', '\t', '\r', '\n']).bytes().next() {
        None => return Err(corrupted(ErrorCode::Empty, "the object holds nothing but white space")),
        Some(b'[') => {}
        Some(_) => return Err(no_array(text)),
    }
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| broken(&error))?;
    let place = move |element: &&str| element.as_ptr() as usize - bytes.as_ptr() as usize;
    Ok(elements.into_iter().map(RawValue::get).map(move |element| (place(&element), element)))
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
