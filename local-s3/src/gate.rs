//! The gate every request passes twice: before its operation takes effect, and after.
//!
//! Knows the name of an operation and its answer. Knows nothing of what the operation does.
//! Invariant: [`Gate::check`] runs after the signature was verified and before anything was read or
//! written; [`Gate::after`] runs when the effect is committed and the client has heard nothing. A fault
//! belongs in one of these two places: in the first the request has no effect, in the second it has one
//! that the client does not learn of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use s3s::access::{S3Access, S3AccessContext};
use s3s::{HttpError, HttpResponse, S3Result, s3_error};

/// How often each operation was called, by its S3 name (`PutObject`, `ListObjectsV2`, …).
///
/// Every request with a valid signature counts once, whatever its answer; one without counts nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts(BTreeMap<String, u64>);

impl RequestCounts {
    /// The requests of one operation; 0 for one that was never called.
    #[must_use]
    pub fn get(&self, operation: &str) -> u64 {
        self.0.get(operation).copied().unwrap_or_default()
    }

    /// The requests of all operations.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// What was counted after `earlier`, operations without a request left out.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let later = self.0.iter().map(|(name, count)| (name.clone(), count - earlier.get(name)));
        Self(later.filter(|(_, count)| *count > 0).collect())
    }

    /// Each operation with its requests, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}

impl fmt::Display for RequestCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Counts requests, and is where faults will come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    counts: Arc<Mutex<RequestCounts>>,
}

/// Carries a request's operation from [`Gate::check`], the first to know it, to [`Gate::after`].
#[derive(Clone, Debug, Default)]
pub(crate) struct OperationSlot(Arc<OnceLock<String>>);

impl Gate {
    /// What was counted so far.
    pub(crate) fn counts(&self) -> RequestCounts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, operation: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.0.get_mut(operation) {
            Some(count) => *count += 1,
            None => drop(counts.0.insert(operation.to_owned(), 1)),
        }
    }

    /// The moment after the effect: `answer` is all the client would ever learn of it. An error here
    /// closes the connection instead.
    pub(crate) fn after(
        &self,
        slot: &OperationSlot,
        answer: Result<HttpResponse, HttpError>,
    ) -> Result<HttpResponse, HttpError> {
        if let (Some(operation), Ok(response)) = (slot.0.get(), &answer) {
            tracing::debug!(operation, status = response.status().as_u16(), "answered");
        }
        answer
    }
}

#[async_trait::async_trait]
impl S3Access for Gate {
    /// The moment before the effect. An error here answers the request in the operation's stead.
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "the request is not signed: sign it with the server's credentials"));
        }
        let operation = context.s3_op().name().to_owned();
        self.count(&operation);
        if let Some(slot) = context.extensions_mut().get::<OperationSlot>() {
            drop(slot.0.set(operation));
        }
        Ok(())
    }
}
