//! Splits one JSON array into its elements.

use std::io::Read;

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
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| broken(text, &error))?;
    let place = move |element: &&str| element.as_ptr() as usize - bytes.as_ptr() as usize;
    Ok(elements.into_iter().map(RawValue::get).map(move |element| (place(&element), element)))
}

fn no_array(text: &str) -> Fault {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => corrupted(ErrorCode::NotAnArray, "the object is JSON, but not an array of records"),
        Err(error) => broken(text, &error),
    }
}

fn broken(text: &str, error: &serde_json::Error) -> Fault {
    let place = format!("line {} column {}", error.line(), error.column());
    if error.classify() == Category::Eof || ends_within_number(text) {
        return corrupted(ErrorCode::Truncated, format!("the JSON ends too early, at {place}"));
    }
    corrupted(ErrorCode::NotJson, format!("the object is not JSON from {place} on"))
}

/// Whether a text that is not JSON ends where a digit should follow, which the parser takes for a wrong number rather than
/// for an end too early: with a digit, nothing is wrong with it up to its end.
fn ends_within_number(text: &str) -> bool {
    let with_digit = || serde_json::from_reader::<_, IgnoredAny>(text.as_bytes().chain(&b"0"[..]));
    text.ends_with(['-', '+', '.', 'e', 'E']) && with_digit().map_or_else(|error| error.is_eof(), |_| true)
}

fn corrupted(code: ErrorCode, message: impl AsRef<str>) -> Fault {
    Fault::new(Reason::CorruptedBatch, code, message)
}
