//! Transfers: how many objects a process reads, writes and copies at a time.
//!
//! A store answers after its latency, however fast this machine is, so their number is a setting of its own. Invariant:
//! no transfer waits for another while it holds its place, so none waits for good.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Places for transfers. Clones share them.
#[derive(Clone, Debug)]
pub struct Transfers {
    places: Arc<Semaphore>,
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
        Self { places: Arc::new(Semaphore::new(most)), most }
    }

    /// How many there may be at a time.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Waits for a place, in the order of the calls; the transfer is over when the result is dropped.
    pub async fn begin(&self) -> Option<SemaphorePermit<'_>> {
        // The places are never closed.
        self.places.acquire().await.ok()
    }
}

impl Default for Transfers {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}
