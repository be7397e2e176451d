//! Objects that the store refuses to let be read: kept aside, and tried again on a slower beat.
//!
//! Such an object is planned again once it can be read, or for a last time when it has waited for too long. So neither
//! the ledger nor the other objects pay for it. Invariant: none is forgotten before a full listing shows that it is gone,
//! and of very many, the next full listing finds those again that are not kept.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use futures::{StreamExt, stream};
use lake::{Error, clock::Timestamp, ledger::PlannedObject, store::Lake};
use tokio::time::Instant;

use super::{Discovered, FOUND_MAX, KnownAs, KnownInputs, version};

/// How often they are tried.
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
    objects: VecDeque<DeferredObject>,
    try_at: Instant,
}

impl DeferredObjects {
    /// None; the first ones found are tried at once, since someone may just have changed their permissions.
    pub(crate) fn new() -> Self {
        Self { objects: VecDeque::new(), try_at: Instant::now() }
    }

    /// Takes what a look found.
    pub(crate) fn take_in(&mut self, found: &mut Discovered) {
        let is_all = found.full && found.complete;
        let found = std::mem::take(&mut found.deferred).into_iter();
        let mut found: BTreeMap<_, _> = found.map(|deferred| (version(&deferred.object), deferred)).collect();
        // Those kept before stay in the order in which they are to be tried.
        let before = std::mem::take(&mut self.objects).into_iter();
        let kept = before.filter_map(|kept| found.remove(&version(&kept.object)).or((!is_all).then_some(kept)));
        self.objects = kept.collect();
        self.objects.extend(found.into_values());
        self.objects.truncate(FOUND_MAX);
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
        if self.objects.is_empty() || Instant::now() < self.try_at {
            return Ok(Vec::new());
        }
        let count = self.objects.len().min(TRIED_MAX);
        let versions: Vec<_> = self.objects.iter().take(count).map(|deferred| version(&deferred.object)).collect();
        let known_as = known.look_up(versions.iter().map(|(key, etag)| (key.as_str(), etag.as_str()))).await?;
        self.try_at = Instant::now() + BEAT;
        let tried = self.objects.drain(..count).zip(known_as).filter_map(|(deferred, known_as)| match known_as {
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
                false => self.objects.push_back(deferred),
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
