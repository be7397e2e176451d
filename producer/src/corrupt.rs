//! Damages a batch on purpose, and returns its expected result.
//!
//! Knows formats and compressions. Knows nothing about the meaning of a record.
//! Invariant: what is marked as unreadable does not parse; where damage could leave something valid, this is checked.

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

/// How a batch was damaged. Stored in truth files: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corruption {
    /// Cut off somewhere in the middle.
    Truncated,
    /// Some bytes changed.
    Flipped,
    /// No bytes left.
    Empty,
    /// Replaced by something else, such as a proxy's error page.
    NotJson,
}

impl Corruption {
    /// All kinds, all equally likely.
    pub const ALL: [Self; 4] = [Self::Truncated, Self::Flipped, Self::Empty, Self::NotJson];

    /// Whether it damages the stored (possibly compressed) bytes of an object and not its text.
    pub(crate) fn happens_to_stored_bytes(self) -> bool {
        matches!(self, Self::Truncated | Self::Flipped)
    }
}

const EMPTY: &[ErrorCode] = &[ErrorCode::Empty];
const TRUNCATED: &[ErrorCode] = &[ErrorCode::Truncated];
const NOT_JSON: &[ErrorCode] = &[ErrorCode::NotJson];
const NOT_CSV: &[ErrorCode] = &[ErrorCode::NotCsv];
const BAD_HEADER: &[ErrorCode] = &[ErrorCode::BadHeader];
const BAD_COMPRESSION: &[ErrorCode] = &[ErrorCode::BadCompression];
const BAD_ENCODING: &[ErrorCode] = &[ErrorCode::BadEncoding];
/// A changed byte can open a string or an array that then has no end.
const NOT_JSON_OR_TRUNCATED: &[ErrorCode] = &[ErrorCode::NotJson, ErrorCode::Truncated];

/// Error pages that proxies and servers send instead of an object. No line is blank, JSON, or the start of JSON.
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

/// Damages a batch and updates its content. Returns the kind of damage done: a batch with nothing to cut or change is
/// emptied instead.
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
                // A page of HTML or XML is recognised as a whole.
                Format::Ndjson if bytes.starts_with(b"<") => Content::Unreadable(NOT_JSON),
                Format::Ndjson => Content::Records(lines_of_page(bytes, Fate::Unreadable(NOT_JSON))),
                Format::Csv if bytes.starts_with(b"<") => Content::Unreadable(NOT_CSV),
                // Its first line has no name of an event's field.
                Format::Csv => Content::Unreadable(BAD_HEADER),
            })
        }
        (Corruption::Truncated, Format::JsonArray) => {
            // The opening bracket stays and the closing one goes, so the text is never complete.
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

/// Damages a compressed object so that it can't be decompressed; `text_bytes` is the size of its text.
pub(crate) fn damage_compressed(
    kind: Corruption,
    compression: Compression,
    bytes: &[u8],
    text_bytes: usize,
    dice: &mut Dice,
) -> (Bytes, Content) {
    /// The bytes that identify the compression; without them, the object would be read as text.
    const MAGIC_BYTES: usize = 4;
    /// Reading must fail within this many times the length of the text: after that, a consumer could reject the object
    /// as too large first.
    const LONGER_MAX: u64 = 2;
    let mut bytes = bytes.to_vec();
    if kind == Corruption::Truncated {
        bytes.truncate(MAGIC_BYTES + dice.below(bytes.len() - MAGIC_BYTES));
    } else {
        let (magic, text_max) = (bytes[..MAGIC_BYTES].to_vec(), text_bytes as u64 * LONGER_MAX);
        // Not every change does harm: nothing depends on the bits after the last deflate code, for example.
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

/// The lines that are JSON objects: a part of a bare number could still be a number.
fn object_lines(bytes: &[u8], content: &Content) -> Vec<usize> {
    let Content::Records(slots) = content else { return Vec::new() };
    let is_object = |index: &usize| bytes.get(slots[*index].span.start) == Some(&b'{');
    (0..slots.len()).filter(is_object).collect()
}

/// Cuts inside one line, which becomes the last line and the only damaged one.
fn cut_in_a_line(bytes: &mut Vec<u8>, content: &Content, dice: &mut Dice) -> Option<Content> {
    let lines = object_lines(bytes, content);
    let Content::Records(slots) = content else { return None };
    let line = if lines.is_empty() { return None } else { dice.pick(&lines) };
    let mut left = slots[..=line].to_vec();
    let last = left.last_mut()?;
    last.span.end = last.span.start + 1 + dice.below(last.span.len() - 1);
    last.fate = Fate::Unreadable(TRUNCATED);
    bytes.truncate(last.span.end);
    // White space at the end is not part of the record.
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
            // A new line end would split the record in two, and white space at either end is not part of it.
            let is_other = line.contains(&b'\n') || line.trim_ascii() != line;
            (!is_other && !is_json(line)).then(|| codes_of_json(line))
        };
        slot.fate = Fate::Unreadable(flip_until_broken(&mut bytes[slot.span.clone()], codes, dice));
    }
    Some(Content::Records(slots))
}

/// Changes some bytes until `broken` returns the codes that a consumer may report, and returns these.
fn flip_until_broken(
    bytes: &mut [u8],
    broken: impl Fn(&[u8]) -> Option<&'static [ErrorCode]>,
    dice: &mut Dice,
) -> &'static [ErrorCode] {
    /// A random change breaks an object more often than not, so this many tries never fail by bad luck.
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
    unreachable!("after {TRIES} random changes, the object is still readable")
}

fn codes_of_json(bytes: &[u8]) -> &'static [ErrorCode] {
    if std::str::from_utf8(bytes).is_ok() { NOT_JSON_OR_TRUNCATED } else { BAD_ENCODING }
}

fn is_json(bytes: &[u8]) -> bool {
    // `IgnoredAny` does not check the encoding of what it skips.
    std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}
