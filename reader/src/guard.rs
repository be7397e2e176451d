//! Refuses what would write into the lake, before DuckDB sees it.
//!
//! Knows which statements of DuckDB write files, and where the lake is. Three walls, see `docs/decisions/0008`: only
//! statements of known kinds pass; the target of one that writes must be plain text and outside of the lake; and the
//! settings and functions by which DuckDB writes on the side are shut. Invariant: what is not understood is refused.

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

/// The kinds of statements that write no file, whatever stands in them.
const HARMLESS: &str = "SELECT FROM WITH VALUES TABLE ( PIVOT PIVOT_WIDER PIVOT_LONGER UNPIVOT SHOW DESCRIBE DESC \
    SUMMARIZE CALL PRAGMA SET RESET USE BEGIN START COMMIT END ROLLBACK ABORT CREATE ALTER DROP COMMENT INSERT UPDATE \
    DELETE MERGE TRUNCATE DETACH DEALLOCATE ANALYZE VACUUM CHECKPOINT EXECUTE";
/// Statements that run code or SQL from elsewhere, which nobody has looked at.
const FOREIGN: &str = "INSTALL LOAD FORCE IMPORT";
/// Functions that write files of their own, run SQL that is put together while they run, or read SQL by other rules than
/// those of the lexer here.
const SHUT: &str = "enable_logging enable_profiling json_execute_serialized_sql import_database enable_peg_parser";
/// Options of COPY that put a text of the user's into the names of files.
const NAMING: &str = "filename_pattern file_extension";
/// Settings whose names hold one of these words steer where DuckDB writes, or what it loads and whom it asks.
const LOCKED: &str = "directory directories path output logging extension secret config external_access filesystems \
    endpoint proxy s3_";
/// Settings that are none of these, though their names say so.
const OPEN: &str = "search_path explain_output";

fn holds(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|one| one == word)
}

/// Knows what must not be written to.
#[derive(Debug)]
pub struct Guard {
    places: Places,
    /// The secrets that the shell itself made.
    own_secrets: Vec<String>,
}

