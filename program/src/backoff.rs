//! How long to wait before the next try, and when to stop trying.
//!
//! Invariant: pauses double up to the longest one, and end once the patience is over.

use std::time::Duration;

use tokio::time::Instant;

/// The pauses between tries of something that failed.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    patience: Duration,
    failing_since: Option<Instant>,
    failures: u32,
}

impl Backoff {
    /// Pauses from `first` to `longest`, until nothing has worked for `patience`.
    pub fn new(first: Duration, longest: Duration, patience: Duration) -> Self {
        Self { first, longest, patience, failing_since: None, failures: 0 }
    }

    /// The pause after another failure; `None` when the next try would begin after the patience is over.
    pub fn pause(&mut self) -> Option<Duration> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let pause = self.first.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures += 1;
        (since.elapsed() + pause <= self.patience).then_some(pause)
    }

    /// Something worked: returns how long it had failed, if it had.
    pub fn reset(&mut self) -> Option<Duration> {
        self.failures = 0;
        self.failing_since.take().map(|since| since.elapsed())
    }
}

#[cfg(test)]
mod tests;
