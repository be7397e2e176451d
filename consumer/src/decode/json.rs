//! JSON: one cursor over its text, a strict parser of one record, and the feeders of arrays and lines.

pub(crate) mod array;
mod cursor;
pub(crate) mod lines;
mod mistakes;
mod parse;

pub(crate) use cursor::{Cursor, Doubt};
pub use parse::{Limits, parse};

/// Whether a byte is white space between JSON values (RFC 8259, section 2). A form feed is not.
#[inline]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The bytes without the white space at their end.
pub(super) fn trim_space_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    &bytes[..end]
}
