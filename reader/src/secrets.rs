//! Which statements may contain a secret: the history does not keep them, and errors do not repeat their strings.
//!
//! Goes by words, not by grammar: a statement with a typing error contains the same secret. Invariant: what follows a
//! word that names a secret counts as one, wherever the word is: in code, in a string or in a comment.

use crate::{
    query::is_query,
    script::{Step, steps},
    tokens::{Kind, Token, tokens},
};

/// A name with one of these in it names a secret.
const TELLTALES: [&str; 10] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "bearer", "signature", "apikey", "accesskey"];
/// So does a name with one of these as a whole part: `KEY_ID`, `apiKey`, but not `monkey`.
const TELLTALE_PARTS: [&str; 5] = ["key", "keys", "pass", "pwd", "sig"];
/// Columns of the lake that only look like it, in a query that names one of the lake's schemas or tables.
const KEY_COLUMNS: [&str; 2] = ["key", "_source_key"];
const PLACES: [&str; 4] = ["bronze", "dead_letters", "checkpoints", "raw_objects"];

/// Whether a text may contain a secret.
pub fn holds_secret(text: &str) -> bool {
    let code: Vec<Token<'_>> = tokens(text).filter(|token| token.kind != Kind::Blank).collect();
    let asks = steps(text).all(|step| matches!(step, Step::Sql(statement) if is_query(&statement.first_word())));
    let is_of_lake = asks && code.iter().filter_map(Token::name).any(|name| PLACES.contains(&name.as_str()));
    let is_column = |name: &str| is_of_lake && KEY_COLUMNS.iter().any(|column| column.eq_ignore_ascii_case(name));
    code.iter().enumerate().any(|(at, token)| match token.kind {
        Kind::Word | Kind::Name => {
            let name = token.text.trim_matches('"');
            is_telltale(name) && !is_column(name) && is_value_in(&code[at + 1..], asks)
        }
        Kind::Text | Kind::OtherText => {
            shows_secret(token.text, true) || ends_with_telltale(token.text) && is_value_in(&code[at + 1..], asks)
        }
        Kind::Comment => shows_secret(token.text, false),
        Kind::Blank | Kind::Number | Kind::Symbol => false,
    })
}

/// Whether a name is that of a secret.
fn is_telltale(name: &str) -> bool {
    let lower = name.to_lowercase();
    TELLTALES.iter().any(|word| lower.contains(word))
        || parts(name).any(|part| TELLTALE_PARTS.contains(&part.to_lowercase().as_str()))
}

/// The parts of a name: `s3_key` and `s3Key` have two.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = name;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_alphabetic());
        let mut was_lower = false;
        let is_end = |c: char| {
            let ends = !c.is_alphabetic() || was_lower && c.is_uppercase();
            was_lower = c.is_lowercase();
            ends
        };
        let end = rest.find(is_end).unwrap_or(rest.len());
        let part = &rest[..end];
        rest = &rest[end..];
        (!part.is_empty()).then_some(part)
    })
}

/// Whether what follows a telling word may be a secret. A query compares with strings, or with a number right away; in
/// any other statement, a word may be one.
fn is_value_in(rest: &[Token<'_>], is_query: bool) -> bool {
    let is_text = |token: &Token<'_>| matches!(token.kind, Kind::Text | Kind::OtherText);
    let next = rest.iter().find(|token| token.is_code() && token.kind != Kind::Symbol);
    match is_query {
        true => rest.iter().any(is_text) || next.is_some_and(|token| token.kind == Kind::Number),
        false => next.is_some(),
    }
}

/// Whether a text names a secret and then shows it: `password=x`, `"token": "x"`, `https://user:x@host`. In a comment,
/// any text after the name counts.
fn shows_secret(text: &str, after_sign: bool) -> bool {
    let is_shown = |(start, word): (usize, &str)| {
        let after = text[start + word.len()..].trim_start_matches(|c: char| c.is_whitespace() || "\"'".contains(c));
        let value = if after_sign { after.strip_prefix(['=', ':']) } else { Some(after) };
        is_telltale(word) && value.is_some_and(|value| value.contains(char::is_alphanumeric))
    };
    let has_login = |url: &str| {
        let login = url.split(['/', '?', '#']).next().unwrap_or_default().rsplit_once('@');
        login.is_some_and(|(login, _)| login.contains(':'))
    };
    names(text).any(is_shown) || text.split("://").skip(1).any(has_login)
}

fn ends_with_telltale(string: &str) -> bool {
    let inside = written_in(string).unwrap_or_default().trim_end_matches(|c: char| !is_in_name(c));
    names(inside).last().is_some_and(|(_, name)| is_telltale(name))
}

/// The names in a text, and where each begins.
fn names(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let starts = text.char_indices().filter(|(at, c)| is_in_name(*c) && !text[..*at].ends_with(is_in_name));
    starts.map(|(at, _)| (at, text[at..].split(|c| !is_in_name(c)).next().unwrap_or_default()))
}

fn is_in_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// A message without the strings of the text that it is about, except those that say where and how.
pub fn without_strings(words: &str, text: &str) -> String {
    const KNOWN: [&str; 6] = ["TYPE", "PROVIDER", "SCOPE", "ENDPOINT", "REGION", "URL_STYLE"];
    let code: Vec<Token<'_>> = tokens(text).filter(Token::is_code).collect();
    let is_telltale = |at: &usize| {
        let is_string = matches!(code[*at].kind, Kind::Text | Kind::OtherText);
        is_string && !KNOWN.iter().any(|known| *at > 0 && code[*at - 1].is_word(known))
    };
    let inside = (0..code.len()).filter(is_telltale).filter_map(|at| written_in(code[at].text));
    inside.filter(|inside| !inside.is_empty()).fold(words.to_owned(), |words, inside| words.replace(inside, "…"))
}

/// The content of a string, however it is quoted.
fn written_in(string: &str) -> Option<&str> {
    let text = string.strip_prefix(['e', 'E']).unwrap_or(string);
    let quote = text.strip_prefix('$').map_or(Some(1), |tag| tag.find('$').map(|end| end + 2))?;
    text.get(quote..text.len().saturating_sub(quote))
}
