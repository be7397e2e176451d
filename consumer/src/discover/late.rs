//! Objects that hints name and a short listing does not show, since they sort before what it lists.
//!
//! They are asked for one by one, and then treated as if they had been listed. Invariant: a key can only lead to the
//! object that a full listing shows under the same key, and whatever a hint says, it makes no look fail.

use std::collections::BTreeMap;

use futures::{
    StreamExt,
    stream::{BoxStream, empty, iter},
};
use lake::{
    Error,
    error::describe,
    ids::StreamName,
    keys::{Key, ZoneName},
    store::{Lake, Listed},
    stream::InputNames,
};
use program::output::escape_control;
use tracing::debug;

/// The most keys that wait for a look; a full listing finds the objects of all others.
const KEYS_MAX: usize = 1_000;

/// The keys that hints have named since the last look that succeeded, by their text.
#[derive(Debug, Default)]
pub(super) struct LateKeys {
    keys: BTreeMap<String, Key>,
}

impl LateKeys {
    pub(super) fn add(&mut self, keys: impl IntoIterator<Item = Key>) {
        let free = KEYS_MAX.saturating_sub(self.keys.len());
        self.keys.extend(keys.into_iter().take(free).map(|key| (key.to_string(), key)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }

    /// Those of a stream's objects that exist and that a listing of all after `after` does not show.
    pub(super) fn look_up(
        &self,
        lake: &Lake,
        stream: &StreamName,
        inputs: &InputNames,
        after: &Key,
    ) -> BoxStream<'static, Result<Listed, Error>> {
        // The same file under another key would be read again.
        if !lake.has_exact_keys(ZoneName::Raw) {
            return empty().boxed();
        }
        let is_late = |key: &Key| match key {
            Key::Raw { stream: of, rest } => of == stream && inputs.has(rest) && is_plain(rest),
            _ => false,
        };
        let late = self.keys.range(..=after.to_string()).filter(|(_, key)| is_late(key));
        let asked: Vec<_> = late.map(|(_, key)| look_up_one(lake.clone(), key.clone())).collect();
        // No object is read during a look, so these are all that is under way. They take no places: none of them would
        // be given back while the look reads what is known.
        iter(asked).buffered(lake.transfers().most()).filter_map(async |found| found.map(Ok)).boxed()
    }
}

/// Whether no store can take the key for a path that has another spelling: some of those that speak S3 do so.
fn is_plain(rest: &str) -> bool {
    !rest.split('/').any(|segment| matches!(segment, "" | "." | ".."))
}

/// A refusal may concern this key alone, and other failures show in the listing: either way a full listing decides.
async fn look_up_one(lake: Lake, key: Key) -> Option<Listed> {
    lake.head(&key).await.unwrap_or_else(|error| {
        debug!(key = escape_control(&key.to_string()), error = describe(&error), "a hint could not be followed");
        None
    })
}
