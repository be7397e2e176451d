//! Damages a batch on purpose, and says what must become of it then.
//!
//! Knows the two formats. Knows nothing of what a record means.
//! Invariant: what is said to be unreadable does not parse; where damage can leave something valid, it is checked.

use lake::{dead_letter::ErrorCode, stream::Format};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use uuid::Uuid;

use crate::{
    batch::{Content, Fate, Slot},
    dice::Dice,
};

/// How a batch was damaged. Stands in truth files: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corruption {
    /// Cut off somewhere inside.
    Truncated,
    /// Some bytes changed.
    Flipped,
    /// No byte is left.
    Empty,
    /// Something else was stored in its place, such as a proxy's error page.
    NotJson,
}

impl Corruption {
    /// All kinds; each is as likely as the others.
    pub const ALL: [Self; 4] = [Self::Truncated, Self::Flipped, Self::Empty, Self::NotJson];
}

const EMPTY: &[ErrorCode] = &[ErrorCode::Empty];
const TRUNCATED: &[ErrorCode] = &[ErrorCode::Truncated];
const NOT_JSON: &[ErrorCode] = &[ErrorCode::NotJson];
const BAD_ENCODING: &[ErrorCode] = &[ErrorCode::BadEncoding];
/// A changed byte can open a text or a list that then lacks its end.
const NOT_JSON_OR_TRUNCATED: &[ErrorCode] = &[ErrorCode::NotJson, ErrorCode::Truncated];

/// What proxies and servers put in the place of an object. No line of them is blank, JSON, or the beginning of JSON.
const PAGES: [&str; 3] = [
    "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>\n<center><h1>502 Bad Gateway</h1></center>\n\
     <hr><center>nginx</center>\n</body>\n</html>\n",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code><Message>Please reduce your request \
     rate.</Message></Error>\n",
    "Service Unavailable\n",
];

/// The most bytes that are changed at once.
const FLIPS_MAX: usize = 4;
/// The most NDJSON lines that are changed in one batch.
const FLIPPED_LINES_MAX: usize = 3;

/// Damages a batch and corrects what is said of its content. Tells the kind of damage that was done: a batch with
/// nothing that can be cut or changed is emptied instead.
pub(crate) fn damage(
    kind: Corruption,
    format: Format,
    bytes: &mut Vec<u8>,
    content: &mut Content,
    dice: &mut Dice,
) -> Corruption {
    let done = match (kind, format) {
        (Corruption::Empty, _) => None,
        (Corruption::NotJson, _) => {
            bytes.clear();
            bytes.extend_from_slice(dice.pick(&PAGES).as_bytes());
            Some(match format {
                Format::JsonArray => Content::Unreadable(NOT_JSON),
                Format::Ndjson | Format::Csv => Content::Records(lines_of_page(bytes)),
            })
        }
        (Corruption::Truncated, Format::JsonArray) => {
            // At least the opening bracket stays and the closing one goes: no such text is complete.
            bytes.truncate(1 + dice.below(bytes.len() - 1));
            Some(Content::Unreadable(TRUNCATED))
        }
        (Corruption::Flipped, Format::JsonArray) => {
            // The opening bracket stays, so that it can't turn into another kind of JSON.
            let codes = flip_until_broken(&mut bytes[1..], |rest| is_json(&[b"[", rest].concat()), dice);
            Some(Content::Unreadable(codes))
        }
        (Corruption::Truncated, Format::Ndjson | Format::Csv) => cut_in_a_line(bytes, content, dice),
        (Corruption::Flipped, Format::Ndjson | Format::Csv) => flip_in_lines(bytes, content, dice),
    };
    let Some(damaged) = done else {
        bytes.clear();
        *content = Content::Unreadable(EMPTY);
        return Corruption::Empty;
    };
    *content = damaged;
    kind
}

fn lines_of_page(page: &[u8]) -> Vec<Slot> {
    let mut start = 0;
    let line = |line: &[u8]| {
        let span = start..start + line.trim_ascii_end().len();
        start += line.len();
        Slot { span, event_id: Uuid::nil(), fate: Fate::Unreadable(NOT_JSON), is_copy: false }
    };
    page.split_inclusive(|byte| *byte == b'\n').map(line).collect()
}

/// The lines that hold an object: a part of a bare number could still be a number.
fn object_lines(bytes: &[u8], content: &Content) -> Vec<usize> {
    let Content::Records(slots) = content else { return Vec::new() };
    let is_object = |index: &usize| bytes.get(slots[*index].span.start) == Some(&b'{');
    (0..slots.len()).filter(is_object).collect()
}

/// Cuts inside one line, so that it is the last and the only damaged one.
fn cut_in_a_line(bytes: &mut Vec<u8>, content: &Content, dice: &mut Dice) -> Option<Content> {
    let lines = object_lines(bytes, content);
    let Content::Records(slots) = content else { return None };
    let line = if lines.is_empty() { return None } else { dice.pick(&lines) };
    let mut left = slots[..=line].to_vec();
    let last = left.last_mut()?;
    last.span.end = last.span.start + 1 + dice.below(last.span.len() - 1);
    last.fate = Fate::Unreadable(TRUNCATED);
    bytes.truncate(last.span.end);
    // Space at an end belongs to no record.
    last.span.end = last.span.start + bytes[last.span.clone()].trim_ascii_end().len();
    Some(Content::Records(left))
}

fn flip_in_lines(bytes: &mut [u8], content: &Content, dice: &mut Dice) -> Option<Content> {
    let mut lines = object_lines(bytes, content);
    let Content::Records(slots) = content else { return None };
    if lines.is_empty() {
        return None;
    }
    let mut slots = slots.clone();
    for _ in 0..=dice.below(lines.len().min(FLIPPED_LINES_MAX)) {
        let slot = &mut slots[lines.swap_remove(dice.below(lines.len()))];
        // A new line end would make two records of one, and space at an end belongs to no record.
        let may_stay = |line: &[u8]| line.contains(&b'\n') || line.trim_ascii() != line || is_json(line);
        slot.fate = Fate::Unreadable(flip_until_broken(&mut bytes[slot.span.clone()], may_stay, dice));
    }
    Some(Content::Records(slots))
}

/// Changes some bytes such that `is_whole` no longer holds, and tells the codes that this may be reported with.
fn flip_until_broken(bytes: &mut [u8], is_whole: impl Fn(&[u8]) -> bool, dice: &mut Dice) -> &'static [ErrorCode] {
    /// A change of a random byte breaks JSON more often than not, so this many tries fail by no bad luck.
    const TRIES: usize = 1_000;
    for _ in 0..TRIES {
        let flips: Vec<(usize, u8)> =
            (0..=dice.below(FLIPS_MAX)).map(|_| (dice.below(bytes.len()), 1 + dice.below(255) as u8)).collect();
        flips.iter().for_each(|(at, mask)| bytes[*at] ^= mask);
        if !is_whole(bytes) {
            return if std::str::from_utf8(bytes).is_ok() { NOT_JSON_OR_TRUNCATED } else { BAD_ENCODING };
        }
        flips.iter().for_each(|(at, mask)| bytes[*at] ^= mask);
    }
    unreachable!("{TRIES} changes of random bytes left JSON that can be read")
}

fn is_json(bytes: &[u8]) -> bool {
    // What is skipped is not checked for its encoding, hence the look before.
    std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}
