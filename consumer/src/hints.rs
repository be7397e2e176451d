//! Hints: notifications that something has landed, so that the next look happens at once.
//!
//! A hint is never the truth. It only ends the pipeline's wait, and names keys that the next look asks the store about.
//! Invariant: whatever is lost, doubled, late or forged, the looks find the same objects, only sooner or later; and the
//! hints that wait take bounded memory.

mod event;
mod listener;
mod queue;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::FutureExt;
use lake::{
    ids::StreamName,
    keys::{Key, ZoneName},
    store::Lake,
};
use tokio::sync::Notify;

pub use listener::{Limits, Listener};
pub use queue::{Queue, QueueUrl};

/// The most keys that wait for a look; a full listing finds the objects of all others.
const NAMED_MAX: usize = 1_000;

/// The longest key that S3 allows, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

/// What has been hinted at since the last look. Clones share it: some give hints, the pipeline takes them.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    arrived: Notify,
    /// By their text: in order, so that a simulation repeats itself.
    named: Mutex<BTreeMap<String, Key>>,
}

impl Hints {
    /// Says that something has landed.
    pub fn wake(&self) {
        self.waiting.arrived.notify_one();
    }

    /// Says that these objects may have landed.
    pub fn name(&self, keys: impl IntoIterator<Item = Key>) {
        let mut named = self.named();
        for key in keys {
            if named.len() >= NAMED_MAX {
                break;
            }
            named.insert(key.to_string(), key);
        }
        drop(named);
        self.wake();
    }

    /// Waits for a hint that came after the last [`Hints::take`]; at once if there is one.
    pub async fn arrived(&self) {
        self.waiting.arrived.notified().await;
    }

    /// All that was named since the last time. A look that begins after this covers every hint so far.
    pub fn take(&self) -> Vec<Key> {
        // Before the keys: a hint that comes in between wakes once more.
        let _covered = self.arrived().now_or_never();
        std::mem::take(&mut *self.named()).into_values().collect()
    }

    fn named(&self) -> MutexGuard<'_, BTreeMap<String, Key>> {
        self.waiting.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns notifications into hints for one stream.
#[derive(Clone, Debug)]
pub struct Intake {
    lake: Lake,
    stream: StreamName,
    hints: Hints,
}

impl Intake {
    /// Passes on what notifications say about `stream`.
    pub fn new(lake: Lake, stream: StreamName, hints: Hints) -> Self {
        Self { lake, stream, hints }
    }

    /// Takes the body of a notification, which may be any bytes. Objects of the stream are hinted at, and others are
    /// not; a body that is not understood wakes the pipeline too.
    pub fn accept(&self, body: &[u8]) {
        let Some(locations) = event::locations(body) else { return self.hints.wake() };
        let mut ours = locations.iter().filter_map(|location| self.key_at(location)).peekable();
        if ours.peek().is_some() {
            self.hints.name(ours);
        }
    }

    fn key_at(&self, location: &str) -> Option<Key> {
        let key = self.lake.key_at(ZoneName::Raw, location)?;
        let ours = matches!(&key, Key::Raw { stream, rest } if *stream == self.stream && rest.len() <= KEY_BYTES_MAX);
        ours.then_some(key)
    }
}
