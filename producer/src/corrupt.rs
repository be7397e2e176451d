//! Damages a batch on purpose, and says what must become of it then.
//!
//! Knows formats and compressions. Knows nothing of what a record means.
//! Invariant: what is said to be unreadable does not parse; where damage can leave something valid, it is checked.

mod rows;

use bytes::Bytes;
use lake::{dead_letter::ErrorCode, stream::Format};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use uuid::Uuid;

use crate::{
    batch::{Content, Fate, Slot},
    compression::Compression,
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

    /// Whether it happens to an object's bytes as they are stored, and so to compressed ones, rather than to its text.
    pub(crate) fn happens_to_stored_bytes(self) -> bool {
        matches!(self, Self::Truncated | Self::Flipped)
    }
}

const EMPTY: &[ErrorCode] = &[ErrorCode::Empty];
const TRUNCATED: &[ErrorCode] = &[ErrorCode::Truncated];
const NOT_JSON: &[ErrorCode] = &[ErrorCode::NotJson];
const BAD_COMPRESSION: &[ErrorCode] = &[ErrorCode::BadCompression];
const BAD_ENCODING: &[ErrorCode] = &[ErrorCode::BadEncoding];
/// A changed byte can open a text or a list that then lacks its end.
const NOT_JSON_OR_TRUNCATED: &[ErrorCode] = &[ErrorCode::NotJson, ErrorCode::Truncated];

/// What proxies and servers put in the place of an object. No line of them is blank, JSON, or the beginning of JSON; for CSV, each is
/// one cell.
const PAGES: [&str; 3] = [
    "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>\n<center><h1>502 Bad Gateway</h1></center>\n\
     <hr><center>nginx</center>\n</body>\n</html>\n",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code><Message>Please reduce your request \
     rate.</Message></Error>\n",
    "Service Unavailable\n",
];

/// The most bytes that are changed at once.
const FLIPS_MAX: usize = 4;
/// The most lines or rows that are changed in one batch.
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
                Format::Ndjson => Content::Records(lines_of_page(bytes, Fate::Unreadable(NOT_JSON))),
                Format::Csv => rows::of_page(bytes),
            })
        }
        (Corruption::Truncated, Format::JsonArray) => {
            // At least the opening bracket stays and the closing one goes: no such text is complete.
            bytes.truncate(1 + dice.below(bytes.len() - 1));
            Some(Content::Unreadable(TRUNCATED))
        }
        (Corruption::Flipped, Format::JsonArray) => {
            // The opening bracket stays, so that it can't turn into another kind of JSON.
            let codes = |rest: &[u8]| (!is_json(&[b"[", rest].concat())).then(|| codes_of_json(rest));
            Some(Content::Unreadable(flip_until_broken(&mut bytes[1..], codes, dice)))
        }
        (Corruption::Truncated, Format::Ndjson) => cut_in_a_line(bytes, content, dice),
        (Corruption::Flipped, Format::Ndjson) => flip_in_lines(bytes, content, dice),
        (Corruption::Truncated, Format::Csv) => rows::cut_in_one(bytes, content, dice),
        (Corruption::Flipped, Format::Csv) => rows::flip_in_some(bytes, content, dice),
    };
    let Some(damaged) = done else {
        bytes.clear();
        *content = Content::Unreadable(EMPTY);
        return Corruption::Empty;
    };
    *content = damaged;
    kind
}

/// Damages a compressed object such that it can't be decompressed; its text had `text_bytes`.
pub(crate) fn damage_compressed(
    kind: Corruption,
    compression: Compression,
    bytes: &[u8],
    text_bytes: usize,
    dice: &mut Dice,
) -> (Bytes, Content) {
    /// So many tell how an object is compressed; one without them would be taken for a text.
    const MAGIC_BYTES: usize = 4;
    /// A change that makes a text longer than this many times its length is not taken: it could be found too long first.
    const LONGER_MAX: u64 = 2;
    let mut bytes = bytes.to_vec();
    if kind == Corruption::Truncated {
        bytes.truncate(MAGIC_BYTES + dice.below(bytes.len() - MAGIC_BYTES));
    } else {
        let (magic, text_max) = (bytes[..MAGIC_BYTES].to_vec(), text_bytes as u64 * LONGER_MAX);
        // A change of bits that nothing depends on, such as those behind the last code of deflate, does no harm.
        let codes =
            |rest: &[u8]| (!compression.reads(&[magic.as_slice(), rest].concat(), text_max)).then_some(BAD_COMPRESSION);
        flip_until_broken(&mut bytes[MAGIC_BYTES..], codes, dice);
    }
    (bytes.into(), Content::Unreadable(BAD_COMPRESSION))
}

fn lines_of_page(page: &[u8], fate: Fate) -> Vec<Slot> {
    let mut start = 0;
    let line = |line: &[u8]| {
        let span = start..start + line.trim_ascii_end().len();
        start += line.len();
        Slot { span, event_id: Uuid::nil(), fate, is_copy: false }
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
        let codes = |line: &[u8]| {
            // A new line end would make two records of one, and space at an end belongs to no record.
            let is_other = line.contains(&b'\n') || line.trim_ascii() != line;
            (!is_other && !is_json(line)).then(|| codes_of_json(line))
        };
        slot.fate = Fate::Unreadable(flip_until_broken(&mut bytes[slot.span.clone()], codes, dice));
    }
    Some(Content::Records(slots))
}

/// Changes some bytes until `broken` tells the codes that they may be reported with, and tells these.
fn flip_until_broken(
    bytes: &mut [u8],
    broken: impl Fn(&[u8]) -> Option<&'static [ErrorCode]>,
    dice: &mut Dice,
) -> &'static [ErrorCode] {
    /// A change of a random byte breaks an object more often than not, so this many tries fail by no bad luck.
    const TRIES: usize = 1_000;
    for _ in 0..TRIES {
        let flips: Vec<(usize, u8)> =
            (0..=dice.below(FLIPS_MAX)).map(|_| (dice.below(bytes.len()), 1 + dice.below(255) as u8)).collect();
        flips.iter().for_each(|(at, mask)| bytes[*at] ^= mask);
        if let Some(codes) = broken(bytes) {
            return codes;
        }
        flips.iter().for_each(|(at, mask)| bytes[*at] ^= mask);
    }
    unreachable!("{TRIES} changes of random bytes left what can be read")
}

fn codes_of_json(bytes: &[u8]) -> &'static [ErrorCode] {
    if std::str::from_utf8(bytes).is_ok() { NOT_JSON_OR_TRUNCATED } else { BAD_ENCODING }
}

fn is_json(bytes: &[u8]) -> bool {
    // What is skipped is not checked for its encoding, hence the look before.
    std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}
