//! Retries what may succeed later.
//!
//! Knows error kinds. Knows nothing about objects.

use std::time::Duration;

use lake::ErrorKind;
use program::backoff::Backoff;
use tokio::time::sleep;

/// How long to retry when the store fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Calls `attempt` until it succeeds, fails for good, or has failed for [`PATIENCE`].
///
/// # Errors
/// The last error; its kind is [`ErrorKind::Retry`] if the time ran out.
pub(crate) async fn patiently<T, F>(doing: &str, mut attempt: impl FnMut() -> F) -> Result<T, lake::Error>
where
    F: Future<Output = Result<T, lake::Error>>,
{
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX, PATIENCE);
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Some(pause) = backoff.pause().filter(|_| error.kind() == ErrorKind::Retry) else { return Err(error) };
        tracing::warn!("{doing} failed, trying again in {pause:?}: {}", lake::error::describe(&error));
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests;
