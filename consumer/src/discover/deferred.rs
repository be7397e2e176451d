//! Objects that the store refuses to let be read: kept aside, and tried again on a slower beat.
//!
//! Such an object is planned again once it can be read, or for a last time when it has waited for too long. So neither
//! the ledger nor the other objects pay for it. Invariant: none is forgotten before a full listing shows that it is gone.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use futures::{StreamExt, stream};
use lake::{clock::Timestamp, ledger::PlannedObject, store::Lake};
use tokio::time::Instant;

use super::{Discovered, version};

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
    }

    /// Takes out those that can be read now, and those that have waited since `give_up_before`, for a last try.
    pub(crate) async fn due(&mut self, lake: &Lake, give_up_before: Timestamp) -> Vec<PlannedObject> {
        if self.objects.is_empty() || Instant::now() < self.try_at {
            return Vec::new();
        }
        self.try_at = Instant::now() + BEAT;
        let tried: Vec<_> = self.objects.drain(..self.objects.len().min(TRIED_MAX)).collect();
        let tries: Vec<_> = tried.into_iter().map(|object| try_one(lake, object, give_up_before)).collect();
        let tried: Vec<_> = stream::iter(tries).buffered(lake.transfers().most()).collect().await;
        let mut due = Vec::new();
        for (deferred, is_due) in tried {
            match is_due {
                true => due.push(deferred.object),
                false => self.objects.push_back(deferred),
            }
        }
        due
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
