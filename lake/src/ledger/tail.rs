//! Tail: follows a ledger. First a fold over everything committed so far, then what is new.
//!
//! The reader, `status` and everything else that watches a stream uses it. Invariant: each commit is added to the fold
//! once, in order, whatever fails in between.

use futures::TryStreamExt;

use super::{FromCommitFile, Ledger, Snapshot};
use crate::{error::Error, ids::BatchId};

/// What a follower keeps of the commits.
pub trait Fold: Send {
    /// What it needs of each commit file.
    type Commit: FromCommitFile;

    /// Adds the next commit.
    fn add(&mut self, commit: Self::Commit);

    /// Takes the snapshot from which the commits up to its batch are read, before they are added.
    fn read_from(&mut self, _snapshot: Snapshot) {}
}

/// A follower of one stream's ledger.
#[derive(Debug)]
pub struct Tail<F> {
    ledger: Ledger,
    state: F,
    last: Option<BatchId>,
}

impl<F: Fold> Tail<F> {
    /// A follower that has seen nothing yet. Sends no request to the store.
    pub fn new(ledger: Ledger, state: F) -> Self {
        Self { ledger, state, last: None }
    }

    /// Adds what was committed since the last call; returns the number of those commits.
    ///
    /// The first call reads the newest snapshot and the commits after it. Each call costs one listing, and a read per
    /// new commit. It costs a second listing if the first call's hint is stale, or if the follower slept so long that
    /// commits which it has not seen are deleted: it then reads them from the segments.
    ///
    /// # Errors
    /// As [`Ledger::history_after`]. What was added before the error stays, and the next call continues after it.
    pub async fn follow(&mut self) -> Result<u64, Error> {
        let mut history = self.ledger.history_after::<F::Commit>(self.last).await?;
        if let Some(snapshot) = history.snapshot.take() {
            self.state.read_from(snapshot);
        }
        let mut commits = history.commits;
        let mut added = 0;
        while let Some(commit) = commits.try_next().await? {
            self.state.add(commit);
            self.last = Some(self.last.map_or(BatchId::FIRST, BatchId::next));
            added += 1;
        }
        Ok(added)
    }

    /// The followed ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The last batch that was added.
    pub fn last(&self) -> Option<BatchId> {
        self.last
    }

    /// The fold over all commits so far.
    pub fn state(&self) -> &F {
        &self.state
    }

    /// The same, to be changed by its owner, for example to take something out.
    pub fn state_mut(&mut self) -> &mut F {
        &mut self.state
    }
}
