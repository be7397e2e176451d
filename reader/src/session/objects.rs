//! Fills `checkpoints.objects`, but not before a statement names it.
//!
//! A stream may have had millions of objects. Invariant: once any statement has named the table, it is kept up to date,
//! so that a view or a macro over it never shows an old state.

use std::collections::BTreeSet;

use duckdb::Connection;
use futures::TryStreamExt;
use lake::{
    ErrorKind,
    ids::StreamName,
    ledger::{Commit, Ledger},
    store::Lake,
};

use super::Session;
use crate::{catalog::News, error::Error, ledger_tables::ObjectRows};

/// Statements with one of these words may read the table. `database`: those that copy everything.
const NAMES: [&str; 2] = ["objects", "database"];

/// Which streams' objects are in the table.
#[derive(Debug, Default)]
pub(super) struct Objects {
    wanted: bool,
    loaded: BTreeSet<StreamName>,
    /// Those that were added in a transaction of the user; they disappear when it is rolled back.
    in_transaction: BTreeSet<StreamName>,
}

impl Objects {
    /// New commits of streams whose old objects are in the table, with their inputs.
    pub(super) async fn commits_of(&self, lake: &Lake, news: &[News]) -> Result<Vec<Commit>, Error> {
        let mut commits = Vec::new();
        for news in news.iter().filter(|news| self.loaded.contains(&news.stream)) {
            let ledger = Ledger::new(lake.clone(), news.stream.clone());
            for published in &news.commits {
                commits.extend(ledger.commit(published.commit.batch).await?);
            }
        }
        Ok(commits)
    }

    /// Adds the objects of these commits.
    pub(super) fn append(connection: &Connection, commits: &[Commit]) -> Result<(), Error> {
        let mut rows = ObjectRows::open(connection)?;
        for commit in commits {
            rows.add(commit)?;
        }
        rows.finish()
    }

    pub(super) fn end_transaction(&mut self, kept: bool) {
        let within = std::mem::take(&mut self.in_transaction);
        if !kept {
            self.loaded.retain(|stream| !within.contains(stream));
        }
    }
}

impl Session {
    /// Fills the table if this statement names it, or an earlier one did.
    pub(super) fn load_objects(&mut self, statement: &str) -> Result<(), Error> {
        let lower = statement.to_lowercase();
        self.objects.wanted |= NAMES.iter().any(|name| lower.contains(name));
        if !self.objects.wanted {
            return Ok(());
        }
        let missing = self.relations.streams().filter(|stream| !self.objects.loaded.contains(*stream));
        for stream in missing.cloned().collect::<Vec<_>>() {
            self.load_objects_of(stream)?;
        }
        Ok(())
    }

    fn load_objects_of(&mut self, stream: StreamName) -> Result<(), Error> {
        let ledger = Ledger::new(self.catalog.lake().clone(), stream.clone());
        let runtime = self.runtime.clone();
        let filled = runtime.block_on(async {
            let mut commits = self.catalog.accepted_commits(&ledger).await?;
            let mut rows = ObjectRows::open(&self.connection)?;
            while let Some(commit) = commits.try_next().await? {
                rows.add(&commit)?;
            }
            rows.finish()
        });
        match filled {
            Ok(()) => {}
            // The refresh has reported it.
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(()),
            Err(error) => return Err(error),
        }
        if self.in_transaction {
            self.objects.in_transaction.insert(stream.clone());
        }
        self.objects.loaded.insert(stream);
        Ok(())
    }
}
