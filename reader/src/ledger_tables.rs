//! The ledger as SQL: `checkpoints.batches`, `checkpoints.objects` and `checkpoints.files`, filled from commits.
//!
//! The rows are in tables of their own schema; users see views over them, which can't be written to. Times are kept as
//! microseconds since 1970, so that no session's time zone changes them when they are inserted, and none is out of range.

use duckdb::{Appender, Connection, appender_params_from_iter, types::Value};
use lake::{
    clock::Timestamp,
    ids::StreamName,
    keys::Key,
    ledger::{Commit, InputOutcome, OutputFile},
};

use crate::{catalog::Published, error::Error};

/// The schemas, tables and views of an empty session.
pub const CREATE: &str = "
CREATE SCHEMA memory.bronze;
CREATE SCHEMA memory.dead_letters;
CREATE SCHEMA memory.checkpoints;
CREATE SCHEMA memory.internal;
CREATE TABLE memory.internal.batches (stream VARCHAR, batch BIGINT, plan_id UUID, committed_at BIGINT,
    schema_id VARCHAR, fingerprint VARCHAR, objects BIGINT, files BIGINT, records_read BIGINT, \"rows\" BIGINT,
    dead_letters BIGINT, dead_letters_by_reason VARCHAR, files_removed BIGINT, dead_letters_resolved BIGINT,
    records_discarded BIGINT);
CREATE TABLE memory.internal.objects (stream VARCHAR, batch BIGINT, key VARCHAR, etag VARCHAR, size BIGINT,
    outcome VARCHAR, records_read BIGINT, \"rows\" BIGINT, dead_letters BIGINT, copy VARCHAR);
CREATE TABLE memory.internal.files (stream VARCHAR, batch BIGINT, key VARCHAR, zone VARCHAR, location VARCHAR,
    size BIGINT, sha256 VARCHAR, \"rows\" BIGINT, event_time_min BIGINT, event_time_max BIGINT, path VARCHAR, is_closed BOOLEAN);
CREATE TABLE memory.internal.resolved (stream VARCHAR, batch BIGINT, dead_letter_id VARCHAR);
CREATE TABLE memory.internal.raw_objects (stream VARCHAR, key VARCHAR, etag VARCHAR, size BIGINT, last_modified BIGINT, is_input BOOLEAN);
CREATE VIEW memory.checkpoints.batches AS SELECT * REPLACE (make_timestamptz(committed_at) AS committed_at,
    CAST(CAST(dead_letters_by_reason AS JSON) AS MAP(VARCHAR, BIGINT)) AS dead_letters_by_reason)
    FROM memory.internal.batches;
CREATE VIEW memory.checkpoints.objects AS FROM memory.internal.objects;
CREATE VIEW memory.checkpoints.files AS SELECT * EXCLUDE (path, is_closed) REPLACE (
    make_timestamptz(event_time_min) AS event_time_min, make_timestamptz(event_time_max) AS event_time_max)
    FROM memory.internal.files;
";

const NOTING: &str = "note what was committed";

/// A commit, and where its files are.
#[derive(Clone, Debug)]
pub struct PlacedCommit<'a> {
    /// What was committed.
    pub published: &'a Published,
    /// Its files, in its order.
    pub files: Vec<PlacedFile<'a>>,
}

/// A file of a commit, and where to read it.
#[derive(Clone, Debug)]
pub struct PlacedFile<'a> {
    /// Its entry in the commit.
    pub file: &'a OutputFile,
    /// Where it is, in the user's terms.
    pub location: String,
    /// Where DuckDB reads it.
    pub path: String,
    /// Why it can't be read there.
    pub fault: Option<String>,
}

/// Adds these commits, without their objects, and takes out the files that they remove.
///
/// # Errors
/// [`Error::Bug`]: DuckDB refused the rows.
pub fn append(connection: &Connection, commits: &[PlacedCommit<'_>]) -> Result<(), Error> {
    rows(connection, "batches", commits.iter().map(|placed| batch_row(placed.published)))?;
    let files = commits.iter().flat_map(|placed| placed.files.iter().map(|file| (&placed.published.commit, file)));
    rows(connection, "files", files.map(|(commit, file)| file_row(commit, file)))?;
    let commits = || commits.iter().map(|placed| &placed.published.commit);
    rows(connection, "resolved", commits().flat_map(resolved_rows))?;
    for commit in commits() {
        let wholly = commit.resolved.iter().filter(|resolved| resolved.ids.is_none()).map(|resolved| &resolved.file);
        change_files(connection, CLOSE_FILE, commit, wholly)?;
        change_files(connection, REMOVE_FILE, commit, commit.removed.iter().map(|removed| &removed.key))?;
    }
    Ok(())
}

const CLOSE_FILE: &str = "UPDATE memory.internal.files SET is_closed = true WHERE stream = ? AND key = ?";
const REMOVE_FILE: &str = "DELETE FROM memory.internal.files WHERE stream = ? AND key = ?";

fn change_files<'a>(
    connection: &Connection,
    change: &str,
    commit: &Commit,
    keys: impl Iterator<Item = &'a Key>,
) -> Result<(), Error> {
    for key in keys {
        let changed = connection.execute(change, [commit.stream.to_string(), key.to_string()]);
        changed.map_err(Error::bug(NOTING))?;
    }
    Ok(())
}

