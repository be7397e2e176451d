//! Refuses statements that would write into the lake, before DuckDB sees them.
//!
//! Knows which statements of DuckDB write files, and where the lake is. Three walls, see `docs/decisions/0008`: only
//! known kinds of statements pass; the target of a write must be plain text and outside the lake; and the settings and
//! functions through which DuckDB writes as a side effect are blocked. Invariant: what is not understood is refused.

mod places;
mod secrets;

use duckdb::Connection;
use lake::settings::StoreUrl;

use crate::{
    error::Error,
    quote::literal,
    tokens::{Kind, Token, tokens},
};
use places::Places;

/// The kinds of statements that never write a file.
const HARMLESS: &str = "SELECT FROM WITH VALUES TABLE ( PIVOT PIVOT_WIDER PIVOT_LONGER UNPIVOT SHOW DESCRIBE DESC \
    SUMMARIZE CALL PRAGMA SET RESET USE BEGIN START COMMIT END ROLLBACK ABORT CREATE ALTER DROP COMMENT INSERT UPDATE \
    DELETE MERGE TRUNCATE DETACH DEALLOCATE ANALYZE VACUUM CHECKPOINT EXECUTE";
/// Statements that run unchecked code or SQL from elsewhere.
const FOREIGN: &str = "INSTALL LOAD FORCE IMPORT";
/// Functions that write files of their own, run SQL that is built at run time, or parse SQL by other rules than the
/// lexer here.
const SHUT: &str = "enable_logging enable_profiling json_execute_serialized_sql import_database enable_peg_parser";
/// Options of COPY that put the user's text into file names.
const NAMING: &str = "filename_pattern file_extension";
/// Settings with one of these words in their name control where DuckDB writes, what it loads or which servers it asks.
const LOCKED: &str = "directory directories path output logging extension secret config external_access filesystems \
    endpoint proxy s3_";
/// Settings that match `LOCKED` only by name.
const OPEN: &str = "search_path explain_output";

fn holds(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|one| one == word)
}

/// Knows what must not be written to.
#[derive(Debug)]
pub struct Guard {
    places: Places,
    /// The secrets that the shell itself created.
    own_secrets: Vec<String>,
}

impl Guard {
    /// Protects these places and everything below them. Trusts the secrets that exist now.
    ///
    /// # Errors
    /// [`Error::Bug`] when DuckDB does not list its secrets.
    pub fn new(places: &[StoreUrl], connection: &Connection) -> Result<Self, Error> {
        let secrets = all_secrets(connection).map_err(Error::bug("list the secrets"))?;
        let own_secrets = secrets.iter().map(|(_, shown)| secrets::without_key_id(shown)).collect();
        Ok(Self { places: Places::new(places), own_secrets })
    }

    /// Whether a statement may run.
    ///
    /// # Errors
    /// [`Error::Refused`], with what to do instead.
    pub fn check(&self, statement: &str) -> Result<(), Error> {
        let tokens: Vec<Token<'_>> = tokens(statement).filter(Token::is_code).collect();
        self.check_kind(&tokens).and_then(|()| self.check_functions(&tokens)).map_err(Error::Refused)
    }

    /// Whether a file may be written.
    ///
    /// # Errors
    /// As [`Guard::check`].
    pub fn check_target(&self, target: &str) -> Result<(), Error> {
        self.places.check(target).map_err(Error::Refused)
    }

    /// Drops a secret that would make a name outside the lake's bucket lead into it.
    ///
    /// # Errors
    /// [`Error::Refused`] when there was one; [`Error::Bug`] when DuckDB does not list its secrets.
    pub fn check_secrets(&self, connection: &Connection) -> Result<(), Error> {
        if !self.places.has_bucket() {
            return Ok(());
        }
        let all = all_secrets(connection).map_err(Error::bug("list the secrets"))?;
        let is_own = |shown: &str| self.own_secrets.contains(&secrets::without_key_id(shown));
        let leads_in = |shown: &str| secrets::leads_into(shown, self.places.buckets()) && !is_own(shown);
        if let Some((name, _)) = all.iter().find(|(_, shown)| leads_in(shown)) {
            let drop = format!("DROP SECRET {}", crate::quote::identifier(name));
            connection.execute_batch(&drop).map_err(Error::bug("drop a secret"))?;
            return Err(Error::Refused(format!(
                "secret {name:?} could lead into the lake's bucket and was dropped; set ENDPOINT to a host and port \
                 only, with URL_STYLE 'path'"
            )));
        }
        Ok(())
    }

