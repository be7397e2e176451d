//! Splits a script into statements, as DuckDB's own lexer sees them.
//!
//! Knows quotes, dollar quotes, escape strings and nested comments, and nothing else of SQL. Invariant: a semicolon
//! within any of those ends no statement, and no text is lost: the pieces hold all but comments between statements.

/// One statement of a script, without its semicolon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Its text, from its first word on.
    pub text: &'a str,
}

/// The statements of a script, empty ones left out.
pub fn statements(script: &str) -> impl Iterator<Item = Statement<'_>> {
    let mut rest = script;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let piece = first_piece(rest);
            let text = rest[piece.start..piece.end].trim_end();
            rest = &rest[piece.next..];
            if !text.is_empty() {
                return Some(Statement { text });
            }
        }
    })
}

/// Whether the last statement of what was typed so far is closed by a semicolon.
pub fn is_complete(typed: &str) -> bool {
    let mut rest = typed;
    loop {
        let piece = first_piece(rest);
        if !piece.closed {
            return rest[piece.start..piece.end].trim().is_empty();
        }
        rest = &rest[piece.next..];
    }
}

impl Statement<'_> {
    /// The statement's first word, in upper case; `(` for one that opens with a parenthesis.
    pub fn first_word(&self) -> String {
        let end = self.text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.text.len());
        if end == 0 { self.text.chars().take(1).collect() } else { self.text[..end].to_ascii_uppercase() }
    }
}

/// The first statement of a script: from its first token to its end, and where the next one begins.
struct Piece {
    start: usize,
    end: usize,
    next: usize,
    closed: bool,
}

fn first_piece(script: &str) -> Piece {
    let bytes = script.as_bytes();
    let mut at = 0;
    let mut start = None;
    while at < bytes.len() {
        if bytes[at] == b';' {
            return Piece { start: start.unwrap_or(at), end: at, next: at + 1, closed: true };
        }
        let token = token_at(bytes, at);
        if token.is_code {
            start.get_or_insert(at);
        }
        at = token.end;
    }
    let end = bytes.len();
    Piece { start: start.unwrap_or(end), end, next: end, closed: false }
}

struct Token {
    end: usize,
    /// Whether it is more than white space or a comment.
    is_code: bool,
}

fn token_at(bytes: &[u8], at: usize) -> Token {
    let code = |end| Token { end, is_code: true };
    let blank = |end| Token { end, is_code: false };
    match (bytes[at], bytes.get(at + 1)) {
        (b'-', Some(b'-')) => blank(find(bytes, at, b"\n")),
        (b'/', Some(b'*')) => blank(comment_end(bytes, at)),
        (b'\'', _) => code(quoted_end(bytes, at, is_escape_string(bytes, at))),
        (b'"', _) => code(quoted_end(bytes, at, false)),
        (b'$', _) => code(dollar_end(bytes, at)),
        (byte, _) if byte.is_ascii_whitespace() || byte == 0x0b => blank(at + 1),
        (byte, _) if is_word(byte) => {
            code(at + bytes[at..].iter().take_while(|byte| is_word(**byte) || **byte == b'$').count())
        }
        _ => code(at + 1),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Whether the quote at `at` opens a string of the form `e'…'`, in which a backslash escapes.
fn is_escape_string(bytes: &[u8], at: usize) -> bool {
    at > 0 && matches!(bytes[at - 1], b'e' | b'E') && (at < 2 || !is_word(bytes[at - 2]))
}

/// Where the quoted text that opens at `at` ends. A doubled quote opens it anew, which comes to the same.
fn quoted_end(bytes: &[u8], at: usize, escapes: bool) -> usize {
    let quote = bytes[at];
    let mut at = at + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Comments nest.
fn comment_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0;
    let mut at = at;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Where `$tag$ … $tag$` ends; just after the `$` when it opens no such text, as in `$1`.
fn dollar_end(bytes: &[u8], at: usize) -> usize {
    let tag = bytes[at + 1..].iter().take_while(|byte| is_word(**byte)).count();
    let opening_end = at + 1 + tag;
    let is_parameter = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    if is_parameter || bytes.get(opening_end) != Some(&b'$') {
        return at + 1;
    }
    let opening = &bytes[at..=opening_end];
    let end = find(bytes, opening_end + 1, opening);
    (end + opening.len()).min(bytes.len())
}

/// Where `wanted` stands from `from` on; the end of all when nowhere.
fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> usize {
    let found = bytes[from..].windows(wanted.len()).position(|window| window == wanted);
    found.map_or(bytes.len(), |found| from + found)
}

#[cfg(test)]
mod tests;