/// Adds objects, commit by commit, in one go: a history may have millions.
pub struct ObjectRows<'a>(Appender<'a>);

impl<'a> ObjectRows<'a> {
    /// Opens the table.
    ///
    /// # Errors
    /// As [`append`].
    pub fn open(connection: &'a Connection) -> Result<Self, Error> {
        connection.appender_to_catalog_and_db("objects", "memory", "internal").map(Self).map_err(Error::bug(NOTING))
    }

    /// Adds the objects of one commit.
    ///
    /// # Errors
    /// As [`append`].
    pub fn add(&mut self, commit: &Commit) -> Result<(), Error> {
        let stream = text(&commit.stream);
        for input in &commit.inputs {
            let row = object_row(stream.clone(), commit, input);
            self.0.append_row(appender_params_from_iter(row)).map_err(Error::bug(NOTING))?;
        }
        Ok(())
    }

    /// Closes the table; without this call, rows may be missing.
    ///
    /// # Errors
    /// As [`append`].
    pub fn finish(mut self) -> Result<(), Error> {
        self.0.flush().map_err(Error::bug(NOTING))
    }
}

/// Sets the variable `variable` to a stream's files of one zone, in the order of their commits, without files whose
/// dead letters are all resolved. Returns their number.
///
/// # Errors
/// As [`append`].
pub fn set_files(connection: &Connection, variable: &str, stream: &StreamName, zone: &str) -> Result<usize, Error> {
    use crate::quote::{identifier, literal};
    let (name, stream, zone) = (identifier(variable), literal(stream.as_str()), literal(zone));
    let set = format!(
        "SET VARIABLE {name} = (SELECT list(path ORDER BY rowid) FROM memory.internal.files \
         WHERE stream = {stream} AND zone = {zone} AND NOT is_closed)"
    );
    let failed = || Error::bug("name a stream's files");
    connection.execute_batch(&set).map_err(failed())?;
    let count = format!("SELECT coalesce(len(getvariable({})), 0)", literal(variable));
    connection.query_row(&count, [], |row| row.get(0)).map_err(failed())
}

fn rows<const N: usize>(
    connection: &Connection,
    table: &'static str,
    rows: impl IntoIterator<Item = [Value; N]>,
) -> Result<(), Error> {
    let failed = || Error::bug(NOTING);
    let mut appender = connection.appender_to_catalog_and_db(table, "memory", "internal").map_err(failed())?;
    for row in rows {
        appender.append_row(appender_params_from_iter(row)).map_err(failed())?;
    }
    appender.flush().map_err(failed())
}

fn batch_row(published: &Published) -> [Value; 15] {
    let commit = &published.commit;
    let totals = &commit.totals;
    let reasons =
        totals.dead_letters_by_reason.iter().map(|(reason, count)| format!("\"{}\":{count}", reason.as_str()));
    [
        text(&commit.stream),
        count(commit.batch.number()),
        text(commit.plan_id),
        micros(commit.committed_at),
        text(&commit.schema_id),
        text(&commit.fingerprint),
        count(published.objects),
        count(commit.files.len() as u64),
        count(totals.records_read),
        count(totals.rows),
        count(totals.dead_letters),
        Value::Text(format!("{{{}}}", reasons.collect::<Vec<_>>().join(","))),
        count(commit.removed.len() as u64),
        count(totals.resolved),
        count(totals.discarded),
    ]
}

fn object_row(stream: Value, commit: &Commit, input: &InputOutcome) -> [Value; 10] {
    [
        stream,
        count(commit.batch.number()),
        text(&input.key),
        text(&input.etag),
        count(input.size),
        text(input.outcome.as_str()),
        count(input.records_read),
        count(input.rows),
        count(input.dead_letters),
        input.copy.as_ref().map_or(Value::Null, text),
    ]
}

fn file_row(commit: &Commit, placed: &PlacedFile<'_>) -> [Value; 12] {
    let file = placed.file;
    [
        text(&commit.stream),
        count(commit.batch.number()),
        text(&file.key),
        text(file.key.zone()),
        text(&placed.location),
        count(file.size),
        text(&file.sha256),
        count(file.rows),
        file.event_time_min.map_or(Value::Null, micros),
        file.event_time_max.map_or(Value::Null, micros),
        text(&placed.path),
        Value::Boolean(false),
    ]
}

/// The dead letters that a commit resolves one by one, each with the batch that set it aside.
fn resolved_rows(commit: &Commit) -> impl Iterator<Item = [Value; 3]> {
    commit.resolved.iter().flat_map(move |resolved| {
        let batch = resolved.file.batch().map_or(Value::Null, |batch| count(batch.number()));
        let ids = resolved.ids.iter().flatten();
        ids.map(move |id| [text(&commit.stream), batch.clone(), text(id)])
    })
}

fn text(value: impl ToString) -> Value {
    Value::Text(value.to_string())
}

fn micros(time: Timestamp) -> Value {
    Value::BigInt(time.micros())
}

fn count(value: u64) -> Value {
    // No count in a lake comes near half of the 64-bit range.
    Value::BigInt(i64::try_from(value).unwrap_or(i64::MAX))
}
