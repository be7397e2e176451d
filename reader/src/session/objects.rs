//! When `checkpoints.objects` is filled: not before a statement names it.
//!
//! A stream may have had millions of objects. Invariant: once a statement has named the table, whatever it was for, the
//! table is kept up to date, so that a view or a macro over it never shows an old state.

use std::collections::BTreeSet;

use duckdb::Connection;
use futures::TryStreamExt;
use lake::{ErrorKind, ids::StreamName, ledger::Ledger};

use super::Session;
use crate::{catalog::Published, error::Error, ledger_tables::ObjectRows};

/// Statements that hold one of these may read the table. `database`: they copy all there is.
const NAMES: [&str; 2] = ["objects", "database"];

/// Which streams' objects are in the table.
#[derive(Debug, Default)]
pub(super) struct Objects {
    wanted: bool,
    loaded: BTreeSet<StreamName>,
    /// Those that a transaction of the user's holds; they are gone with it when it is rolled back.
    in_transaction: BTreeSet<StreamName>,
}

impl Objects {
    /// Adds the objects of new commits of streams whose old ones are there.
    pub(super) fn append<'a>(
        &self,
        connection: &Connection,
        commits: impl Iterator<Item = &'a Published>,
    ) -> Result<(), Error> {
        let mut rows = ObjectRows::open(connection)?;
        for published in commits.filter(|published| self.loaded.contains(&published.commit.stream)) {
            rows.add(&published.commit, &published.inputs)?;
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
    /// Fills the table if the statement names it, or an earlier one did.
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
            let mut commits = self.catalog.told_commits(&ledger).await?;
            let mut rows = ObjectRows::open(&self.connection)?;
            while let Some(commit) = commits.try_next().await? {
                rows.add(&commit, &commit.inputs)?;
            }
            rows.finish()
        });
        match filled {
            Ok(()) => {}
            // The refresh has told of it.
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
