//! What has landed and is not committed, kept from look to look.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use lake::Error;

use super::{Discovered, KnownAs, KnownInputs, PAGE_LISTED, Version, version};

/// Objects that wait to be committed. Each look adds what it found; only a full listing that has ended shows what is
/// gone.
#[derive(Debug, Default)]
pub struct Pending {
    /// By key and version.
    objects: BTreeMap<Version, Waiting>,
    /// By key and version, those that the store refuses to let be read, and the listing that found each last.
    deferred: BTreeMap<Version, u64>,
    /// The number of the full listing that began last; looks after it count as parts of it.
    listing: u64,
    /// What that listing has ignored so far.
    ignored_now: u64,
    ignored: u64,
}

/// An object that waits.
#[derive(Debug)]
struct Waiting {
    /// When it last changed, by the store's clock.
    changed: DateTime<Utc>,
    /// The listing that found it last.
    listing: u64,
}

impl Pending {
    /// Adds what a look found, and drops what `known` accounts for.
    ///
    /// # Errors
    /// As [`KnownInputs::look_up`]; nothing has changed then.
    pub async fn take_in(&mut self, found: Discovered, known: &mut KnownInputs) -> Result<(), Error> {
        if !(found.full && found.complete) {
            self.drop_known(known).await?;
        }
        if found.full {
            self.listing += 1;
            self.ignored_now = 0;
        }
        let listing = self.listing;
        self.ignored_now += found.ignored;
        self.deferred.extend(found.deferred.iter().map(|deferred| (version(&deferred.object), listing)));
        let landed = found.objects.into_iter().zip(found.changed);
        self.objects.extend(landed.map(|(object, changed)| (version(&object), Waiting { changed, listing })));
        if found.complete {
            self.objects.retain(|_, waiting| waiting.listing == listing);
            self.deferred.retain(|_, found_by| *found_by == listing);
            self.ignored = self.ignored_now;
        } else {
            self.ignored = self.ignored.max(self.ignored_now);
        }
        Ok(())
    }

    /// Drops what has been committed since the last look.
    async fn drop_known(&mut self, known: &mut KnownInputs) -> Result<(), Error> {
        let waiting: BTreeSet<Version> = self.objects.keys().chain(self.deferred.keys()).cloned().collect();
        let waiting: Vec<Version> = waiting.into_iter().collect();
        let (mut done, mut refused) = (BTreeSet::new(), BTreeSet::new());
        for page in waiting.chunks(PAGE_LISTED) {
            let known_as = known.look_up(page.iter().map(|(key, etag)| (key.as_str(), etag.as_str()))).await?;
            for (version, known_as) in page.iter().zip(known_as) {
                match known_as {
                    KnownAs::Done { .. } => drop(done.insert(version)),
                    KnownAs::New { deferred_since: Some(_), .. } => drop(refused.insert(version)),
                    KnownAs::New { .. } => {}
                }
            }
        }
        self.objects.retain(|version, _| !done.contains(version) && !refused.contains(version));
        self.deferred.retain(|version, _| !done.contains(version));
        Ok(())
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
        self.objects.values().map(|waiting| waiting.changed).min()
    }

    /// What is not an input: empty folders, what can't be read, and what is passed over because of its name.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }
}
