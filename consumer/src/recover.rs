//! Recovery: where a stream stands, read from its ledger and nothing else.
//!
//! Invariant: a ledger that contradicts itself is refused; nothing ever starts from zero by itself.

use std::sync::Arc;

use futures::TryStreamExt;
use lake::{
    Error,
    ids::BatchId,
    keys::Prefix,
    ledger::{Ledger, Plan, SchemaRecord, Snapshot},
};

use crate::discover::{CommittedInputs, KnownInputs};

/// Where a stream stands.
#[derive(Debug)]
pub struct Position {
    /// The batch that is next to be planned, or planned and not committed.
    pub next: BatchId,
    /// The plan of that batch, if somebody has claimed it.
    pub uncommitted: Option<Plan>,
    /// What all commits before it account for.
    pub known: KnownInputs,
    /// The schema of the newest plan or commit; `None` for a new stream.
    pub schema: Option<SchemaRecord>,
    /// The newest snapshot, if there is one.
    pub snapshot: Option<Arc<Snapshot>>,
}

/// Reads where the stream stands.
///
/// # Errors
/// - [`Error::Damaged`]: a file of the ledger is missing, unreadable or of an unknown version. A person must look.
/// - [`Error::Store`]: the store failed.
pub async fn recover(ledger: &Ledger) -> Result<Position, Error> {
    let mut history = ledger.history::<CommittedInputs>().await?;
    let last = history.last;
    let mut known = KnownInputs::default();
    let mut schema_id = None;
    while let Some(commit) = history.commits.try_next().await? {
        known.add(&commit);
        schema_id = Some(commit.schema_id);
    }
    let snapshot = history.snapshot.map(Arc::new);
    let next = last.map_or(BatchId::FIRST, BatchId::next);
    let uncommitted = uncommitted_plan(ledger, last, next).await?;
    if let Some(plan) = &uncommitted {
        schema_id = Some(plan.schema_id.clone());
    }
    if last.is_none() && uncommitted.is_none() {
        refuse_orphaned_rows(ledger).await?;
    }
    let schema = match schema_id {
        Some(id) => Some(ledger.schema(&id).await?),
        None => None,
    };
    Ok(Position { next, uncommitted, known, schema, snapshot })
}

async fn uncommitted_plan(ledger: &Ledger, last: Option<BatchId>, next: BatchId) -> Result<Option<Plan>, Error> {
    let planned = ledger.plans_after(last).await?;
    if let Some(beyond) = planned.iter().find(|batch| **batch > next) {
        let key = lake::keys::Key::Plan { stream: ledger.stream().clone(), batch: *beyond };
        let what = format!("is planned, though batch {} is not committed; restore the missing files", next.number());
        return Err(Error::damaged(key, what));
    }
    ledger.plan(next).await
}

/// A stream without a ledger has no rows either; where it has, its ledger was lost.
async fn refuse_orphaned_rows(ledger: &Ledger) -> Result<(), Error> {
    for prefix in [Prefix::Bronze(ledger.stream()), Prefix::DeadLetters(ledger.stream())] {
        if let Some(found) = ledger.lake().list(&prefix, None).try_next().await? {
            let what = format!(
                "has no plan and no commit, though {} exists; restore checkpoints/{} from a backup, or move the stream's \
                 files away to begin anew",
                found.key,
                ledger.stream()
            );
            return Err(Error::damaged(format!("checkpoints/{}", ledger.stream()), what));
        }
    }
    Ok(())
}