impl Guard {
    /// Keeps these places from being written to, and all that lies below them; trusts the secrets that are there.
    ///
    /// # Errors
    /// [`Error::Bug`] when DuckDB does not tell the secrets.
    pub fn new(places: &[StoreUrl], connection: &Connection) -> Result<Self, Error> {
        let secrets = all_secrets(connection).map_err(Error::bug("look at the secrets"))?;
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

    /// Takes away the secrets by which a name outside of the lake's bucket would lead into it.
    ///
    /// # Errors
    /// [`Error::Refused`] when there was one; [`Error::Bug`] when DuckDB does not tell.
    pub fn check_secrets(&self, connection: &Connection) -> Result<(), Error> {
        if !self.places.has_bucket() {
            return Ok(());
        }
        let all = all_secrets(connection).map_err(Error::bug("look at the secrets"))?;
        let is_own = |shown: &str| self.own_secrets.contains(&secrets::without_key_id(shown));
        let leads_in = |shown: &str| secrets::leads_into(shown, self.places.buckets()) && !is_own(shown);
        if let Some((name, _)) = all.iter().find(|(_, shown)| leads_in(shown)) {
            let drop = format!("DROP SECRET {}", crate::quote::identifier(name));
            connection.execute_batch(&drop).map_err(Error::bug("drop a secret"))?;
            return Err(Error::Refused(format!(
                "secret {name:?} could lead into the lake's bucket, so it was dropped again; give ENDPOINT as host and \
                 port alone, with URL_STYLE 'path'"
            )));
        }
        Ok(())
    }

    fn check_kind(&self, tokens: &[Token<'_>]) -> Result<(), String> {
        let Some(first) = tokens.first() else { return Ok(()) };
        match first.text.to_ascii_uppercase().as_str() {
            "EXPLAIN" => self.check_kind(explained(&tokens[1..])),
            "PREPARE" => match tokens.iter().position(|token| token.is_word("AS")) {
                // By the time of its EXECUTE, a link may stand where there was none.
                Some(at) if tokens.get(at + 1).is_some_and(|first| first.is_word("COPY")) => {
                    Err("COPY is not prepared here; run it as it is".to_owned())
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
                Err("EXECUTE takes the name of a prepared statement".to_owned())
            }
            word if holds(HARMLESS, word) => Ok(()),
            word if holds(FOREIGN, word) => Err(foreign(word)),
            _ => Err(format!("{:?} opens no statement that this shell runs; .help tells what it is for", first.text)),
        }
    }

    /// `COPY … TO target` writes; `COPY … FROM` reads, and so does `COPY FROM DATABASE` as far as files are concerned.
    fn check_copy(&self, tokens: &[Token<'_>]) -> Result<(), String> {
        // Behind a dot, even such a word is a name.
        let is_name = |at: usize| at > 0 && tokens[at - 1].is_symbol(".");
        let is_wanted = |at: &usize| !is_name(*at) && (tokens[*at].is_word("TO") || tokens[*at].is_word("FROM"));
        let Some(at) = outside_parentheses(tokens).find(is_wanted) else {
            return Err("this COPY has no TO and no FROM".to_owned());
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
        // DuckDB takes a word before a colon for the kind of the database, in capitals too.
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

    /// Whether a target opens these tokens, in plain quotes, and may be written to.
    fn check_text(&self, tokens: &[Token<'_>], what: &str) -> Result<(), String> {
        let target = tokens.first().and_then(Token::string);
        // A string on the next line would be a part of it.
        let goes_on = tokens.get(1).is_some_and(|next| matches!(next.kind, Kind::Text | Kind::OtherText));
        match target {
            Some(target) if !goes_on => self.places.check(&target),
            _ => Err(format!("{what} takes its target as plain text in single quotes here, so that it can be checked")),
        }
    }

    fn check_functions(&self, code: &[Token<'_>]) -> Result<(), String> {
        for (index, token) in code.iter().enumerate() {
            let Some(name) = token.name().filter(|_| code.get(index + 1).is_some_and(|next| next.is_symbol("(")))
            else {
                continue;
            };
            if holds(SHUT, &name) {
                return Err(format!("{name} is shut in this shell: it could write anywhere, the lake included"));
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
                            "query takes plain text in single quotes here, so that it can be checked".to_owned()
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

/// Shuts the settings by which DuckDB would write on the side or load code; nothing opens them again.
///
/// # Errors
/// [`Error::Bug`] when DuckDB refuses.
pub fn lock_settings(connection: &Connection) -> Result<(), Error> {
    let failed = || Error::bug("lock DuckDB's settings");
    // In memory, DuckDB would spill into the working folder, which may be a part of the lake.
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

/// Whether the options of a statement that writes lead no file's name out of its target.
fn check_naming(tokens: &[Token<'_>]) -> Result<(), String> {
    for (index, option) in tokens.iter().enumerate() {
        let value = tokens[index + 1..].iter().find(|token| !token.is_symbol("="));
        let is_plain = value.and_then(Token::string).is_some_and(|value| !value.contains(['/', '\\']));
        if option.name().is_some_and(|name| holds(NAMING, &name)) && !is_plain {
            return Err(format!("{} takes a plain text in single quotes, without slashes", option.text));
        }
    }
    Ok(())
}

fn foreign(word: &str) -> String {
    format!(
        "{word} is refused here: it runs code or SQL that nobody has checked; extensions come from pinned files alone"
    )
}

/// What an EXPLAIN is about: what follows its own words, and its options in parentheses.
fn explained<'a, 't>(tokens: &'a [Token<'t>]) -> &'a [Token<'t>] {
    // What goes on with a query in parentheses.
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

/// The places of the tokens that stand in no parentheses or brackets.
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
