//! The gate that every request passes twice: before its operation takes effect, and after.
//!
//! Knows the name of an operation and its response. Knows nothing about what the operation does.
//! Invariant: [`Gate::check`] runs after the signature was verified and before anything is read or written;
//! [`Gate::after`] runs when the effect is committed and nothing has been sent to the client. A request whose signature
//! does not cover all that it must does not pass.
//!
//! [`Gate::check`] decides which faults hit a request. A fault that needs only the response is injected in one of the
//! two: in the first, the request has no effect; in the second, it has one that the client does not learn about. The
//! service finds the other faults in the request's [`Passage`] and injects them.

mod moments;
mod signed;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::header::IF_NONE_MATCH;
use s3s::access::{S3Access, S3AccessContext};
use s3s::path::S3Path;
use s3s::{HttpError, HttpResponse, S3Result, s3_error};
use tokio::sync::watch;

use crate::faults::armed::{Facts, Faults, Injection};
use crate::service::query_parameter;

/// How often each operation was called, by its S3 name (`PutObject`, `ListObjectsV2`, …).
///
/// Every request with a valid signature counts once, whatever its response; other requests are not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts(BTreeMap<String, u64>);

impl RequestCounts {
    /// The number of requests of one operation; 0 if it was never called.
    #[must_use]
    pub fn get(&self, operation: &str) -> u64 {
        self.0.get(operation).copied().unwrap_or_default()
    }

    /// The number of requests of all operations.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// The requests counted after `earlier`, without operations that had none.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let later = self.0.iter().map(|(name, count)| (name.clone(), count - earlier.get(name)));
        Self(later.filter(|(_, count)| *count > 0).collect())
    }

    /// Each operation with its number of requests, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}

impl fmt::Display for RequestCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Counts requests, and decides which faults hit them.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    counts: Arc<Mutex<RequestCounts>>,
    faults: Arc<Faults>,
    stopped: watch::Receiver<bool>,
}

/// Carries what [`Gate::check`] decided about a request to the service and to [`Gate::after`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Passage(Arc<OnceLock<Passed>>);

#[derive(Debug)]
struct Passed {
    operation: String,
    injections: Vec<Injection>,
}

impl Passage {
    /// The faults due for the request; empty until the request has passed the gate.
    pub(crate) fn injections(&self) -> &[Injection] {
        self.0.get().map_or(&[], |passed| &passed.injections)
    }
}

impl Gate {
    /// A gate without faults; `stopped` ends the delays of faults that are set later.
    pub(crate) fn new(stopped: watch::Receiver<bool>) -> Self {
        Self { counts: Arc::default(), faults: Arc::default(), stopped }
    }

    /// The requests counted so far.
    pub(crate) fn counts(&self) -> RequestCounts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    fn count(&self, operation: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.0.get_mut(operation) {
            Some(count) => *count += 1,
            None => drop(counts.0.insert(operation.to_owned(), 1)),
        }
    }

    fn decide(&self, context: &S3AccessContext<'_>) -> Vec<Injection> {
        let Some(armed) = self.faults.armed() else { return Vec::new() };
        let prefix = query_parameter(context.uri(), "prefix");
        let key = match context.s3_path() {
            S3Path::Object { key, .. } => Some(&**key),
            S3Path::Bucket { .. } if context.s3_op().name().starts_with("ListObjects") => {
                Some(prefix.as_deref().unwrap_or_default())
            }
            _ => None,
        };
        let conditional = context.headers().contains_key(IF_NONE_MATCH);
        armed.decide(&Facts { operation: context.s3_op().name(), key, conditional })
    }

    /// Runs after the effect: `answer` is all that the client would learn about it. An error here closes the connection
    /// instead.
    pub(crate) async fn after(
        &self,
        passage: &Passage,
        answer: Result<HttpResponse, HttpError>,
    ) -> Result<HttpResponse, HttpError> {
        let response = answer?;
        if let Some(passed) = passage.0.get() {
            tracing::debug!(passed.operation, status = response.status().as_u16(), "answered");
        }
        moments::after(passage.injections(), response, &self.stopped).await
    }
}

#[async_trait::async_trait]
impl S3Access for Gate {
    /// Runs before the effect. An error here is the response, and the operation does not run.
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "the request is not signed: sign it with the server's credentials"));
        }
        signed::check(context.uri(), context.headers())?;
        let operation = context.s3_op().name().to_owned();
        self.count(&operation);
        let injections = self.decide(context);
        let Some(passage) = context.extensions_mut().get::<Passage>().cloned() else { return Ok(()) };
        drop(passage.0.set(Passed { operation, injections }));
        moments::before(passage.injections(), &self.stopped).await
    }
}
