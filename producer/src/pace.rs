//! Decides when the next batch is due and which time its events get.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use lake::clock::{Clock, Timestamp};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Lets one batch through per interval.
pub(crate) struct Pace(Option<Interval>);

impl Pace {
    pub(crate) fn new(every: Duration) -> Self {
        Self((!every.is_zero()).then(|| {
            let mut ticks = interval(every);
            // After the store or the machine stalls, keep the pace instead of catching up in a burst.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        }))
    }

    /// Waits until the next batch is due; the first is due at once. Safe to cancel at any time.
    pub(crate) async fn due(&mut self) {
        if let Some(ticks) = &mut self.0 {
            ticks.tick().await;
        }
    }
}

/// The time of each batch.
pub(crate) enum Times {
    /// The clock's current time.
    Now(Arc<dyn Clock>),
    /// One second per batch, so that a seeded run does not depend on its interval.
    Seeded(Timestamp),
}

impl Times {
    /// 2026-01-01T00:00:00Z.
    const SEEDED_START_MICROS: i64 = 1_767_225_600_000_000;

    pub(crate) fn new(is_seeded: bool, clock: Arc<dyn Clock>) -> Self {
        match Timestamp::from_micros(Self::SEEDED_START_MICROS) {
            Some(start) if is_seeded => Self::Seeded(start),
            _ => Self::Now(clock),
        }
    }

    pub(crate) fn of(&self, number: u64) -> Timestamp {
        /// Ten thousand years of batches. After half of that, all batches get the same time.
        const SECONDS_MAX: i64 = 315_360_000_000;
        match self {
            Self::Now(clock) => clock.now(),
            Self::Seeded(start) => {
                let seconds = i64::try_from(number).unwrap_or(SECONDS_MAX).min(SECONDS_MAX / 2);
                Timestamp::new(start.datetime() + TimeDelta::seconds(seconds))
            }
        }
    }
}
