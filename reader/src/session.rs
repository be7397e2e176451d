//! A DuckDB session over a lake: before each statement it takes in what was committed since, then runs it.
//!
//! Owns the control flow; what is new, what a view looks like and how a result is written is others' business.
//! Invariant: within one statement, and between BEGIN and COMMIT, all views show one state of the lake.

use std::{collections::BTreeMap, sync::Arc};

use duckdb::{Connection, InterruptHandle};
use futures::{StreamExt, TryStreamExt};
use lake::{ids::StreamName, keys::ZoneName, ledger::OutputFile, store::Lake};
use tokio::runtime::Handle;

use crate::{
    catalog::{Catalog, News},
    error::Error,
    guard::{self, Guard},
    ledger_tables::{self, PlacedCommit, PlacedFile},
    output::Sink,
    query,
    script::Statement,
    settings::Settings,
    storage::Storage,
    views::{View, bronze_columns, dead_letter_columns, folded},
};

/// How many files are placed at once; matters only where they must be copied.
const PLACED_AT_ONCE: usize = 16;

/// The settings of every session: DuckDB fetches no extension by itself, and keeps no secret on disk.
const SET_UP: &str = "
SET GLOBAL allow_persistent_secrets = false;
SET GLOBAL autoinstall_known_extensions = false;
SET GLOBAL autoload_known_extensions = false;
";
/// Times are shown as the lake keeps them. A DuckDB without ICU shows them so anyway, and does not know the setting.
const SET_TIME_ZONE: &str = "SET GLOBAL TimeZone = 'UTC'";

/// A DuckDB session over a lake.
pub struct Session {
    connection: Connection,
    guard: Guard,
    catalog: Catalog,
    storage: Storage,
    runtime: Handle,
    sides: BTreeMap<StreamName, Sides>,
    in_transaction: bool,
}

/// One of a stream's two views, and how many files it reads.
#[derive(Clone, Debug)]
struct Side {
    view: View,
    zone: ZoneName,
    files: usize,
}

/// The rows, then the dead letters.
type Sides = [Side; 2];

impl Session {
    /// Opens a session. Asks nothing of the ledgers yet: the first statement does.
    ///
    /// # Errors
    /// [`Error::Lake`] when a zone can't be opened; [`Error::Bug`] when DuckDB refuses its set-up.
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
        Ok(Self { connection, guard, catalog, storage, runtime, sides: BTreeMap::new(), in_transaction: false })
    }

    /// What stops a statement that runs, from another thread.
    pub fn interrupt_handle(&self) -> Arc<InterruptHandle> {
        self.connection.interrupt_handle()
    }

    /// Runs one statement on the newest commits, and writes its answer to `sink`.
    ///
    /// # Errors
    /// - [`Error::Lake`]: what is new could not be read; the statement was not run.
    /// - [`Error::Sql`]: DuckDB's words.
    /// - [`Error::Refused`]: the statement would write into the lake; it was not run.
    pub fn run(&mut self, statement: Statement<'_>, sink: &mut dyn Sink) -> Result<(), Error> {
        self.guard.check(statement.text)?;
        if !self.in_transaction {
            self.refresh()?;
        }
        let done = query::run(&self.connection, statement, sink);
        match statement.first_word().as_str() {
            "BEGIN" | "START" if done.is_ok() => self.in_transaction = true,
            // A failed COMMIT leaves no transaction open either.
            "COMMIT" | "END" | "ROLLBACK" | "ABORT" => self.in_transaction = false,
            "CREATE" if done.is_ok() => self.guard.check_secrets(&self.connection)?,
            _ => {}
        }
        done
    }

    fn refresh(&mut self) -> Result<(), Error> {
        let runtime = self.runtime.clone();
        runtime.block_on(self.storage.renew(&self.connection))?;
        let news = runtime.block_on(self.catalog.news())?;
        if news.is_empty() {
            return Ok(());
        }
        let placed = runtime.block_on(self.place_files(&news))?;
        self.execute("BEGIN")?;
        match self.take_in(&news, &placed) {
            Ok(sides) => {
                self.execute("COMMIT")?;
                self.sides.extend(sides);
                news.iter().for_each(|news| self.catalog.accept(news));
                Ok(())
            }
            Err(error) => {
                self.execute("ROLLBACK")?;
                Err(error)
            }
        }
    }

    /// All commits of all streams, with their files placed.
    async fn place_files<'a>(&self, news: &'a [News]) -> Result<Vec<PlacedCommit<'a>>, Error> {
        let mut placed = Vec::new();
        for commit in news.iter().flat_map(|news| &news.commits) {
            let files = futures::stream::iter(&commit.files).map(|file| self.place(file)).buffered(PLACED_AT_ONCE);
            placed.push(PlacedCommit { commit, files: files.try_collect().await? });
        }
        Ok(placed)
    }

    async fn place<'a>(&self, file: &'a OutputFile) -> Result<PlacedFile<'a>, Error> {
        Ok(PlacedFile { file, location: self.storage.location(&file.key), path: self.storage.path(file).await? })
    }

    /// Brings the ledger's tables and the views up to date; what the views are then.
    fn take_in(&self, news: &[News], placed: &[PlacedCommit<'_>]) -> Result<BTreeMap<StreamName, Sides>, Error> {
        ledger_tables::append(&self.connection, placed)?;
        let mut changed = BTreeMap::new();
        for news in news {
            let mut sides = self.sides_of(news, &changed);
            for side in &mut sides {
                let files = news.commits.iter().flat_map(|commit| &commit.files);
                let added = files.filter(|file| file.key.zone() == side.zone).count();
                self.update(side, news, added)?;
            }
            changed.insert(news.stream.clone(), sides);
        }
        Ok(changed)
    }

    fn update(&self, side: &mut Side, news: &News, added: usize) -> Result<(), Error> {
        let had_files = side.files > 0;
        side.files += added;
        if added > 0 {
            self.execute(&ledger_tables::set_files(&side.view.variable(), &news.stream, side.zone.as_str()))?;
        }
        if news.columns_changed || (side.files > 0) != had_files {
            let created = self.connection.execute_batch(&side.view.create(side.files > 0));
            created.map_err(Error::unreadable(&side.view))?;
        }
        Ok(())
    }

    /// The stream's views with the columns that it has now; `changed` are the streams before it.
    fn sides_of(&self, news: &News, changed: &BTreeMap<StreamName, Sides>) -> Sides {
        let columns = bronze_columns(news.record.as_ref());
        if let Some([bronze, dead_letters]) = self.sides.get(&news.stream) {
            let view = View { columns, ..bronze.view.clone() };
            return [Side { view, ..bronze.clone() }, dead_letters.clone()];
        }
        let taken = |name: &str| {
            let mut all = self.sides.values().chain(changed.values());
            all.any(|[bronze, _]| folded(&bronze.view.name) == folded(name))
        };
        // SQL sees no difference between Events and events.
        let mut name = news.stream.to_string();
        let mut number = 2;
        while taken(&name) {
            name = format!("{}_{number}", news.stream);
            number += 1;
        }
        let side = |zone: ZoneName, columns| {
            let view = View { schema: zone.as_str(), name: name.clone(), columns };
            Side { view, zone, files: 0 }
        };
        [side(ZoneName::Bronze, columns), side(ZoneName::DeadLetters, dead_letter_columns())]
    }

    fn execute(&self, sql: &str) -> Result<(), Error> {
        self.connection.execute_batch(sql).map_err(Error::bug("take in what was committed"))
    }
}
