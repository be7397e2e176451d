//! A ledger that was lost while the files of its stream were not.
//!
//! Invariant: such a stream is never taken for one that has done nothing yet.

use futures::TryStreamExt;

use super::{Ledger, Plan};
use crate::{
    error::Error,
    ids::BatchId,
    keys::{Key, Prefix},
};

impl Ledger {
    /// The key of a file of rows or dead letters of the stream; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Store`]: the store failed.
    pub async fn any_file(&self) -> Result<Option<String>, Error> {
        let any = |prefix| async move { self.lake.list(&prefix, None).try_next().await };
        let (bronze, dead_letters) =
            tokio::try_join!(any(Prefix::Bronze(&self.stream)), any(Prefix::DeadLetters(&self.stream)))?;
        Ok(bronze.or(dead_letters).map(|found| found.key))
    }

    /// Refuses a stream that has rows or dead letters though its ledger shows no batch: the ledger was lost. Call it
    /// when there was neither a plan nor a commit.
    ///
    /// Returns the plan of the first batch if a consumer has made it since then.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming what was found; [`Error::Store`] when the store failed.
    pub async fn refuse_lost(&self) -> Result<Option<Plan>, Error> {
        self.refuse_lost_with(self.any_file().await?).await
    }

    /// The same, for what [`Ledger::any_file`] has found.
    ///
    /// # Errors
    /// As [`Ledger::refuse_lost`].
    pub async fn refuse_lost_with(&self, found: Option<String>) -> Result<Option<Plan>, Error> {
        let Some(found) = found else { return Ok(None) };
        let plan = self.plan(BatchId::FIRST).await?;
        plan.map(Some).ok_or_else(|| self.lost(&found))
    }

    /// Refuses a stream that has a plan after its first batch, `planned`, and not one commit: the commits were lost.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the plan; [`Error::Store`] when the store failed.
    pub async fn refuse_lost_commits(&self, planned: BatchId) -> Result<(), Error> {
        // A consumer may have committed since the caller looked.
        if planned == BatchId::FIRST || self.commit(BatchId::FIRST).await?.is_some() {
            return Ok(());
        }
        Err(self.uncommitted_before(planned, BatchId::FIRST))
    }

    /// The error for a plan that is there though an earlier batch, `missing`, is not committed.
    pub fn uncommitted_before(&self, planned: BatchId, missing: BatchId) -> Error {
        let key = Key::Plan { stream: self.stream.clone(), batch: planned };
        let what = format!("is planned, though batch {} is not committed; restore the missing files", missing.number());
        Error::damaged(key, what)
    }

    fn lost(&self, found: &str) -> Error {
        let stream = &self.stream;
        let what = format!(
            "has no plan and no commit, though {found} exists; restore checkpoints/{stream} from a backup, or move the \
             stream's files away to start from the beginning"
        );
        Error::damaged(format!("checkpoints/{stream}"), what)
    }
}
