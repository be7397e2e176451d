//! Totals of a run so far, for its log.

use std::time::{Duration, Instant};

use crate::batch::Batch;

/// How often the totals are logged.
const EVERY: Duration = Duration::from_secs(5);

/// Counts of what the sink has taken.
pub(crate) struct Totals {
    batches: u64,
    records: u64,
    bytes: u64,
    corrupt: u64,
    invalid: u64,
    started: Instant,
    logged: Instant,
}

/// What one batch adds to the totals.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    records: u64,
    bytes: u64,
    is_corrupt: bool,
    invalid: u64,
}

impl Counts {
    pub(crate) fn of(batch: &Batch) -> Self {
        Self {
            records: batch.records_read(),
            bytes: batch.bytes.len() as u64,
            is_corrupt: batch.corruption.is_some(),
            invalid: batch.invalid_records(),
        }
    }
}

impl Totals {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { batches: 0, records: 0, bytes: 0, corrupt: 0, invalid: 0, started: now, logged: now }
    }

    pub(crate) fn add(&mut self, batch: Counts) {
        self.batches += 1;
        self.records += batch.records;
        self.bytes += batch.bytes;
        self.corrupt += u64::from(batch.is_corrupt);
        self.invalid += batch.invalid;
        if self.logged.elapsed() >= EVERY {
            self.log("sent so far");
        }
    }

    pub(crate) fn log(&mut self, what: &str) {
        self.logged = Instant::now();
        let Self { batches, records, bytes, corrupt, invalid, .. } = self;
        let seconds = format!("{:.1}", self.started.elapsed().as_secs_f64());
        tracing::info!(batches, records, bytes, corrupt, invalid, seconds, "{what}");
    }
}
