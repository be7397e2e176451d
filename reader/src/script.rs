//! Splits a script into steps: SQL statements, and commands that start with a dot.
//!
//! Knows where a step ends, and nothing about what it means. Invariant: a semicolon inside quotes or a comment does not
//! end a statement, and no text is lost: the steps contain everything except the comments between them.

use crate::tokens::tokens;

/// One step of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// SQL.
    Sql(Statement<'a>),
    /// A command of the shell, from its dot to the end of its line.
    Command(&'a str),
}

/// One statement of a script, without its semicolon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Its text, starting at its first word.
    pub text: &'a str,
}

/// The steps of a script, without empty ones.
pub fn steps(script: &str) -> impl Iterator<Item = Step<'_>> {
    let mut rest = script;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let piece = first_piece(rest);
            let text = rest[piece.start..piece.end].trim_end();
            rest = &rest[piece.next..];
            match text {
                "" => {}
                text if text.starts_with('.') => return Some(Step::Command(text)),
                text => return Some(Step::Sql(Statement { text })),
            }
        }
        None
    })
}

/// The statements of a script, without commands and empty statements.
pub fn statements(script: &str) -> impl Iterator<Item = Statement<'_>> {
    steps(script).filter_map(|step| match step {
        Step::Sql(statement) => Some(statement),
        Step::Command(_) => None,
    })
}

/// Whether a semicolon ends the last statement typed so far.
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
    /// The statement's first word, in upper case; `(` for one that starts with a parenthesis.
    pub fn first_word(&self) -> String {
        let first = tokens(self.text).find(|token| token.is_code());
        first.map(|token| token.text.to_ascii_uppercase()).unwrap_or_default()
    }
}

/// The first step of a script: from its first token to its end, and where the next one begins.
struct Piece {
    start: usize,
    end: usize,
    next: usize,
    closed: bool,
}

fn first_piece(script: &str) -> Piece {
    let mut start = None;
    for token in tokens(script) {
        if token.is_symbol(";") {
            return Piece { start: start.unwrap_or(token.start), end: token.start, next: token.end(), closed: true };
        }
        if start.is_none() && token.is_symbol(".") {
            let end = script[token.start..].find('\n').map_or(script.len(), |line| token.start + line);
            return Piece { start: token.start, end, next: end, closed: true };
        }
        if token.is_code() {
            start.get_or_insert(token.start);
        }
    }
    let end = script.len();
    Piece { start: start.unwrap_or(end), end, next: end, closed: false }
}

#[cfg(test)]
mod tests;
