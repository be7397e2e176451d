//! Reads JSON text (RFC 8259) in place, without a copy unless something is escaped.
//!
//! The strict parser and the compiled enforcer are both built on it. Knows no schema. Invariant: what it reads is JSON
//! that every strict parser reads the same way; everything else is a [`Doubt`].

use std::borrow::Cow;

use serde_json::Value;

use super::{
    is_space,
    parse::{Limits, parse},
};

/// The text is not what was expected. A slower reader finds out what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubt;

/// Whether two texts of one length are equal. For short texts, where a call would cost more than the comparison.
#[inline]
fn are_equal(left: &[u8], right: &[u8]) -> bool {
    let word = |bytes: &[u8], at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
    let length = left.len();
    if length < 8 || length != right.len() {
        return left == right;
    }
    let mut at = 0;
    while at + 8 < length {
        if word(left, at) != word(right, at) {
            return false;
        }
        at += 8;
    }
    // The last word may overlap the one before.
    word(left, length - 8) == word(right, length - 8)
}

/// A place in a text. Cheap to copy, so that callers can go back.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    pub(crate) at: usize,
    /// How many object fields it has passed.
    pub(crate) fields: u64,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, fields: 0 }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// All of the text.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// The text from `start` to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// The text from here on.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Moves to the end of the text.
    pub(super) fn skip_rest(&mut self) {
        self.at = self.text.len();
    }

    #[inline]
    pub(crate) fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Doubt> {
        if self.take(byte) { Ok(()) } else { Err(Doubt) }
    }

    /// Takes exactly these bytes.
    #[inline]
    pub(crate) fn take_all(&mut self, bytes: &[u8]) -> bool {
        let found = self.bytes().get(self.at..self.at + bytes.len()).is_some_and(|next| are_equal(next, bytes));
        self.at += if found { bytes.len() } else { 0 };
        found
    }

    /// Takes a quoted text of exactly this many bytes without escapes; it checks only that the quotes are where they
    /// must be.
    #[inline]
    pub(crate) fn take_quoted<const LENGTH: usize>(&mut self) -> Option<&'a [u8; LENGTH]> {
        let (inner, end) = (self.at + 1, self.at + 1 + LENGTH);
        let bytes = self.bytes();
        if bytes.get(self.at) != Some(&b'"') || bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        bytes[inner..end].try_into().ok()
    }

    /// Reads a text in quotes.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Doubt> {
        let start = self.at;
        self.expect(b'"')?;
        self.skip_plain();
        if self.take(b'"') {
            return Ok(Cow::Borrowed(&self.text[start + 1..self.at - 1]));
        }
        self.at = start;
        self.skip_string()?;
        match parse(self.since(start), Limits { depth: 1, fields: 1 }) {
            Ok(Value::String(text)) => Ok(Cow::Owned(text)),
            _ => Err(Doubt),
        }
    }

    /// Moves to the next quote, backslash or control character.
    #[inline]
    pub(super) fn skip_plain(&mut self) {
        const ONES: u64 = u64::from_le_bytes([1; 8]);
        const HIGH: u64 = ONES << 7;
        let bytes = self.bytes();
        // Eight bytes at a time. In each word below, a byte's highest bit is set if it is one of those. A borrow can
        // set more bits, but only above the first one, and only the first one counts ("Bit Twiddling Hacks", zero in a
        // word).
        while let Some(Ok(word)) = bytes.get(self.at..self.at + 8).map(<[u8; 8]>::try_from) {
            let word = u64::from_le_bytes(word);
            let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word;
            let quote = zero_byte(word ^ (ONES * u64::from(b'"')));
            let backslash = zero_byte(word ^ (ONES * u64::from(b'\\')));
            let control = word.wrapping_sub(ONES * 0x20) & !word;
            let found = (quote | backslash | control) & HIGH;
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while self.peek().is_some_and(|byte| byte != b'"' && byte != b'\\' && byte >= 0x20) {
            self.at += 1;
        }
    }

    /// Moves past a text in quotes.
    fn skip_string(&mut self) -> Result<(), Doubt> {
        self.expect(b'"')?;
        loop {
            self.skip_plain();
            if self.take(b'"') {
                return Ok(());
            }
            self.expect(b'\\')?;
            match self.peek() {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                Some(b'u') => {
                    let digits = self.bytes().get(self.at + 1..self.at + 5).ok_or(Doubt)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return Err(Doubt);
                    }
                    self.at += 5;
                }
                _ => return Err(Doubt),
            }
        }
    }

    /// Reads a number, as text.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<&'a str, Doubt> {
        let start = self.at;
        let _negative = self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(self.since(start))
    }

    #[inline]
    fn digits(&mut self) -> Result<(), Doubt> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(Doubt) } else { Ok(()) }
    }

    /// Moves past a value of any kind, however deeply nested.
    pub(crate) fn skip_value(&mut self) -> Result<(), Doubt> {
        // The open levels around the cursor: for each, whether it is an object.
        let mut open: Vec<bool> = Vec::new();
        loop {
            match self.peek().ok_or(Doubt)? {
                b'{' => {
                    self.at += 1;
                    self.skip_space();
                    if !self.take(b'}') {
                        open.push(true);
                        self.skip_key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    self.skip_space();
                    if !self.take(b']') {
                        open.push(false);
                        continue;
                    }
                }
                b'"' => self.skip_string()?,
                b'-' | b'0'..=b'9' => drop(self.number()?),
                b't' if self.take_all(b"true") => {}
                b'f' if self.take_all(b"false") => {}
                b'n' if self.take_all(b"null") => {}
                _ => return Err(Doubt),
            }
            if !self.close(&mut open)? {
                return Ok(());
            }
        }
    }

    /// After a value: closes the levels that end here. Returns whether another value follows.
    fn close(&mut self, open: &mut Vec<bool>) -> Result<bool, Doubt> {
        while let Some(is_object) = open.last().copied() {
            self.skip_space();
            if self.take(b',') {
                self.skip_space();
                if is_object {
                    self.skip_key()?;
                }
                return Ok(true);
            }
            self.expect(if is_object { b'}' } else { b']' })?;
            open.pop();
        }
        Ok(false)
    }

    fn skip_key(&mut self) -> Result<(), Doubt> {
        self.skip_string()?;
        self.after_key()
    }

    /// After a key: moves to its value.
    #[inline]
    pub(crate) fn after_key(&mut self) -> Result<(), Doubt> {
        self.fields += 1;
        self.skip_space();
        self.expect(b':')?;
        self.skip_space();
        Ok(())
    }
}
