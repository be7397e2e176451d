//! Splits a text into the tokens that DuckDB's own lexer sees: words, names, strings, comments.
//!
//! Knows no grammar. Invariant: a string or a comment ends here exactly where it ends for DuckDB, so that no code that
//! DuckDB would run is mistaken for the inside of one. The tokens have no gaps: together they are the text.

use std::borrow::Cow;

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Its text, quotes included.
    pub text: &'a str,
    /// Whether the string, name or comment that it starts is closed.
    pub closed: bool,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// White space.
    Blank,
    /// A comment.
    Comment,
    /// A keyword, or a name without quotes.
    Word,
    /// A name in double quotes.
    Name,
    /// A string in plain single quotes.
    Text,
    /// A string in another notation: `e'…'`, `$$…$$`.
    OtherText,
    /// Digits.
    Number,
    /// Any other character.
    Symbol,
}

impl Token<'_> {
    /// Where it ends, in bytes.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is more than white space or a comment.
    pub fn is_code(&self) -> bool {
        !matches!(self.kind, Kind::Blank | Kind::Comment)
    }

    /// Whether it is this keyword.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is this symbol.
    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// The name that a word or a quoted name stands for, in lower case; `None` for any other token.
    pub fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_lowercase()),
            Kind::Name => Some(self.inside()?.replace("\"\"", "\"").to_lowercase()),
            _ => None,
        }
    }

    /// The content of a string in plain quotes.
    pub fn string(&self) -> Option<String> {
        (self.kind == Kind::Text).then(|| Some(self.inside()?.replace("''", "'")))?
    }

    fn inside(&self) -> Option<&str> {
        self.closed.then(|| &self.text[1..self.text.len() - 1])
    }
}

/// The text with each Unicode space between tokens replaced by a plain space.
///
/// DuckDB does this itself, but misses some and then reads them as part of a name. Its input must not be ambiguous.
pub fn with_plain_spaces(text: &str) -> Cow<'_, str> {
    let is_strange = |token: &Token<'_>| token.kind == Kind::Blank && !token.text.is_ascii();
    if !tokens(text).any(|token| is_strange(&token)) {
        return Cow::Borrowed(text);
    }
    let plain = |token: Token<'_>| match is_strange(&token) {
        true => token.text.chars().map(|c| if c.is_ascii() { c } else { ' ' }).collect(),
        false => token.text.to_owned(),
    };
    Cow::Owned(tokens(text).map(plain).collect())
}

/// The tokens of a text, from its first byte to its last.
pub fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let (kind, length, closed) = first(rest);
        let token = Token { kind, start, text: &rest[..length], closed };
        start += length;
        Some(token)
    })
}

/// The kind of the first token, its length, and whether it is closed.
fn first(text: &str) -> (Kind, usize, bool) {
    let bytes = text.as_bytes();
    match (bytes[0], bytes.get(1)) {
        (b'-', Some(b'-')) => (Kind::Comment, find(bytes, 2, |byte| matches!(byte, b'\n' | b'\r')), true),
        (b'/', Some(b'*')) => closing(Kind::Comment, comment_end(bytes), bytes),
        (b'\'', _) => closing(Kind::Text, quoted_end(bytes, 0), bytes),
        (b'"', _) => closing(Kind::Name, quoted_end(bytes, 0), bytes),
        (b'e' | b'E', Some(b'\'')) => closing(Kind::OtherText, escape_end(bytes, 1), bytes),
        (b'$', _) => match dollar_opening(text) {
            Some(opening) => closing(Kind::OtherText, dollar_end(bytes, opening), bytes),
            None => (Kind::Symbol, 1, true),
        },
        (b'0'..=b'9', _) => (Kind::Number, find(bytes, 1, |byte| !byte.is_ascii_digit()), true),
        _ => spaces_or_word(text),
    }
}

fn closing(kind: Kind, end: Option<usize>, bytes: &[u8]) -> (Kind, usize, bool) {
    (kind, end.unwrap_or(bytes.len()), end.is_some())
}

fn spaces_or_word(text: &str) -> (Kind, usize, bool) {
    let length = |wanted: fn(char) -> bool| text.find(|c| !wanted(c)).unwrap_or(text.len());
    match text.chars().next() {
        Some(c) if is_space(c) => (Kind::Blank, length(is_space), true),
        Some(c) if is_in_word(c) => (Kind::Word, length(|c| is_in_word(c) || c == '$'), true),
        Some(c) => (Kind::Symbol, c.len_utf8(), true),
        None => (Kind::Blank, 0, true),
    }
}

/// White space, including Unicode's and the invisible ones.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn is_in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() && !is_space(c)
}

/// Where the quoted text that starts at `at` ends. A doubled quote does not end it.
fn quoted_end(bytes: &[u8], at: usize) -> Option<usize> {
    let quote = bytes[at];
    let mut at = at + 1;
    while at < bytes.len() {
        match bytes[at] {
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// Where an escape string ends whose quote is at `at`. It may continue on a later line, still with escapes.
fn escape_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => match continuation(bytes, at + 1) {
                Some(quote) => at = quote + 1,
                None => return Some(at + 1),
            },
            _ => at += 1,
        }
    }
    None
}

/// Where the quote is that continues a string: after white space and comments with at least one line end.
fn continuation(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut lines = 0;
    loop {
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (b'\n' | b'\r', _) => (lines, at) = (lines + 1, at + 1),
            (b' ' | b'\t' | 0x0b | 0x0c, _) => at += 1,
            (b'-', Some(b'-')) => at = find(bytes, at + 2, |byte| matches!(byte, b'\n' | b'\r')),
            (b'\'', _) if lines > 0 => return Some(at),
            _ => return None,
        }
    }
}

/// Where a comment ends. Comments nest.
fn comment_end(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The `$tag$` at the start of a text; `None` if it has none, as in `$1`.
fn dollar_opening(text: &str) -> Option<&[u8]> {
    let end = 1 + text[1..].find(|c| !is_in_word(c))?;
    let is_parameter = text[1..].starts_with(|c: char| c.is_ascii_digit());
    (!is_parameter && text[end..].starts_with('$')).then(|| &text.as_bytes()[..=end])
}

fn dollar_end(bytes: &[u8], opening: &[u8]) -> Option<usize> {
    let inside = &bytes[opening.len()..];
    let at = inside.windows(opening.len()).position(|window| window == opening)?;
    Some(opening.len() + at + opening.len())
}

/// The index of the first `wanted` byte, starting at `from`; the length if none is found.
fn find(bytes: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let found = bytes[from.min(bytes.len())..].iter().position(|byte| wanted(*byte));
    found.map_or(bytes.len(), |found| from + found)
}
