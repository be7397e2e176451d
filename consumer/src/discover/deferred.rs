//! Objects that the store refuses to let be read: kept aside, and tried again on a slower beat.
//!
//! Such an object is planned again once it can be read, or for a last time when it has waited for too long. So neither
//! the ledger nor the other objects pay for it. Invariant: none is forgotten before a full listing shows that it is gone,
//! and of very many, the next full listing finds those again that are not kept.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};

use futures::{StreamExt, stream};
use lake::{Error, clock::Timestamp, ledger::PlannedObject, store::Lake};
use tokio::time::Instant;

use super::{Discovered, FOUND_MAX, KnownAs, KnownInputs, Version, version};

/// How often they are tried again.
const BEAT: Duration = Duration::from_secs(60);

/// How many are tried at a time, the ones that waited longest first.
const TRIED_MAX: usize = 64;

/// An object that the store refused to let be read.
#[derive(Clone, Debug, PartialEq)]
pub struct DeferredObject {
    /// The object, as it is planned again.
    pub object: PlannedObject,
    /// When a commit first recorded that.
    pub since: Timestamp,
}

/// The objects that are kept aside.
#[derive(Debug)]
pub(crate) struct DeferredObjects {
    /// Those that this process has not tried yet.
    untried: VecDeque<DeferredObject>,
    /// Those that it has, in the order in which they are to be tried again.
    tried: VecDeque<DeferredObject>,
    /// The versions that it has tried, for when a commit defers one of them again.
    known: HashSet<Version>,
    try_at: Instant,
}

impl DeferredObjects {
    /// None; those that are found are tried once at once, since someone may just have changed their permissions.
    pub(crate) fn new() -> Self {
        Self { untried: VecDeque::new(), tried: VecDeque::new(), known: HashSet::new(), try_at: Instant::now() }
    }

    /// Whether each of them was tried once.
    pub(crate) fn are_tried(&self) -> bool {
        self.untried.is_empty()
    }

    /// Takes what a look found.
    pub(crate) fn take_in(&mut self, found: &mut Discovered) {
        let is_all = found.full && found.complete;
        let found = std::mem::take(&mut found.deferred).into_iter();
        let mut found: BTreeMap<_, _> = found.map(|deferred| (version(&deferred.object), deferred)).collect();
        if is_all {
            self.known.retain(|version| found.contains_key(version));
        }
        // Those kept before stay in their order.
        for queue in [&mut self.untried, &mut self.tried] {
            let before = std::mem::take(queue).into_iter();
            let kept = before.filter_map(|kept| found.remove(&version(&kept.object)).or((!is_all).then_some(kept)));
            queue.extend(kept);
        }
        for (version, deferred) in found {
            let queue = if self.known.contains(&version) { &mut self.tried } else { &mut self.untried };
            queue.push_back(deferred);
        }
        self.tried.truncate(FOUND_MAX);
        self.untried.truncate(FOUND_MAX - self.tried.len());
    }

    /// Takes out those that can be read now, and those that have waited since `give_up_before`, for a last try. Forgets
    /// those that another consumer has committed meanwhile.
    ///
    /// # Errors
    /// As [`KnownInputs::look_up`]; nothing has changed then.
    pub(crate) async fn due(
        &mut self,
        lake: &Lake,
        known: &mut KnownInputs,
        give_up_before: Timestamp,
    ) -> Result<Vec<PlannedObject>, Error> {
        let is_beat = Instant::now() >= self.try_at;
        let again = if is_beat { self.tried.len() } else { 0 };
        if self.untried.is_empty() && again == 0 {
            return Ok(Vec::new());
        }
        let first = self.untried.len().min(TRIED_MAX);
        let again = again.min(TRIED_MAX - first);
        let chosen = self.untried.iter().take(first).chain(self.tried.iter().take(again));
        let versions: Vec<_> = chosen.map(|deferred| version(&deferred.object)).collect();
        let known_as = known.look_up(versions.iter().map(|(key, etag)| (key.as_str(), etag.as_str()))).await?;
        if is_beat {
            self.try_at = Instant::now() + BEAT;
        }
        if self.known.len() > FOUND_MAX {
            // Each is tried once more at once.
            self.known.clear();
        }
        self.known.extend(versions);
        let chosen = self.untried.drain(..first).chain(self.tried.drain(..again));
        let tried = chosen.zip(known_as).filter_map(|(deferred, known_as)| match known_as {
            KnownAs::Done { .. } => None,
            KnownAs::New { earlier, .. } => {
                Some(DeferredObject { object: PlannedObject { earlier, ..deferred.object }, ..deferred })
            }
        });
        let tried: Vec<_> = tried.collect();
        let tries: Vec<_> = tried.into_iter().map(|object| try_one(lake, object, give_up_before)).collect();
        let tried: Vec<_> = stream::iter(tries).buffered(lake.transfers().most()).collect().await;
        let mut due = Vec::new();
        for (deferred, is_due) in tried {
            match is_due {
                true => due.push(deferred.object),
                false => self.tried.push_back(deferred),
            }
        }
        Ok(due)
    }
}

/// An object, and whether it must be planned again.
async fn try_one(lake: &Lake, deferred: DeferredObject, give_up_before: Timestamp) -> (DeferredObject, bool) {
    let DeferredObject { object, since } = deferred;
    let last_try = since <= give_up_before;
    // One that is gone meanwhile is planned too, and found missing.
    let is_due = last_try || !lake.refuses_to_read(&object.key, &object.etag).await;
    (DeferredObject { object: PlannedObject { last_try, ..object }, since }, is_due)
}

#[cfg(test)]
mod tests;
