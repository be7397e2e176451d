//! Which secrets a person may make: none by which a name outside of the lake's bucket would lead into it.
//!
//! Knows how httpfs makes a URL of a name and a secret, and how DuckDB shows a secret: as one text, its options parted
//! by semicolons. Invariant: no option of a secret can pass for two.

use crate::tokens::{Kind, Token};

/// The words between CREATE and SECRET.
const BEFORE: [&str; 5] = ["OR", "REPLACE", "TEMP", "TEMPORARY", "PERSISTENT"];

/// Whether a statement, without its CREATE, makes something else than a secret, or one whose options are plain texts.
///
/// # Errors
/// What is not plain, in words.
pub(super) fn check_statement(tokens: &[Token<'_>]) -> Result<(), String> {
    let skipped = tokens.iter().take_while(|token| BEFORE.iter().any(|word| token.is_word(word))).count();
    if !tokens.get(skipped).is_some_and(|token| token.is_word("SECRET")) {
        return Ok(());
    }
    let is_plain = |token: &Token<'_>| match token.kind {
        Kind::OtherText => false,
        Kind::Symbol => ["(", ")", ",", "=", ":", "[", "]", "{", "}", "-"].contains(&token.text),
        _ => !token.text.contains(';'),
    };
    let options = &tokens[skipped + 1..];
    let parentheses = options.iter().filter(|token| token.is_symbol("(")).count();
    if parentheses > 1 || !options.iter().all(is_plain) {
        return Err(
            "the options of a secret are plain texts here, without semicolons, so that they can be checked".into()
        );
    }
    Ok(())
}

/// Whether a secret, as DuckDB shows it, may send a request for another bucket to one of these.
pub(super) fn leads_into<'a>(shown: &str, mut buckets: impl Iterator<Item = &'a str>) -> bool {
    let option = |name: &str| shown.split(';').find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    // Without an endpoint, the region is a part of the host.
    let region = option("region").unwrap_or_default();
    if region.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
        return true;
    }
    let Some(endpoint) = option("endpoint").map(str::to_lowercase).filter(|endpoint| !endpoint.is_empty()) else {
        return false;
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    let host = endpoint.split(':').next().unwrap_or_default();
    // The bucket in the path, or in the host's name.
    let holds_bucket =
        |bucket: &str| host.strip_prefix(bucket).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    // A bucket before the host may complete it to the host of the lake: "127" before "0.0.1".
    let is_behind_bucket = option("url_style") != Some("path") && !is_amazons(host);
    !endpoint.chars().all(is_plain) || buckets.any(holds_bucket) || is_behind_bucket
}

fn is_amazons(host: &str) -> bool {
    host.starts_with("s3") && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"))
}

/// The secret without the part that a renewal of the shell's own credentials changes.
pub(super) fn without_key_id(shown: &str) -> String {
    shown.split(';').filter(|option| !option.starts_with("key_id=")).collect::<Vec<_>>().join(";")
}
