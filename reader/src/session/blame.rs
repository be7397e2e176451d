//! Distinguishes a wrong statement from one that hit damage in the lake.
//!
//! Has only DuckDB's message to go by. Invariant: an error that a committed file caused names the file, and is never
//! reported as the user's mistake.

use std::collections::HashSet;

use duckdb::Row;
use lake::{ids::StreamName, ledger::OutputFile};

use super::Session;
use crate::{
    error::{Error, words},
    names::folded,
    quote::literal,
    secrets::{holds_secret, without_strings},
    tokens::tokens,
};

/// The most files that are tried one by one when DuckDB does not say which one it can't read.
const FILES_TRIED_MAX: u64 = 500;
/// The committed file whose path is in DuckDB's message.
const IN_WORDS: &str = "SELECT stream, key, size, sha256, location, path FROM memory.internal.files \
    WHERE contains(?, path) ORDER BY length(path) DESC LIMIT 1";
const NEWEST: &str = "SELECT stream, key, size, sha256, location, path FROM memory.internal.files \
    ORDER BY rowid DESC LIMIT ?";

/// A committed file, as the session knows it.
pub(super) struct Known {
    stream: StreamName,
    pub(super) file: OutputFile,
    location: String,
    path: String,
}

/// What DuckDB's parser says about a text, without running it.
const PARSED: &str = "SELECT json_serialize_sql(?::VARCHAR)";

impl Session {
    /// DuckDB's error for a statement that it can't parse, which therefore does nothing; `None` if it parses.
    pub(super) fn syntax_error(&self, statement: &str) -> Option<Error> {
        let parsed: String = self.aside.query_row(PARSED, [statement], |row| row.get(0)).ok()?;
        let parsed: serde_json::Value = serde_json::from_str(&parsed).ok()?;
        if parsed["error_type"] != "parser" {
            return None;
        }
        // The error is built here, not by running the statement: only this parse is known to run nothing.
        let words = format!("Parser Error: {}", parsed["error_message"].as_str()?);
        let position = parsed["position"].as_str().and_then(|position| position.parse().ok());
        let shown = position.and_then(|position| line_at(statement, position)).unwrap_or_default();
        Some(self.discreet(Error::Sql(words + &shown), statement))
    }

    /// The error to report.
    pub(super) fn blame(&mut self, error: Error, statement: &str) -> Error {
        // The lake's own words are compared with what DuckDB said, not with what is left of it without secrets.
        match &error {
            Error::Sql(said) => {
                let damage = self.damage_behind(&said.clone(), statement);
                self.discreet(damage.unwrap_or(error), statement)
            }
            _ => error,
        }
    }

    /// The damage that made a statement fail; `None` if it is the user's mistake.
    fn damage_behind(&mut self, said: &str, statement: &str) -> Option<Error> {
        if let Some((view, fault)) = self.relations.faults().find(|(_, fault)| said.contains(fault)) {
            return Some(Error::Unreadable { view, words: fault.to_owned() });
        }
        if said.starts_with("Binder Error: ")
            && let Some((view, fault)) = self.without_columns(statement)
        {
            return Some(Error::Unreadable { view, words: fault });
        }
        // The first line names the file; the others show SQL that the user did not type.
        let first = said.lines().next().unwrap_or_default().to_owned();
        if let Some(known) = self.aside.query_row(IN_WORDS, [&first], known).ok().flatten() {
            // A user who names a committed file directly may use it wrongly in many ways.
            return (!statement.contains(&known.path)).then(|| self.unreadable(known, &first));
        }
        // The Parquet reader's own exceptions have no class and name no file.
        if first.starts_with("Invalid Error: ") || !first.contains("Error: ") {
            return self.unreadable_file();
        }
        None
    }

    /// The relation in the statement whose columns are not known because of damage, and what the damage is: any column
    /// in the statement may be right.
    fn without_columns(&self, statement: &str) -> Option<(String, String)> {
        let names: HashSet<String> = tokens(statement).filter_map(|token| token.name()).collect();
        let mut faults = self.relations.faults_without_columns();
        let (_, view, fault) = faults.find(|(name, ..)| names.contains(&folded(name)))?;
        Some((view, fault.to_owned()))
    }

    /// DuckDB repeats the faulty line and rejected values, including secrets: this removes them.
    fn discreet(&self, error: Error, statement: &str) -> Error {
        match error {
            Error::Sql(said) if holds_secret(statement) => {
                Error::Sql(without_strings(said.split("\n\nLINE ").next().unwrap_or_default(), statement))
            }
            other => other,
        }
    }

    fn unreadable(&mut self, known: Known, words: &str) -> Error {
        let name = self.relations.sql_name(&known.stream).unwrap_or(known.stream.as_str());
        let view = format!("{}.{name}", known.file.key.zone());
        let placed = self.runtime.block_on(self.storage.place(&known.file));
        if let Some(fault) = placed.ok().and_then(|placed| placed.fault) {
            self.relations.suspect(&known.stream, known.file, fault);
        }
        Error::Unreadable { view, words: words.to_owned() }
    }

    /// The newest committed file that can't be read.
    fn unreadable_file(&mut self) -> Option<Error> {
        let files: Vec<Known> = {
            let mut prepared = self.aside.prepare(NEWEST).ok()?;
            let rows = prepared.query_map([FILES_TRIED_MAX], known).ok()?;
            rows.flatten().flatten().collect()
        };
        for known in files {
            let read = format!("SELECT max(hash(file)) FROM read_parquet({}) AS file", literal(&known.path));
            if let Err(error) = self.aside.query_row(&read, [], |_| Ok(())) {
                let words = format!("{} can't be read: {}", known.location, words(&error));
                return Some(self.unreadable(known, &words));
            }
        }
        None
    }
}

pub(super) fn known(row: &Row<'_>) -> duckdb::Result<Option<Known>> {
    let (stream, key): (String, String) = (row.get(0)?, row.get(1)?);
    let (Ok(stream), Ok(key)) = (stream.parse(), key.parse()) else { return Ok(None) };
    let (size, sha256) = (row.get(2)?, row.get(3)?);
    let file = OutputFile { key, size, sha256, rows: 0, event_time_min: None, event_time_max: None };
    Ok(Some(Known { stream, file, location: row.get(4)?, path: row.get(5)? }))
}

/// The line at a position, with a caret below it, as DuckDB shows it.
fn line_at(statement: &str, position: usize) -> Option<String> {
    let before = statement.get(..position)?;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = statement[start..].lines().next().unwrap_or_default();
    let head = format!("LINE {}: ", before.matches('\n').count() + 1);
    let space = " ".repeat(head.len() + before[start..].chars().count());
    Some(format!("\n\n{head}{line}\n{space}^"))
}
