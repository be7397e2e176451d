//! A DuckDB session over a lake: before each statement it loads new commits, then runs the statement.
//!
//! Owns the control flow; other modules find new commits, build the views and write the results.
//! Invariant: within one statement, and between BEGIN and COMMIT, all views show one state of the lake.

mod blame;
mod objects;
mod streams;
mod verify;

use std::{collections::HashSet, sync::Arc};

use duckdb::{Connection, InterruptHandle};
use futures::{StreamExt, TryStreamExt};
use lake::{
    ids::StreamName,
    keys::{Key, ZoneName},
    ledger::Commit,
    store::Lake,
};
use tokio::runtime::Handle;

use crate::{
    catalog::{Catalog, News},
    error::Error,
    guard::{self, Guard},
    ledger_tables::{self, PlacedCommit},
    listing,
    mentioned::Mentioned,
    output::Sink,
    query,
    relations::Relations,
    script::Statement,
    settings::Settings,
    storage::Storage,
    tokens::with_plain_spaces,
};
use objects::Objects;
pub use streams::StreamSummary;
use verify::Verified;

/// How many files are placed at the same time; only matters if they must be copied.
const PLACED_AT_ONCE: usize = 16;

/// The settings of every session: DuckDB fetches no extension by itself, and stores no secret on disk.
const SET_UP: &str = "
SET GLOBAL allow_persistent_secrets = false;
SET GLOBAL autoinstall_known_extensions = false;
SET GLOBAL autoload_known_extensions = false;
";
/// Times are shown as the lake stores them. A DuckDB without ICU does that anyway, and does not know the setting.
const SET_TIME_ZONE: &str = "SET GLOBAL TimeZone = 'UTC'";

/// A DuckDB session over a lake.
pub struct Session {
    connection: Connection,
    /// For the shell's own queries, outside the user's transactions.
    aside: Connection,
    guard: Guard,
    catalog: Catalog,
    storage: Storage,
    relations: Relations,
    objects: Objects,
    /// What statements have mentioned that may have stored SQL, such as a view: any statement may read that.
    mentioned: Mentioned,
    verified: Verified,
    runtime: Handle,
    in_transaction: bool,
}

impl Session {
    /// Opens a session. The first statement reads the ledgers, not this.
    ///
    /// # Errors
    /// [`Error::Lake`] when a zone can't be opened; [`Error::Bug`] when DuckDB rejects its setup.
    pub fn open(settings: &Settings, runtime: Handle) -> Result<Self, Error> {
        let connection = Connection::open_in_memory().map_err(Error::bug("start DuckDB"))?;
        connection.execute_batch(SET_UP).map_err(Error::bug("set DuckDB up"))?;
        if !cfg!(feature = "bundled") {
            connection.execute_batch(SET_TIME_ZONE).map_err(Error::bug("set DuckDB up"))?;
        }
        connection.execute_batch(ledger_tables::CREATE).map_err(Error::bug("set DuckDB up"))?;
        let lake = runtime.block_on(Lake::open(&settings.urls))?;
        let storage = runtime.block_on(Storage::open(&connection, lake.clone(), settings.urls.clone()))?;
        let catalog = Catalog::new(lake, settings.streams_dir.clone());
        let zones = ZoneName::ALL.map(|zone| settings.urls.zone(zone).1);
        let places: Vec<_> = zones.into_iter().chain(settings.lake_url.clone()).collect();
        let guard = Guard::new(&places, &connection)?;
        guard::lock_settings(&connection)?;
        let aside = connection.try_clone().map_err(Error::bug("open a second connection"))?;
        Ok(Self {
            connection,
            aside,
            guard,
            catalog,
            storage,
            relations: Relations::default(),
            objects: Objects::default(),
            mentioned: Mentioned::default(),
            verified: Verified::default(),
            runtime,
            in_transaction: false,
        })
    }

    /// A handle that stops the running statement from another thread.
    pub fn interrupt_handle(&self) -> Arc<InterruptHandle> {
        self.connection.interrupt_handle()
    }

