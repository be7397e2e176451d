//! Retention: deletes plans and commits that are older than the user wants to keep them.
//!
//! Nothing that was committed is lost: segments contain each commit file byte for byte. A plan has only one fact that
//! its commit does not have: how its objects were split. A snapshot records how far the deletion goes *before* anything
//! is deleted, so that missing files are known to be missing on purpose. Invariant: it deletes nothing that the newest
//! snapshot does not cover, and nothing that it names.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};

use super::{Commit, Ledger, READS_AT_ONCE, Segment, Snapshot};
use crate::{
    clock::Timestamp,
    error::Error,
    ids::BatchId,
    keys::{Key, Prefix},
};

/// How many batches one snapshot retires at most: many times what a snapshot adds, so that a stream whose retention was
/// set late catches up.
const RETIRED_AT_ONCE: u64 = 256;

impl Ledger {
    /// The last batch whose plan and commit must be deleted: committed before `keep_after`, and covered by `covered`.
    ///
    /// # Errors
    /// As [`Ledger::commit`].
    pub(super) async fn retired_by(
        &self,
        covered: &Snapshot,
        keep_after: Option<Timestamp>,
    ) -> Result<Option<BatchId>, Error> {
        let Some(keep_after) = keep_after else { return Ok(covered.retired) };
        let first = covered.retired.map_or(BatchId::FIRST, BatchId::next).number();
        let last = covered.batch.number().min(first + RETIRED_AT_ONCE - 1);
        let commits: Vec<_> = (first..=last).filter_map(BatchId::new).map(|batch| self.commit(batch)).collect();
        let mut commits = stream::iter(commits).buffered(READS_AT_ONCE);
        let mut retired = covered.retired;
        while let Some(commit) = commits.try_next().await? {
            match commit {
                Some(Commit { batch, committed_at, .. }) if committed_at < keep_after => retired = Some(batch),
                _ => break,
            }
        }
        Ok(retired)
    }

    /// Deletes what `snapshot` retires, and the snapshots, segments and input indexes of those batches that it has replaced.
    ///
    /// # Errors
    /// [`Error::Store`]: the rest is deleted with a later snapshot.
    pub(super) async fn delete_retired(&self, snapshot: &Snapshot, before: Option<BatchId>) -> Result<(), Error> {
        let Some(retired) = snapshot.retired.filter(|retired| Some(*retired) > before) else { return Ok(()) };
        // Starts further back than this call needs, to delete what a crash has left.
        let first = retired.number().saturating_sub(2 * RETIRED_AT_ONCE) + 1;
        let batches = (first..=retired.number()).filter_map(BatchId::new);
        let mut keys: Vec<Key> = batches.flat_map(|batch| [self.plan_key(batch), self.commit_key(batch)]).collect();
        keys.extend(self.superseded(snapshot, retired).await?);
        self.lake().delete(keys).await?;
        tracing::info!(
            stream = %self.stream(),
            up_to_batch = retired.number(),
            "deleted plans and commits that are older than ledger.keep; segments keep what was committed"
        );
        Ok(())
    }

    /// Snapshots, segments, input indexes and attempts of retired batches that nothing names any more.
    async fn superseded(&self, snapshot: &Snapshot, retired: BatchId) -> Result<Vec<Key>, Error> {
        let stream = self.stream();
        let named = |segment: &Segment| [Some(segment.key(stream)), segment.inputs_key(stream)];
        let named: HashSet<Key> = snapshot.segments.iter().flat_map(named).flatten().collect();
        let mut keys = Vec::new();
        let derived = [Prefix::Snapshots(stream), Prefix::Segments(stream), Prefix::InputIndexes(stream)];
        for prefix in derived.into_iter().chain([Prefix::AllAttempts(stream)]) {
            let mut listing = self.lake().list(&prefix, None);
            while let Some(listed) = listing.try_next().await? {
                let Ok(key) = Key::parse(&listed.key) else { continue };
                let is_old = match &key {
                    Key::Snapshot { batch, .. } => *batch <= retired && *batch != snapshot.batch,
                    Key::Attempt { batch, .. } | Key::AttemptEnd { batch, .. } | Key::Reading { batch, .. } => {
                        *batch <= retired
                    }
                    Key::Segment { last, .. } | Key::InputIndex { last, .. } => {
                        *last <= retired && !named.contains(&key)
                    }
                    _ => false,
                };
                keys.extend(is_old.then_some(key));
            }
        }
        Ok(keys)
    }
}
