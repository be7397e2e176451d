//! Damages CSV rows.
//!
//! Invariant: a damaged row can't be read, and no other row is read differently because of it.

use lake::dead_letter::ErrorCode;

use super::{FLIPPED_LINES_MAX, flip_until_broken};
use crate::{
    batch::{Content, Fate},
    csv,
    dice::Dice,
    event::FIELDS,
};

/// Cuts inside one row, which becomes the last row and the only damaged one.
pub(super) fn cut_in_one(bytes: &mut Vec<u8>, content: &Content, dice: &mut Dice) -> Option<Content> {
    let Content::Records(slots) = content else { return None };
    let mut left = slots[..=dice.below(slots.len())].to_vec();
    let last = left.last_mut()?;
    let row = &bytes[last.span.clone()];
    // Never where all cells are left: an empty last cell is a missing value, not damage.
    let cuts: Vec<(usize, &[ErrorCode])> =
        (1..row.len()).filter_map(|cut| broken(&row[..cut]).map(|codes| (cut, codes))).collect();
    let (cut, codes) = if cuts.is_empty() { return None } else { dice.pick(&cuts) };
    last.span.end = last.span.start + cut;
    last.fate = Fate::Unreadable(codes);
    bytes.truncate(last.span.end);
    Some(Content::Records(left))
}

pub(super) fn flip_in_some(bytes: &mut [u8], content: &Content, dice: &mut Dice) -> Option<Content> {
    let Content::Records(slots) = content else { return None };
    let mut slots = slots.clone();
    let mut rows: Vec<usize> = (0..slots.len()).collect();
    for _ in 0..=dice.below(rows.len().min(FLIPPED_LINES_MAX)) {
        let slot = &mut slots[rows.swap_remove(dice.below(rows.len()))];
        // A quote that stays open would swallow the rows that follow.
        let codes = |row: &[u8]| broken(row).filter(|codes| !codes.contains(&ErrorCode::Truncated));
        slot.fate = Fate::Unreadable(flip_until_broken(&mut bytes[slot.span.clone()], codes, dice));
    }
    Some(Content::Records(slots))
}

/// The codes for bytes that are still one row and can't be read; `None` for any others.
fn broken(row: &[u8]) -> Option<&'static [ErrorCode]> {
    // A new line end would split the record in two, and white space at either end may not be part of it.
    let is_other = row.contains(&b'\n') || row.contains(&b'\r') || row.trim_ascii() != row;
    if is_other { None } else { csv::unreadable(row, FIELDS.len()) }
}
