//! After the commit: archives or deletes the objects that it names, if the stream wants that.
//!
//! Removes a version of an object only once a commit has accounted for that version, and leaves any other version that
//! has taken its place. The next full listing finds what a crash left over. Invariant: calling again is safe.

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

use crate::{discover::KnownVersion, failpoint};

/// The versions that a commit accounts for and that are not needed any more.
pub(crate) fn done_with(commit: &Commit) -> Vec<KnownVersion> {
    let read = commit.inputs.iter().filter(|input| input.outcome.may_be_removed());
    read.map(|input| KnownVersion { key: input.key.clone(), etag: input.etag.clone() }).collect()
}

/// Archives or deletes these versions. Logs what it did and what it could not do; returns whether it did everything.
pub(crate) async fn remove(lake: &Lake, after_commit: AfterCommit, objects: Vec<KnownVersion>) -> bool {
    if after_commit == AfterCommit::Keep || objects.is_empty() {
        return true;
    }
    failpoint::reach("after_commit:begun", &"");
    let removals = objects.iter().map(|object| remove_one(lake, after_commit, object));
    // Collected, since the compiler can't see that a mapped stream of borrows may move between threads.
    let removals: Vec<_> = removals.collect();
    let results: Vec<_> = stream::iter(removals).buffer_unordered(lake.transfers().most()).collect().await;
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

async fn remove_one(lake: &Lake, after_commit: AfterCommit, object: &KnownVersion) -> Result<Removed, Error> {
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
