//! What has landed and is not committed, kept from look to look.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Discovered, KnownInputs};

/// Objects that wait to be committed. Each look adds what it found; only a full listing shows what is gone.
#[derive(Debug, Default)]
pub struct Pending {
    /// By key and version, when it last changed by the store's clock.
    objects: BTreeMap<(String, String), DateTime<Utc>>,
    ignored: u64,
}

impl Pending {
    /// Adds what a look found, and drops what `known` accounts for.
    pub fn take_in(&mut self, found: Discovered, known: &KnownInputs) {
        if found.full {
            self.objects.clear();
            self.ignored = 0;
        } else {
            self.objects.retain(|(key, etag), _| !known.contains(key, etag));
        }
        self.ignored += found.ignored;
        let landed = found.objects.into_iter().zip(found.changed);
        self.objects.extend(landed.map(|(object, changed)| ((object.key.to_string(), object.etag), changed)));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// When the longest-waiting object last changed.
    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        self.objects.values().min().copied()
    }

    /// What is not an input: markers, empty folders, and unreadable files.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }
}
