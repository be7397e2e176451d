//! Splits an object into lines, one JSON record each. A bad line harms no other.

use lake::stream::ReadSettings;

use super::{DecodedRecord, record};

/// `skipped` bytes stood before `bytes` in the object. Blank lines are no records.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    skipped: u64,
    settings: &ReadSettings,
    each: &mut dyn FnMut(DecodedRecord<'a>),
) {
    let mut index = 0;
    let mut start = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let raw = line.trim_ascii();
        if !raw.is_empty() {
            let indent = line.len() - line.trim_ascii_start().len();
            each(record(index, skipped + (start + indent) as u64, raw, settings));
            index += 1;
        }
        start += line.len();
    }
}
