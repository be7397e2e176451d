//! Patience with a store that fails: how long to wait, and when to give up.

use std::time::Duration;

use lake::{ErrorKind, error::describe};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::error::Error;

/// For how long a store may fail without a single success before the consumer ends with exit code 4.
const OUTAGE_MAX: Duration = Duration::from_secs(60);

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How often and for how long the store has failed in a row.
#[derive(Debug)]
pub(crate) struct Patience {
    failing_since: Option<Instant>,
    failures: u32,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { failing_since: None, failures: 0 }
    }

    /// Something worked.
    pub(crate) fn restore(&mut self) {
        if let Some(since) = self.failing_since {
            info!(after_ms = since.elapsed().as_millis() as u64, "the store works again");
        }
        *self = Self::new();
    }

    /// How long to wait before trying again.
    ///
    /// # Errors
    /// The same error, when trying again can't help or has been tried for too long.
    pub(crate) fn pause(&mut self, error: Error) -> Result<Duration, Error> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if error.kind() != ErrorKind::Retry || since.elapsed() > OUTAGE_MAX {
            return Err(error);
        }
        let pause = Duration::from_millis(200 << self.failures.min(6)).min(PAUSE_MAX);
        self.failures += 1;
        warn!(error = %describe(&error), retry_in_ms = pause.as_millis() as u64, "the store failed; trying again");
        Ok(pause)
    }
}
