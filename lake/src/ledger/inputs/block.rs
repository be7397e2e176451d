//! A block of an index, decoded as far as a search needs it: its text, and where each line and each key in it is.
//!
//! A block is read for one or a few of its hundreds of lines, so only those are parsed, and memory is the text and 24
//! bytes for each line. Invariant: the lines are sorted by key, and those of one key by batch.

use std::ops::Range;

use super::CommittedInput;

/// How a line begins, as [`CommittedInput`] is written.
const BEFORE_KEY: &str = r#"{"key":""#;

/// The inputs of one block of an index, sorted by key and then by batch.
#[derive(Debug)]
pub struct InputBlock {
    text: Box<str>,
    lines: Box<[Line]>,
}

#[derive(Debug)]
struct Line {
    start: u32,
    key: Key,
}

/// Where a line's key is.
#[derive(Debug)]
enum Key {
    /// In the text, up to here, as it is.
    Plain(u32),
    /// In the text in another form.
    Parsed(Box<str>),
}

impl InputBlock {
    /// The block with this text; `None` if it is not lines with keys in order.
    pub(super) fn of(text: Vec<u8>) -> Option<Self> {
        let text = String::from_utf8(text).ok()?.into_boxed_str();
        let mut lines = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            lines.push(Line { start: u32::try_from(start).ok()?, key: Key::of(line, start)? });
            start += line.len();
        }
        // An offset of 32 bits reaches the end, too.
        u32::try_from(start).ok()?;
        let block = Self { text, lines: lines.into() };
        (1..block.len()).all(|line| block.follows(line)).then_some(block)
    }

    /// Whether a line is in order after the line before it.
    fn follows(&self, line: usize) -> bool {
        match self.key(line - 1).cmp(self.key(line)) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => match (self.input(line - 1), self.input(line)) {
                (Some(before), Some(input)) => before.batch <= input.batch,
                _ => false,
            },
            std::cmp::Ordering::Greater => false,
        }
    }

    /// How many inputs it has.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The key of an input.
    ///
    /// # Panics
    /// If it has fewer inputs than that.
    pub fn key(&self, line: usize) -> &str {
        let Line { start, key } = &self.lines[line];
        match key {
            Key::Plain(end) => &self.text[*start as usize + BEFORE_KEY.len()..*end as usize],
            Key::Parsed(key) => key,
        }
    }

    /// An input; `None` if its line is damaged.
    ///
    /// # Panics
    /// As [`InputBlock::key`].
    pub fn input(&self, line: usize) -> Option<CommittedInput> {
        serde_json::from_str(&self.text[self.line(line)]).ok()
    }

    fn line(&self, line: usize) -> Range<usize> {
        let end = self.lines.get(line + 1).map_or(self.text.len(), |next| next.start as usize);
        self.lines[line].start as usize..end
    }

    /// The memory that it takes, in bytes.
    pub fn memory(&self) -> usize {
        let parsed = |line: &Line| if let Key::Parsed(key) = &line.key { key.len() } else { 0 };
        self.text.len() + size_of_val(&*self.lines) + self.lines.iter().map(parsed).sum::<usize>()
    }
}

impl Key {
    /// The key of a line that begins at `start`.
    fn of(line: &str, start: usize) -> Option<Self> {
        if let Some(rest) = line.strip_prefix(BEFORE_KEY)
            && let Some(length) = rest.find(['"', '\\'])
            && rest.as_bytes()[length] == b'"'
        {
            return Some(Self::Plain(u32::try_from(start + BEFORE_KEY.len() + length).ok()?));
        }
        // The key has escapes.
        serde_json::from_str::<CommittedInput>(line).ok().map(|input| Self::Parsed(input.key))
    }
}
