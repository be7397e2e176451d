//! After the commit: moves aside or deletes the objects that it names, where the stream wants that.
//!
//! Removes a version of an object only once a commit has accounted for that very version, and leaves any other that has
//! taken its place. What a crash leaves behind is found by the next full listing. Invariant: calling again is safe.

use futures::{StreamExt, stream};
use lake::{
    Error,
    error::describe,
    ids::VersionId,
    keys::Key,
    ledger::Commit,
    store::{Lake, Removed},
    stream::AfterCommit,
};
use tracing::{info, warn};

use crate::failpoint;

/// How many objects are removed at once: enough to hide a store's latency.
const REMOVALS_AT_ONCE: usize = 16;

/// One version of an object that a commit has accounted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoneWith {
    /// The object.
    pub key: Key,
    /// The version.
    pub etag: String,
}

/// The versions that a commit accounts for.
pub fn done_with(commit: &Commit) -> Vec<DoneWith> {
    let read = commit.inputs.iter().filter(|input| input.outcome.is_final());
    read.map(|input| DoneWith { key: input.key.clone(), etag: input.etag.clone() }).collect()
}

/// Moves aside or deletes these versions. Tells in the log what it did and what it could not do, and whether it did all.
pub async fn remove(lake: &Lake, after_commit: AfterCommit, objects: Vec<DoneWith>) -> bool {
    if after_commit == AfterCommit::Keep || objects.is_empty() {
        return true;
    }
    failpoint::reach("after_commit:begun", &"");
    let removals = objects.iter().map(|object| remove_one(lake, after_commit, object));
    // Collected, since the compiler can't see that a mapped stream of borrows may move between threads.
    let removals: Vec<_> = removals.collect();
    let results: Vec<_> = stream::iter(removals).buffer_unordered(REMOVALS_AT_ONCE).collect().await;
    let of = |wanted| results.iter().filter(|result| matches!(result, Ok(removed) if *removed == wanted)).count();
    let (removed, overwritten) = (of(Removed::Gone), of(Removed::Changed));
    let failures: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    let how = if after_commit == AfterCommit::Archive { "archived" } else { "deleted" };
    info!(removed, overwritten, how, "removed committed objects from the raw zone");
    if let Some(first) = failures.first() {
        let (failed, error) = (failures.len(), describe(*first));
        warn!(
            failed,
            error, "some committed objects could not be removed from the raw zone; a later listing tries again"
        );
    }
    failures.is_empty()
}

async fn remove_one(lake: &Lake, after_commit: AfterCommit, object: &DoneWith) -> Result<Removed, Error> {
    if let (AfterCommit::Archive, Key::Raw { stream, rest }) = (after_commit, &object.key) {
        let version = VersionId::of(object.etag.as_bytes());
        let archived = Key::Archived { stream: stream.clone(), version, rest: rest.clone() };
        if lake.copy_version(&object.key, &object.etag, &archived).await? == Removed::Changed {
            return Ok(Removed::Changed);
        }
        failpoint::reach("after_commit:copied", &object.key);
    }
    let removed = lake.delete_version(&object.key, &object.etag).await?;
    failpoint::reach("after_commit:removed", &object.key);
    Ok(removed)
}