    /// Runs one statement on the newest commits, and writes its result to `sink`.
    ///
    /// # Errors
    /// - [`Error::Lake`]: new commits could not be read; the statement was not run.
    /// - [`Error::Sql`]: DuckDB's message.
    /// - [`Error::Unreadable`]: a committed file or a ledger that the statement needs is missing or damaged.
    /// - [`Error::Refused`]: the statement would write into the lake; it was not run.
    pub fn run(&mut self, statement: Statement<'_>, sink: &mut dyn Sink) -> Result<(), Error> {
        let text = with_plain_spaces(statement.text);
        let statement = Statement { text: &text };
        if let Err(refused) = self.guard.check(statement.text) {
            return Err(self.syntax_error(statement.text).unwrap_or(refused));
        }
        if !self.in_transaction {
            self.refresh_for(&statement)?;
        }
        self.load_objects(statement.text)?;
        self.verify(statement.text)?;
        let text = listing::instead_of(statement.text, &self.connection).unwrap_or(statement.text);
        let done = query::run(&self.connection, Statement { text }, sink);
        match statement.first_word().as_str() {
            "BEGIN" | "START" if done.is_ok() => self.in_transaction = true,
            // A failed COMMIT leaves no transaction open either.
            word @ ("COMMIT" | "END" | "ROLLBACK" | "ABORT") => {
                let kept = done.is_ok() && matches!(word, "COMMIT" | "END");
                self.objects.end_transaction(kept);
                self.in_transaction = false;
            }
            "CREATE" if done.is_ok() => self.guard.check_secrets(&self.connection)?,
            _ => {}
        }
        done.map_err(|error| self.blame(error, statement.text))
    }

    /// Loads what was committed to any stream.
    ///
    /// # Errors
    /// [`Error::Lake`]: the store failed.
    pub fn refresh(&mut self) -> Result<(), Error> {
        self.refresh_mentioned(&Mentioned::all())
    }

    /// Loads what was committed to the streams that a statement may read.
    fn refresh_for(&mut self, statement: &Statement<'_>) -> Result<(), Error> {
        let mut mentioned = Mentioned::by(statement);
        if Mentioned::stays(statement) {
            self.mentioned.add(&mentioned);
        }
        mentioned.add(&self.mentioned);
        self.refresh_mentioned(&mentioned)
    }

    fn refresh_mentioned(&mut self, mentioned: &Mentioned) -> Result<(), Error> {
        let runtime = self.runtime.clone();
        runtime.block_on(self.relations.look_again(&self.storage))?;
        let news = runtime.block_on(self.catalog.news(mentioned))?;
        // The requests before have shown whether the store still accepts the credentials.
        let renewed = runtime.block_on(self.storage.renew(&self.connection));
        let loaded = renewed.and_then(|()| self.load(&news));
        match loaded {
            Ok(()) => news.iter().for_each(|news| self.catalog.accept(news)),
            Err(error) => {
                news.into_iter().for_each(|news| self.catalog.give_back(news));
                return Err(error);
            }
        }
        let with_files: Vec<StreamName> =
            news.iter().filter(|news| !news.commits.is_empty()).map(|news| news.stream.clone()).collect();
        self.relations.make(&self.connection, &with_files)?;
        for news in news.iter().filter(|news| news.damage_changed) {
            if let Some(damage) = &news.damage {
                tracing::warn!("stream {:?} can't be read and is not in checkpoints: {damage}", news.stream.as_str());
            }
        }
        Ok(())
    }

    /// Adds what is new to the ledger tables and to what is known of the relations, all or nothing.
    fn load(&mut self, news: &[News]) -> Result<(), Error> {
        let runtime = self.runtime.clone();
        let placed = runtime.block_on(self.place_files(news))?;
        let with_objects = runtime.block_on(self.objects.commits_of(self.catalog.lake(), news))?;
        if !placed.is_empty() {
            self.append(&placed, &with_objects)?;
        }
        self.relations.take_in(news, &placed);
        Ok(())
    }

    /// All new commits of all streams, with their files placed, but for files that are already removed again.
    async fn place_files<'a>(&self, news: &'a [News]) -> Result<Vec<PlacedCommit<'a>>, Error> {
        let commits = || news.iter().flat_map(|news| &news.commits);
        let removed = commits().flat_map(|published| &published.commit.removed).map(|removed| &removed.key);
        let removed: HashSet<&Key> = removed.collect();
        let mut placed = Vec::new();
        for published in commits() {
            let files = published.commit.files.iter().filter(|file| !removed.contains(&file.key));
            let files = futures::stream::iter(files).map(|file| self.storage.place(file));
            placed.push(PlacedCommit { published, files: files.buffered(PLACED_AT_ONCE).try_collect().await? });
        }
        Ok(placed)
    }

    /// Adds to the ledger tables, all or nothing.
    fn append(&mut self, placed: &[PlacedCommit<'_>], with_objects: &[Commit]) -> Result<(), Error> {
        self.execute("BEGIN")?;
        let appended = ledger_tables::append(&self.connection, placed)
            .and_then(|()| Objects::append(&self.connection, with_objects));
        self.execute(if appended.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        appended
    }

    fn execute(&self, sql: &str) -> Result<(), Error> {
        self.connection.execute_batch(sql).map_err(Error::bug("load new commits"))
    }
}
