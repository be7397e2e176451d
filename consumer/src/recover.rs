//! Recovery: where a stream is, read from its ledger and nothing else.
//!
//! Invariant: it refuses a ledger that contradicts itself, and never starts from zero on its own.

use std::sync::Arc;

use futures::TryStreamExt;
use lake::{
    Error,
    ids::BatchId,
    keys::{Key, ZoneName},
    ledger::{CommittedInputs, InputOutcome, Ledger, Plan, SchemaRecord, Snapshot},
};

use crate::discover::{KnownInputs, Mending};

/// Where a stream is.
#[derive(Debug)]
pub(crate) struct Position {
    /// The next batch to plan, or one that is planned and not committed.
    pub next: BatchId,
    /// The plan of that batch, if a consumer has claimed it.
    pub uncommitted: Option<Plan>,
    /// What all commits before it account for.
    pub known: KnownInputs,
    /// The schema of the newest plan or commit; `None` for a new stream.
    pub schema: Option<SchemaRecord>,
    /// The newest snapshot, if there is one.
    pub snapshot: Option<Arc<Snapshot>>,
}

/// Reads where the stream is.
///
/// # Errors
/// - [`Error::Damaged`]: a file of the ledger is missing, unreadable or of an unknown version. A person must look.
/// - [`Error::Store`]: the store failed.
pub(crate) async fn recover(ledger: &Ledger) -> Result<Position, Error> {
    let hinted = ledger.hinted_snapshot().await?;
    // What only a stream without a commit needs, which has no hint. Asked for together, since each of them waits for the
    // store.
    let is_young = hinted.is_none();
    let beginning = async {
        let plan = ledger.plan(BatchId::FIRST);
        if is_young { Some(tokio::try_join!(ledger.plans_after(None), plan, ledger.any_file())) } else { None }
    };
    let history = ledger.history_after_snapshot::<CommittedInputs>(hinted);
    let (history, beginning) = tokio::join!(history, beginning);
    let mut history = history?;
    let last = history.last;
    let mut known = KnownInputs::new(ledger.clone(), Mending::Store);
    let mut schema_id = None;
    while let Some(commit) = history.commits.try_next().await? {
        schema_id = Some(commit.schema_id.clone());
        known.add(commit);
    }
    let snapshot = history.snapshot.map(Arc::new);
    if let Some(snapshot) = &snapshot {
        known.cover(snapshot).await?;
        if schema_id.is_none() {
            schema_id = Some(ledger.last_covered::<CommittedInputs>(snapshot).await?.schema_id);
        }
    }
    let mut next = last.map_or(BatchId::FIRST, BatchId::next);
    let (planned, mut uncommitted, file) = match beginning.filter(|_| last.is_none()) {
        Some(beginning) => beginning?,
        None => tokio::try_join!(ledger.plans_after(last), ledger.plan(next), async { Ok(None) })?,
    };
    // Another consumer may have continued since the commits were listed, or the listing may have missed some.
    for beyond in planned {
        while next < beyond {
            let commit = ledger.commit(next).await?.ok_or_else(|| ledger.uncommitted_before(beyond, next))?;
            known.add(CommittedInputs::of(&commit));
            schema_id = Some(commit.schema_id);
            next = next.next();
            uncommitted = ledger.plan(next).await?;
        }
    }
    if next == BatchId::FIRST && uncommitted.is_none() {
        uncommitted = ledger.refuse_lost_with(file).await?;
    }
    if let Some(plan) = &uncommitted {
        schema_id = plan.schema_id().cloned().or(schema_id);
    }
    if let Some(last) = last.filter(|_| ledger.lake().versions_show_their_store(ZoneName::Raw)) {
        refuse_other_versions(ledger, last).await?;
    }
    let schema = match schema_id {
        Some(id) => Some(ledger.schema(&id).await?),
        None => None,
    };
    Ok(Position { next, uncommitted, known, schema, snapshot })
}

/// Refuses a ledger whose inputs have names that the raw zone's store does not use: each would be read again.
async fn refuse_other_versions(ledger: &Ledger, last: BatchId) -> Result<(), Error> {
    let Some(commit) = ledger.commit(last).await? else { return Ok(()) };
    let is_other = |input: &&InputOutcome| !ledger.lake().names_version(ZoneName::Raw, &input.etag);
    match commit.inputs.iter().find(is_other) {
        None => Ok(()),
        Some(input) => {
            let what = format!(
                "names {} by the version {:?}, but {} names versions in another way now, so all objects would be read \
                 again; the lake was moved from another kind of store, or an earlier program wrote it: use that \
                 program, or a new lake",
                input.key,
                input.etag,
                ledger.lake().zone(ZoneName::Raw)
            );
            let key = Key::Commit { stream: ledger.stream().clone(), batch: last };
            Err(Error::damaged(key, what))
        }
    }
}
