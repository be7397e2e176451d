//! What the shell asks of a session in addition to statements: its streams, what has landed, where it may write.

use duckdb::{Connection, appender_params_from_iter, types::Value};
use futures::TryStreamExt;
use lake::{ids::StreamName, keys::Prefix, store::Listed, stream::InputNames};

use super::Session;
use crate::{error::Error, listing::RAW_OBJECTS};

/// The totals of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSummary {
    /// Its SQL name.
    pub name: String,
    /// Its committed rows.
    pub rows: i64,
    /// Its committed dead letters.
    pub dead_letters: i64,
}

impl Session {
    /// All streams, as of the newest commits.
    ///
    /// # Errors
    /// [`Error::Lake`]: the store failed.
    pub fn streams(&mut self) -> Result<Vec<StreamSummary>, Error> {
        const SUMS: &str = "SELECT coalesce(sum(rows), 0)::BIGINT, coalesce(sum(dead_letters), 0)::BIGINT \
            FROM memory.internal.batches WHERE stream = ?";
        self.refresh_outside_transactions()?;
        let summary = |stream: &StreamName| {
            let sums = self.aside.query_row(SUMS, [stream.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
            let (rows, dead_letters) = sums.map_err(Error::bug("sum up the commits"))?;
            let name = self.relations.sql_name(stream).unwrap_or(stream.as_str()).to_owned();
            Ok(StreamSummary { name, rows, dead_letters })
        };
        self.relations.streams().map(summary).collect()
    }

    /// Makes sure that every stream can be read: a result over all streams is not complete otherwise.
    ///
    /// # Errors
    /// [`Error::Unreadable`]: the first stream that can't be read.
    pub fn check_complete(&self) -> Result<(), Error> {
        match self.relations.damage().next() {
            Some((view, words)) => Err(Error::Unreadable { view, words: words.to_owned() }),
            None => Ok(()),
        }
    }

    /// Fills the temporary view `raw_objects` with the objects in the raw zone.
    ///
    /// # Errors
    /// [`Error::Lake`]: the store failed.
    pub fn list_raw_objects(&mut self) -> Result<(), Error> {
        self.refresh_outside_transactions()?;
        let failed = || Error::bug("list what has landed");
        self.connection.execute_batch(RAW_OBJECTS).map_err(failed())?;
        let runtime = self.runtime.clone();
        let lake = self.catalog.lake().clone();
        for stream in self.relations.streams() {
            let inputs = self.catalog.inputs(stream);
            let mut listing = lake.list(&Prefix::Raw(stream), None);
            let mut rows =
                self.connection.appender_to_catalog_and_db("raw_objects", "memory", "internal").map_err(failed())?;
            while let Some(listed) = runtime.block_on(listing.try_next())? {
                rows.append_row(appender_params_from_iter(raw_row(stream, &listed, &inputs))).map_err(failed())?;
            }
            rows.flush().map_err(failed())?;
        }
        Ok(())
    }

    /// Whether a file may be written.
    ///
    /// # Errors
    /// [`Error::Refused`] for one in the lake.
    pub fn check_target(&self, target: &str) -> Result<(), Error> {
        self.guard.check_target(target)
    }

    /// A connection to the same relations, for queries while the user types.
    ///
    /// # Errors
    /// [`Error::Bug`]: DuckDB refused it.
    pub fn second_connection(&self) -> Result<Connection, Error> {
        self.connection.try_clone().map_err(Error::bug("open a second connection"))
    }

    /// Changes a setting of the session.
    ///
    /// # Errors
    /// [`Error::Bug`]: DuckDB refused it.
    pub fn set(&self, setting: &str) -> Result<(), Error> {
        self.connection.execute_batch(setting).map_err(Error::bug("change a setting"))
    }

    fn refresh_outside_transactions(&mut self) -> Result<(), Error> {
        if self.in_transaction { Ok(()) } else { self.refresh() }
    }
}

fn raw_row(stream: &StreamName, listed: &Listed, inputs: &InputNames) -> [Value; 6] {
    let size = i64::try_from(listed.size).unwrap_or(i64::MAX);
    let prefix = Prefix::Raw(stream).to_string();
    let is_folder = listed.size == 0 && listed.key.ends_with('/');
    let has_name = listed.key.strip_prefix(&prefix).is_some_and(|name| inputs.has(name));
    [
        Value::Text(stream.as_str().to_owned()),
        Value::Text(listed.key.clone()),
        Value::Text(listed.etag.clone()),
        Value::BigInt(size),
        Value::BigInt(listed.last_modified.timestamp_micros()),
        Value::Boolean(listed.is_object && !is_folder && has_name),
    ]
}
