//! Names what is often written in place of JSON: by other languages, and by people.
//!
//! Only for messages. Invariant: it decides nothing.

/// The longest word that is looked at.
const WORD_BYTES_MAX: usize = 16;

/// What is wrong at this place of a text that is not JSON, if it is a well-known mistake.
pub(super) fn mistake(text: &str, at: usize) -> Option<String> {
    let rest = text.as_bytes().get(at..)?;
    match rest {
        [b'/', b'/' | b'*', ..] | [b'#', ..] => return Some("comments are not JSON; remove them".to_owned()),
        [b'\'', ..] => return Some("JSON has texts and keys in double quotes".to_owned()),
        [b']' | b'}', ..] if text.as_bytes()[..at].trim_ascii_end().ends_with(b",") => {
            return Some("a comma before \"]\" or \"}\" is not JSON; remove it".to_owned());
        }
        _ => {}
    }
    let word = word(text, at)?;
    let instead = match word.to_ascii_lowercase().as_str() {
        "nan" | "inf" | "infinity" => "null or a number",
        "none" | "nil" | "undefined" => "null",
        lower @ ("null" | "true" | "false") if lower != word => "it in lower case",
        _ => return None,
    };
    Some(format!("{word} is not JSON; write {instead}"))
}

/// The word that this place is in.
fn word(text: &str, at: usize) -> Option<&str> {
    let is_letter = |byte: &&u8| byte.is_ascii_alphabetic();
    let (before, after) = text.as_bytes().split_at_checked(at)?;
    let before = before.iter().rev().take(WORD_BYTES_MAX).take_while(is_letter).count();
    let after = after.iter().take(WORD_BYTES_MAX).take_while(is_letter).count();
    text.get(at - before..at + after)
}
