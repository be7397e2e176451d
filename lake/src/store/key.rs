//! Keys as [`Path`]s and back.
//!
//! Knows text. Knows nothing about stores or what keys mean.
//! Invariant: two different keys never become the same path, and each path made from a key leads back to that key.
//!
//! S3 allows keys that a [`Path`] does not: `a//b`, `/a`, `a/`, `.`, control characters. Folders allow some of them. A
//! segment that a path does not allow, or that looks encoded already, is written as `%~` and its text, with `%`, `.`,
//! `/` and control characters percent-encoded. All other segments, and so all usual keys, stay as they are.

use object_store::path::Path;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

const MARK: &str = "%~";
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'.').add(b'/');

/// The path for a key. Different keys have different paths; the empty key, which no store has, is the root.
pub fn to_path(key: &str) -> Path {
    if key.is_empty() {
        return Path::ROOT;
    }
    segments_to_path(key)
}

/// The path of everything below a common prefix such as `a/b/`, given without its last `/`. An empty prefix means `/`.
pub(in crate::store) fn prefix_to_path(prefix: &str) -> Path {
    segments_to_path(prefix)
}

fn segments_to_path(key: &str) -> Path {
    let encoded: Vec<String> = key.split('/').map(encode).collect();
    Path::parse(encoded.join("/")).expect("every segment that a path does not allow has just been encoded")
}

/// The key of a path.
pub fn to_key(path: &Path) -> String {
    let decoded: Vec<String> = path.as_ref().split('/').map(decode).collect();
    decoded.join("/")
}

fn is_special(segment: &str) -> bool {
    matches!(segment, "" | "." | "..")
        || segment.starts_with(MARK)
        || segment.contains(|character: char| character.is_ascii_control())
}

fn encode(segment: &str) -> String {
    if is_special(segment) { format!("{MARK}{}", encode_ascii(segment)) } else { segment.to_owned() }
}

/// Percent-encodes what must be, and leaves non-ASCII text readable.
fn encode_ascii(segment: &str) -> String {
    let mut encoded = String::new();
    for character in segment.chars() {
        if character.is_ascii() {
            encoded.extend(utf8_percent_encode(character.encode_utf8(&mut [0; 4]), ESCAPED));
        } else {
            encoded.push(character);
        }
    }
    encoded
}

fn decode(segment: &str) -> String {
    let decoded = segment.strip_prefix(MARK).and_then(|rest| percent_decode_str(rest).decode_utf8().ok());
    match decoded {
        // A path made by hand may carry the mark without coming from a key: it is used as it is.
        Some(key) if encode(&key) == segment => key.into_owned(),
        _ => segment.to_owned(),
    }
}

#[cfg(test)]
mod tests;