    fn check_kind(&self, tokens: &[Token<'_>]) -> Result<(), String> {
        let Some(first) = tokens.first() else { return Ok(()) };
        match first.text.to_ascii_uppercase().as_str() {
            "EXPLAIN" => self.check_kind(explained(&tokens[1..])),
            "PREPARE" => match tokens.iter().position(|token| token.is_word("AS")) {
                // A link may appear between the check and the EXECUTE.
                Some(at) if tokens.get(at + 1).is_some_and(|first| first.is_word("COPY")) => {
                    Err("COPY can't be prepared here; run it directly".to_owned())
                }
                Some(at) => self.check_kind(&tokens[at + 1..]),
                None => Err("this PREPARE has no AS".to_owned()),
            },
            "CREATE" if self.places.has_bucket() => secrets::check_statement(&tokens[1..]),
            "COPY" => self.check_copy(&tokens[1..]),
            "ATTACH" => self.check_attach(&tokens[1..]),
            "EXPORT" => self.check_export(&tokens[1..]),
            "UPDATE" if tokens.get(1).is_some_and(|next| next.is_word("EXTENSIONS")) => {
                Err(foreign("UPDATE EXTENSIONS"))
            }
            "EXECUTE" if tokens.get(1).is_none_or(|next| next.name().is_none()) => {
                Err("EXECUTE needs the name of a prepared statement".to_owned())
            }
            word if holds(HARMLESS, word) => Ok(()),
            word if holds(FOREIGN, word) => Err(foreign(word)),
            _ => Err(format!("this shell runs no statement that starts with {:?}; see .help", first.text)),
        }
    }

    /// `COPY … TO target` writes a file; `COPY … FROM` and `COPY FROM DATABASE` do not.
    fn check_copy(&self, tokens: &[Token<'_>]) -> Result<(), String> {
        // After a dot, even these words are names.
        let is_name = |at: usize| at > 0 && tokens[at - 1].is_symbol(".");
        let is_wanted = |at: &usize| !is_name(*at) && (tokens[*at].is_word("TO") || tokens[*at].is_word("FROM"));
        let Some(at) = outside_parentheses(tokens).find(is_wanted) else {
            return Err("this COPY has neither TO nor FROM".to_owned());
        };
        if tokens[at].is_word("FROM") {
            return Ok(());
        }
        let rest = &tokens[at + 1..];
        match rest {
            [target, ..] if target.is_word("STDOUT") => {}
            _ => self.check_text(rest, "COPY … TO")?,
        }
        check_naming(rest)
    }

    /// `ATTACH [OR REPLACE] [DATABASE] [IF NOT EXISTS] '[kind:]file' …`
    fn check_attach(&self, tokens: &[Token<'_>]) -> Result<(), String> {
        const BEFORE: [&str; 6] = ["OR", "REPLACE", "DATABASE", "IF", "NOT", "EXISTS"];
        let skipped = tokens.iter().take_while(|token| BEFORE.iter().any(|word| token.is_word(word))).count();
        let target = &tokens[skipped..];
        self.check_text(target, "ATTACH")?;
        // DuckDB reads a word before a colon as the type of the database, in upper case too.
        let text = target.first().and_then(Token::string).unwrap_or_default();
        match text.split_once(':') {
            Some((kind, file)) if !kind.is_empty() && !places::is_object(&text) => self.places.check(file),
            _ => Ok(()),
        }
    }

    /// `EXPORT DATABASE [name TO] 'folder' …`
    fn check_export(&self, tokens: &[Token<'_>]) -> Result<(), String> {
        let to = outside_parentheses(tokens).find(|at| tokens[*at].is_word("TO")).unwrap_or(0);
        let rest = tokens.get(to + 1..).unwrap_or_default();
        self.check_text(rest, "EXPORT DATABASE")?;
        check_naming(rest)
    }

    /// Checks that the tokens start with a target in plain quotes, and that it may be written to.
    fn check_text(&self, tokens: &[Token<'_>], what: &str) -> Result<(), String> {
        let target = tokens.first().and_then(Token::string);
        // SQL would append a string on the next line to it.
        let goes_on = tokens.get(1).is_some_and(|next| matches!(next.kind, Kind::Text | Kind::OtherText));
        match target {
            Some(target) if !goes_on => self.places.check(&target),
            _ => Err(format!("{what} needs its target as plain text in single quotes here, so that it can be checked")),
        }
    }

    fn check_functions(&self, code: &[Token<'_>]) -> Result<(), String> {
        for (index, token) in code.iter().enumerate() {
            let Some(name) = token.name().filter(|_| code.get(index + 1).is_some_and(|next| next.is_symbol("(")))
            else {
                continue;
            };
            if holds(SHUT, &name) {
                return Err(format!("{name} is blocked in this shell: it could write anywhere, even into the lake"));
            }
            if name == "query" {
                match code.get(index + 2..index + 4) {
                    Some([text, end]) if text.kind == Kind::Text && end.is_symbol(")") => {
                        let sql = text.string().unwrap_or_default();
                        let inner: Vec<Token<'_>> = tokens(&sql).filter(Token::is_code).collect();
                        self.check_functions(&inner)?;
                    }
                    _ => {
                        return Err(
                            "query needs plain text in single quotes here, so that it can be checked".to_owned()
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

/// Locks the settings that would let DuckDB write as a side effect or load code. Nothing unlocks them.
///
/// # Errors
/// [`Error::Bug`] when DuckDB refuses.
pub fn lock_settings(connection: &Connection) -> Result<(), Error> {
    let failed = || Error::bug("lock DuckDB's settings");
    // An in-memory DuckDB spills into the working folder, which may be part of the lake.
    let spill = std::env::temp_dir().join(format!("sluice-reader-{}", std::process::id()));
    let spill = format!("SET GLOBAL temp_directory = {}", literal(&spill.display().to_string()));
    connection.execute_batch(&spill).map_err(failed())?;
    let mut prepared = connection.prepare("SELECT name FROM duckdb_settings()").map_err(failed())?;
    let names = prepared.query_map([], |row| row.get::<_, String>(0)).map_err(failed())?;
    let names = names.collect::<Result<Vec<_>, _>>().map_err(failed())?;
    let open = names.iter().filter(|name| is_open(name)).map(|name| literal(name)).collect::<Vec<_>>();
    let lock = format!("SET GLOBAL allowed_configs = [{}]; SET GLOBAL lock_configuration = true", open.join(", "));
    connection.execute_batch(&lock).map_err(failed())
}

fn is_open(setting: &str) -> bool {
    holds(OPEN, setting) || !LOCKED.split_ascii_whitespace().any(|word| setting.contains(word))
}

fn all_secrets(connection: &Connection) -> duckdb::Result<Vec<(String, String)>> {
    let mut prepared = connection.prepare("SELECT name, secret_string FROM duckdb_secrets()")?;
    prepared.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Checks that the options of a writing statement keep file names inside its target.
fn check_naming(tokens: &[Token<'_>]) -> Result<(), String> {
    for (index, option) in tokens.iter().enumerate() {
        let value = tokens[index + 1..].iter().find(|token| !token.is_symbol("="));
        let is_plain = value.and_then(Token::string).is_some_and(|value| !value.contains(['/', '\\']));
        if option.name().is_some_and(|name| holds(NAMING, &name)) && !is_plain {
            return Err(format!("{} needs plain text in single quotes, without slashes", option.text));
        }
    }
    Ok(())
}

fn foreign(word: &str) -> String {
    format!("{word} is blocked here: it would run unchecked code or SQL; extensions come only from pinned files")
}

/// The explained statement: what follows EXPLAIN's own words, and its options in parentheses.
fn explained<'a, 't>(tokens: &'a [Token<'t>]) -> &'a [Token<'t>] {
    // These words continue a query in parentheses.
    const ON: [&str; 6] = ["UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET"];
    let own = tokens.iter().take_while(|token| token.is_word("ANALYZE") || token.is_word("VERBOSE")).count();
    let rest = &tokens[own..];
    if !rest.first().is_some_and(|token| token.is_symbol("(")) {
        return rest;
    }
    match outside_parentheses(rest).next().map(|end| &rest[end..]) {
        Some(after) if !ON.iter().any(|word| after[0].is_word(word)) => after,
        _ => rest,
    }
}

/// The indexes of the tokens outside all parentheses and brackets.
fn outside_parentheses(tokens: &[Token<'_>]) -> impl Iterator<Item = usize> {
    let mut depth = 0_usize;
    let outside = tokens.iter().enumerate().filter_map(move |(at, token)| {
        match (token.kind, token.text) {
            (Kind::Symbol, "(" | "[" | "{") => depth += 1,
            (Kind::Symbol, ")" | "]" | "}") => depth = depth.saturating_sub(1),
            _ if depth == 0 => return Some(at),
            _ => {}
        }
        None
    });
    outside.collect::<Vec<_>>().into_iter()
}
