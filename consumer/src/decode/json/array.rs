//! Feeds the elements of one JSON array. An array is read completely or not at all.
//!
//! Only its end shows whether a text is an array, so the sink holds the records back until then. A large array is
//! checked first instead, so that nothing has to be held back.

use std::io::Read;

use lake::dead_letter::{ErrorCode, Fault, Reason};
use serde::de::IgnoredAny;
use serde_json::{error::Category, value::RawValue};

use super::{
    super::{Content, Record, RecordSink, blank_object, input::Input, not_utf8},
    Cursor, is_space,
    mistakes::mistake,
};
use crate::error::Error;

/// Arrays larger than this are checked before they are read.
const AT_ONCE_BYTES_MAX: usize = 32 << 20;

/// Passes each element to `sink`. Returns the fault of the object if it is not an array.
///
/// # Errors
/// The store's, or those of `sink`.
pub(crate) fn feed<S: RecordSink>(input: &mut Input<'_>, sink: &mut S) -> Result<Result<(), Fault>, Error> {
    input.reach(usize::MAX)?;
    let (bytes, start) = (input.window(), input.offset());
    let Ok(text) = simdutf8::basic::from_utf8(bytes) else {
        let error = std::str::from_utf8(bytes).map(drop);
        return Ok(error.map_err(|error| not_utf8(Reason::CorruptedBatch, "object", error)));
    };
    let at_once = text.len() <= AT_ONCE_BYTES_MAX;
    if !at_once && !is_array(text) {
        return Ok(Err(fault(text)));
    }
    if at_once {
        sink.hold();
    }
    if !elements(text, start, sink)? {
        sink.take_back();
        return Ok(Err(fault(text)));
    }
    sink.release()?;
    Ok(Ok(()))
}

/// Passes on the elements up to the end of the array; `false` if the text is not one array from end to end.
fn elements<S: RecordSink>(text: &str, start: u64, sink: &mut S) -> Result<bool, Error> {
    let mut cursor = Cursor::new(text);
    cursor.skip_space();
    if !cursor.take(b'[') {
        return Ok(false);
    }
    cursor.skip_space();
    let mut index = 0;
    let mut more = !cursor.take(b']');
    while more {
        let begin = cursor.at;
        if !sink.record_at(&mut cursor, index)? {
            cursor.at = begin;
            if cursor.skip_value().is_err() {
                return Ok(false);
            }
            let raw = cursor.since(begin).as_bytes();
            let (offset, length) = (start + begin as u64, raw.len() as u64);
            sink.record(&Record { index, offset, length, raw, line: None, content: Content::TriedJson })?;
        }
        index += 1;
        cursor.skip_space();
        more = cursor.take(b',');
        if more {
            cursor.skip_space();
        } else if !cursor.take(b']') {
            return Ok(false);
        }
    }
    cursor.skip_space();
    Ok(cursor.is_at_end())
}

/// Whether a text is one JSON array from end to end.
fn is_array(text: &str) -> bool {
    let mut cursor = Cursor::new(text);
    cursor.skip_space();
    let opens = cursor.peek() == Some(b'[');
    let closes = opens && cursor.skip_value().is_ok();
    cursor.skip_space();
    closes && cursor.is_at_end()
}

/// What is wrong with a text that is not an array, as a JSON library reports it.
fn fault(text: &str) -> Fault {
    match text.bytes().find(|byte| !is_space(*byte)) {
        None => return blank_object(),
        Some(b'[') => {}
        Some(_) => return not_an_array(text),
    }
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Err(error) => broken(text, &error),
        // Both parsers follow RFC 8259; a test compares them.
        Ok(_) => corrupted(ErrorCode::NotJson, "the object is not JSON"),
    }
}

fn not_an_array(text: &str) -> Fault {
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
    let what = mistake(text, place_of(text, error)).map(|what| format!(": {what}")).unwrap_or_default();
    corrupted(ErrorCode::NotJson, format!("the object is not JSON from {place} on{what}"))
}

/// Where in the text the parser met the error.
fn place_of(text: &str, error: &serde_json::Error) -> usize {
    let line = error.line().checked_sub(2).and_then(|before| memchr::memchr_iter(b'\n', text.as_bytes()).nth(before));
    (line.map_or(0, |end| end + 1) + error.column()).saturating_sub(1)
}

/// Whether a text that is not JSON ends where a digit should follow. The parser reports that as a wrong number, not as
/// an end too early; with a digit added, the text is valid up to its end.
fn ends_within_number(text: &str) -> bool {
    let with_digit = || serde_json::from_reader::<_, IgnoredAny>(text.as_bytes().chain(&b"0"[..]));
    text.ends_with(['-', '+', '.', 'e', 'E']) && with_digit().map_or_else(|error| error.is_eof(), |_| true)
}

fn corrupted(code: ErrorCode, message: impl AsRef<str>) -> Fault {
    Fault::new(Reason::CorruptedBatch, code, message)
}

#[cfg(test)]
mod tests;
