//! Why a schema is refused, in our words.
//!
//! Knows the library's errors. A long pattern is cut, so that a message stays readable.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::Value;

use super::shorten;

/// What is wrong with a schema, and where. `is_too_large` says whether a pattern at fault could be compiled with more memory.
pub(super) fn in_words(error: &ValidationError<'_>, is_too_large: impl FnOnce() -> bool) -> String {
    let place = one_line(error.instance_path().as_str());
    match error.kind() {
        ValidationErrorKind::Referencing(what) => {
            format!("has a reference that leads nowhere: {}", one_line(&what.to_string()))
        }
        ValidationErrorKind::Format { format } if format == "regex" => pattern(error.instance(), &place, is_too_large),
        // The name of a property is a pattern.
        ValidationErrorKind::PropertyNames { error } if error.to_string().contains("regex") => {
            pattern(error.instance(), &place, is_too_large)
        }
        _ => format!("is not a JSON Schema at {place:?}: {}", one_line(&error.to_string())),
    }
}

fn pattern(found: &Value, place: &str, is_too_large: impl FnOnce() -> bool) -> String {
    // Of a pattern that is a name, the library only shows the properties.
    let text = found.as_str().unwrap_or_else(|| place.rsplit('/').next().unwrap_or_default());
    let shown = shorten(text);
    if let Some(what) = backtracking(text) {
        return format!(
            "has the pattern {shown:?} at {place:?}, which needs {what}. Patterns must be decided in one pass over the text, so that \
             no record takes long: say it without, for example with \"not\" and a second pattern"
        );
    }
    if is_too_large() {
        return format!(
            "has the pattern {shown:?} at {place:?}, which is too large once its repetitions are written out: use lower counts, or \
             \"maxLength\""
        );
    }
    format!("has the pattern {shown:?} at {place:?}, which can't be read as a regular expression (ECMA 262)")
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
                return Some("look-around, (?=…) or (?!…)");
            }
            '(' if !in_class && ["(?<=", "(?<!"].iter().any(|start| pattern[at..].starts_with(start)) => {
                return Some("look-around, (?<=…) or (?<!…)");
            }
            _ => {}
        }
    }
    None
}

/// A library's text as a part of a message.
fn one_line(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    match line.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
