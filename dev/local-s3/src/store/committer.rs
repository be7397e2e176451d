//! Applies changes to the index, one at a time, and commits them together.
//!
//! Knows transactions and when a blob may be adopted or unlinked. Knows nothing about what a change means.
//! Invariant: changes take effect in one order, each sees all earlier ones, and a change returns only after its
//! transaction is committed. That makes conditional writes atomic.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use redb::Database;
use s3s::{S3Result, s3_error};
use tokio::sync::oneshot;

use super::blobs::{BlobId, BlobStore, PendingBlob};
use super::tables::{WriteTables, open_for_writing};

/// The most changes that share a commit: enough to amortise it, few enough to bound the wait.
const CHANGES_PER_COMMIT_MAX: usize = 256;

/// Applies one change within a transaction.
type Apply = Box<dyn FnOnce(&mut WriteTables<'_>) -> Finish + Send>;
/// Answers the caller, once it is known whether the transaction was committed.
type Finish = Box<dyn FnOnce(bool) + Send>;

/// The result of a change, valid once it is committed.
pub(crate) struct Applied<T> {
    /// The answer to the caller.
    pub(crate) value: T,
    /// The blob that a record refers to now.
    pub(crate) adopted: Option<PendingBlob>,
    /// The blobs that no record refers to any more.
    pub(crate) released: Vec<BlobId>,
}

impl<T> Applied<T> {
    /// A change that touches no blob.
    pub(crate) fn value(value: T) -> Self {
        Self { value, adopted: None, released: Vec::new() }
    }
}

/// The one writer of an index: a thread that takes changes from a queue.
pub(crate) struct Committer {
    queue: Option<mpsc::Sender<Apply>>,
    blobs: Arc<BlobStore>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(crate) fn start(database: Arc<Database>, blobs: Arc<BlobStore>) -> std::io::Result<Self> {
        let (queue, changes) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("local-s3-commit".into())
            .spawn(move || commit_until_closed(&database, &changes))?;
        Ok(Self { queue: Some(queue), blobs, thread: Some(thread) })
    }

    /// Applies `change` and returns once it is committed.
    ///
    /// Dropping the future does not undo the change. A change that returns an error must not have written anything.
    pub(crate) async fn change<T, F>(&self, change: F) -> S3Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTables<'_>) -> S3Result<Applied<T>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let blobs = Arc::clone(&self.blobs);
        let apply: Apply = Box::new(move |tables| {
            let outcome = change(tables);
            Box::new(move |committed| {
                let (result, released) = settle(outcome, committed);
                // The caller may be gone; the change is kept anyway.
                drop(answer.send(result));
                released.into_iter().for_each(|blob| blobs.unlink(blob));
            })
        });
        let closed = || s3_error!(ServiceUnavailable, "the server is shutting down");
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.send(apply).map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

fn settle<T>(outcome: S3Result<Applied<T>>, committed: bool) -> (S3Result<T>, Vec<BlobId>) {
    match outcome {
        Ok(applied) if committed => {
            if let Some(blob) = applied.adopted {
                blob.adopt();
            }
            (Ok(applied.value), applied.released)
        }
        Ok(_) => {
            let error = s3_error!(InternalError, "the index could not be written: see the server's log");
            (Err(error), Vec::new())
        }
        Err(refusal) => (Err(refusal), Vec::new()),
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the commit thread panicked");
        }
    }
}

fn commit_until_closed(database: &Database, changes: &mpsc::Receiver<Apply>) {
    while let Ok(first) = changes.recv() {
        let mut finishes = Vec::new();
        let waiting = std::iter::once(first).chain(changes.try_iter());
        let committed = match commit(database, waiting.take(CHANGES_PER_COMMIT_MAX), &mut finishes) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "cannot commit to the index");
                false
            }
        };
        finishes.into_iter().for_each(|finish| finish(committed));
    }
}

fn commit(
    database: &Database,
    changes: impl Iterator<Item = Apply>,
    finishes: &mut Vec<Finish>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let mut tables = open_for_writing(&transaction)?;
    finishes.extend(changes.map(|apply| apply(&mut tables)));
    let changed = tables.changed;
    drop(tables);
    if changed {
        transaction.commit()?
    } else {
        transaction.abort()?
    }
    Ok(())
}
