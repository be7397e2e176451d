//! How long to wait before the next try, when to stop trying, and what the log says meanwhile.
//!
//! Invariant: pauses double up to the longest one, and end once the patience is over. The log says once what fails, then
//! at growing intervals that it still does, and once that it works again.

use std::{fmt, str::FromStr, time::Duration};

use tokio::time::Instant;
use tracing::{info, warn};

/// How long something has failed when the log says so again, and the longest interval before it says so once more.
const REPEAT_FIRST: Duration = Duration::from_secs(10);
const REPEAT_MAX: Duration = Duration::from_secs(3600);

/// How long to wait for something that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// This long; nothing at all if it is zero.
    For(Duration),
    /// Until it works.
    Forever,
}

impl FromStr for Patience {
    type Err = String;

    /// Reads a duration such as `10min`, or `forever`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let parsed = humantime::parse_duration(text).map(Self::For);
        parsed.map_err(|_| format!("must be a duration such as 60s or 10min, or forever, not {text:?}"))
    }
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(duration) => write!(f, "{}", humantime::format_duration(*duration)),
            Self::Forever => f.write_str("forever"),
        }
    }
}

/// The pauses between tries of something that failed.
#[derive(Clone, Debug)]
pub struct Backoff {
    of: &'static str,
    first: Duration,
    longest: Duration,
    patience: Patience,
    outage: Option<Outage>,
}

/// A time in which nothing has worked.
#[derive(Clone, Debug)]
struct Outage {
    since: Instant,
    failures: u32,
    /// How long it has lasted when the log says so again.
    repeat_after: Duration,
}

impl Backoff {
    /// Pauses from `first` to `longest` for a store, until nothing has worked for as long as the `patience` is.
    pub fn new(first: Duration, longest: Duration, patience: Patience) -> Self {
        Self { of: "the store", first, longest, patience, outage: None }
    }

    /// The same for something else, by its name in a sentence of the log.
    pub fn of(self, of: &'static str) -> Self {
        Self { of, ..self }
    }

    /// The pause after another failure, which it logs; `None` when the next try would begin after the
    /// patience is over.
    pub fn pause(&mut self, error: &str) -> Option<Duration> {
        let is_first = self.outage.is_none();
        let outage = self.outage.get_or_insert_with(|| Outage {
            since: Instant::now(),
            failures: 0,
            repeat_after: REPEAT_FIRST,
        });
        let lasted = outage.since.elapsed();
        let pause = self.first.saturating_mul(1 << outage.failures.min(20)).min(self.longest);
        outage.failures += 1;
        if let Patience::For(patience) = self.patience
            && lasted + pause > patience
        {
            return None;
        }
        if is_first {
            warn!(error, give_up_after = %self.patience, "{} failed; trying again", self.of);
        } else if lasted >= outage.repeat_after {
            outage.repeat_after = lasted + lasted.min(REPEAT_MAX);
            warn!(error, for_s = lasted.as_secs(), give_up_after = %self.patience, "{} is still failing", self.of);
        }
        Some(pause)
    }

    /// Whether the last try failed.
    pub fn is_failing(&self) -> bool {
        self.outage.is_some()
    }

    /// Something worked: the patience begins again. Logs how long it had failed, if it had.
    pub fn reset(&mut self) {
        if let Some(outage) = self.outage.take() {
            info!(after_ms = outage.since.elapsed().as_millis() as u64, "{} works again", self.of);
        }
    }

    /// Calls `attempt` until it works, fails for good, or has failed for too long. `words` are those for an error after
    /// which another try may succeed.
    ///
    /// # Errors
    /// The last error.
    pub async fn retry<T, E, F>(
        mut self,
        words: impl Fn(&E) -> Option<String>,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        loop {
            match attempt().await {
                Ok(done) => {
                    self.reset();
                    return Ok(done);
                }
                Err(error) => match words(&error).and_then(|words| self.pause(&words)) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
