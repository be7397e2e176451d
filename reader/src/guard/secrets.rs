//! Which secrets a user may create: none that would make a name outside the lake's bucket lead into it.
//!
//! Knows how httpfs builds a URL from a name and a secret, and how DuckDB shows a secret: as one text, with its options
//! separated by semicolons. Invariant: no option of a secret can look like two.

use crate::tokens::{Kind, Token};

/// The words between CREATE and SECRET.
const BEFORE: [&str; 5] = ["OR", "REPLACE", "TEMP", "TEMPORARY", "PERSISTENT"];

/// Checks that a statement, without its CREATE, creates something other than a secret, or a secret whose options are
/// plain text.
///
/// # Errors
/// What is wrong, as text.
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
            "the options of a secret must be plain text without semicolons here, so that they can be checked".into()
        );
    }
    Ok(())
}

/// Whether a secret, as DuckDB shows it, may send a request for another bucket to one of these buckets.
pub(super) fn leads_into<'a>(shown: &str, mut buckets: impl Iterator<Item = &'a str>) -> bool {
    let option = |name: &str| shown.split(';').find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    // Without an endpoint, the region is part of the host name.
    let region = option("region").unwrap_or_default();
    if region.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
        return true;
    }
    let Some(endpoint) = option("endpoint").map(str::to_lowercase).filter(|endpoint| !endpoint.is_empty()) else {
        return false;
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    let host = endpoint.split(':').next().unwrap_or_default();
    // The bucket may be in the path or in the host name.
    let holds_bucket =
        |bucket: &str| host.strip_prefix(bucket).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    // A bucket's name before the host may complete it to the lake's host: "127" before "0.0.1".
    let is_behind_bucket = option("url_style") != Some("path") && !is_amazons(host);
    !endpoint.chars().all(is_plain) || buckets.any(holds_bucket) || is_behind_bucket
}

fn is_amazons(host: &str) -> bool {
    host.starts_with("s3") && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"))
}

/// The secret without its key ID, which changes when the shell renews its own credentials.
pub(super) fn without_key_id(shown: &str) -> String {
    shown.split(';').filter(|option| !option.starts_with("key_id=")).collect::<Vec<_>>().join(";")
}
