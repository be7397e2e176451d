//! Transfers: how many objects a process reads, writes and copies at a time.
//!
//! A store answers after its latency, however fast this machine is, so their number is a setting of its own. Invariant:
//! no transfer waits for another while it holds its place, so none waits for good.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};

/// Places for transfers. Clones share them.
#[derive(Clone, Debug)]
pub struct Transfers {
    places: Arc<Semaphore>,
    turns: Arc<Mutex<()>>,
    files: Arc<Semaphore>,
    most: usize,
}

impl Transfers {
    /// How many are under way by default: enough for 2,000 small objects a second at 30 ms an answer.
    pub const DEFAULT: usize = 64;

    /// The most that can be set: each one is a connection to the store.
    pub const LIMIT: usize = 1_000;

    /// Places for this many, at least one and at most [`Transfers::LIMIT`].
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Self::LIMIT);
        Self { places: Arc::new(Semaphore::new(most)), turns: Arc::default(), files: Arc::new(Semaphore::new(1)), most }
    }

    /// How many there may be at a time.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Waits for a place, in the order of the calls; the transfer is over when the result is dropped.
    pub async fn begin(&self) -> Option<OwnedSemaphorePermit> {
        // The places are never closed.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// The same for a small file that is written to a folder: one after the other, since a file system lets only one writer
    /// at a time add a name to a folder, and the others would spend their time on waiting for it.
    pub(super) async fn begin_file(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.files).acquire_owned().await.ok()
    }

    /// Waits until all transfers of those who had their turn before have begun: so what was asked for first is there
    /// first, and not everything at the end.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turns.lock().await
    }
}

impl Default for Transfers {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}
