//! What has landed and is not committed, kept from look to look.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{Discovered, KnownInputs};

/// Objects that wait to be committed. Each look adds what it found; only a full listing shows what is gone.
#[derive(Debug, Default)]
pub struct Pending {
    /// By key and version, when it last changed by the store's clock.
    objects: BTreeMap<(String, String), DateTime<Utc>>,
    /// By key and version, those that the store refuses to let be read.
    deferred: BTreeSet<(String, String)>,
    ignored: u64,
}

impl Pending {
    /// Adds what a look found, and drops what `known` accounts for.
    pub fn take_in(&mut self, found: Discovered, known: &KnownInputs) {
        if found.full {
            self.objects.clear();
            self.deferred.clear();
            self.ignored = 0;
        } else {
            let waits = |key: &str, etag: &str| !known.contains(key, etag) && known.deferred_since(key, etag).is_none();
            self.objects.retain(|(key, etag), _| waits(key, etag));
            self.deferred.retain(|(key, etag)| !known.contains(key, etag));
        }
        self.ignored += found.ignored;
        self.deferred.extend(found.deferred.into_iter().map(|object| (object.key.to_string(), object.etag)));
        let landed = found.objects.into_iter().zip(found.changed);
        self.objects.extend(landed.map(|(object, changed)| ((object.key.to_string(), object.etag), changed)));
    }

    /// How many there are, those included that may not be read.
    pub fn len(&self) -> usize {
        self.objects.len() + self.deferred.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many the store refuses to let be read.
    pub fn deferred(&self) -> u64 {
        self.deferred.len() as u64
    }

    /// When the longest-waiting object that may be read last changed.
    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        self.objects.values().min().copied()
    }

    /// What is not an input: empty folders, what can't be read, and what is passed over because of its name.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }
}
