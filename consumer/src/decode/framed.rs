//! One record as it was cut out of a text, before anybody looks into it.

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::ReadSettings,
};

use super::input::Input;
use crate::error::Error;

/// A record's bytes and place.
#[derive(Debug)]
pub(crate) struct Framed<'w> {
    /// Its place among the object's records, from 0.
    pub index: u64,
    /// Where its first byte lies in the text.
    pub offset: u64,
    /// Its bytes; of one that is too long, the first.
    pub raw: &'w [u8],
    /// Its whole length in bytes.
    pub length: u64,
    /// Why it can't be read, where its bounds alone tell.
    pub fault: Option<Fault>,
}

/// How far is looked for the end of a record: to the end of the longest one, and `beyond` for what stands behind it.
pub(super) fn reach_of(settings: &ReadSettings, beyond: usize) -> usize {
    usize::try_from(settings.record_bytes_max).unwrap_or(usize::MAX).saturating_add(beyond)
}

/// The fault of a record that is longer than allowed.
pub(crate) fn too_long(length: u64, settings: &ReadSettings) -> Fault {
    let message = format!("the record has {length} bytes; limits.record_bytes allows {}", settings.record_bytes_max);
    Fault::new(Reason::Oversized, ErrorCode::TooLarge, message)
}

/// The first bytes of a record that is too long, and its length to its last byte that is no white space. Its first `known`
/// bytes are known to be its own; it ends at the next line end. The input stands before that then.
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
        let trimmed = part.trim_ascii_end().len() as u64;
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
