//! Retries what may succeed later.
//!
//! Knows error kinds. Knows nothing about objects.

use std::time::Duration;

use lake::{ErrorKind, error::describe};
use program::backoff::{Backoff, Patience};

const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Calls `attempt` until it succeeds, fails for good, or has failed for as long as the `patience` is.
///
/// # Errors
/// The last error; its kind is [`ErrorKind::Retry`] if the time ran out.
pub(crate) async fn patiently<T, F>(patience: Patience, attempt: impl FnMut() -> F) -> Result<T, lake::Error>
where
    F: Future<Output = Result<T, lake::Error>>,
{
    let words = |error: &lake::Error| (error.kind() == ErrorKind::Retry).then(|| describe(error));
    Backoff::new(PAUSE_FIRST, PAUSE_MAX, patience).retry(words, attempt).await
}

#[cfg(test)]
mod tests;
