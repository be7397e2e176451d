//! Why a schema is refused, in our words.
//!
//! Knows the library's errors. A long pattern is cut, so that a message stays readable.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::Value;

use super::shorten;

/// What is wrong with a schema, and where.
pub(super) fn in_words(error: &ValidationError<'_>) -> String {
    let place = error.instance_path().as_str();
    match error.kind() {
        ValidationErrorKind::Referencing(what) => format!("has a reference that leads nowhere: {}", one_line(&what.to_string())),
        ValidationErrorKind::Format { format } if format == "regex" => pattern(error.instance(), place),
        _ => format!("is not a JSON Schema at {place:?}: {}", one_line(&error.to_string())),
    }
}

fn pattern(found: &Value, place: &str) -> String {
    let Some(text) = found.as_str() else { return format!("has a pattern at {place:?} that is not a text") };
    let shown = shorten(text);
    if let Some(what) = backtracking(text) {
        return format!(
            "has the pattern {shown:?} at {place:?}, which needs {what}. Patterns must be decided in one pass over the text, so that \
             no record takes long: say it without, for example with \"not\" and a second pattern"
        );
    }
    if repeats(text) {
        return format!(
            "has the pattern {shown:?} at {place:?}, which is too large once its repetitions are written out: use lower counts, or \
             \"maxLength\""
        );
    }
    format!("has the pattern {shown:?} at {place:?}, which is not a regular expression (ECMA 262)")
}

/// What a pattern uses that can't be decided in one pass.
fn backtracking(pattern: &str) -> Option<&'static str> {
    let mut characters = pattern.char_indices().peekable();
    let mut in_class = false;
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next().map(|(_, escaped)| escaped);
                if !in_class && escaped.is_some_and(|escaped| matches!(escaped, '1'..='9' | 'k')) {
                    return Some("a reference back to a group");
                }
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class && ["(?=", "(?!"].iter().any(|start| pattern[at..].starts_with(start)) => {
                return Some("look-ahead, (?=…) or (?!…)");
            }
            '(' if !in_class && ["(?<=", "(?<!"].iter().any(|start| pattern[at..].starts_with(start)) => {
                return Some("look-behind, (?<=…) or (?<!…)");
            }
            _ => {}
        }
    }
    None
}

/// Whether a pattern has repetitions by count.
fn repeats(pattern: &str) -> bool {
    pattern.match_indices('{').any(|(at, _)| pattern[at + 1..].starts_with(|next: char| next.is_ascii_digit()))
}

/// A library's text as a part of a message.
fn one_line(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    match line.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
