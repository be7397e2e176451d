//! How long the stages of a batch took, for the log: where a slow batch spends its time.

use std::{fmt, time::Duration};

use tokio::time::Instant;

/// A part of a batch's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Looking for objects.
    Discover,
    /// Making and storing the plan.
    Plan,
    /// Fetching, decoding, enforcing and writing, side by side.
    Execute,
    /// Storing the commit.
    Commit,
}

/// The stages that a batch has gone through, in order.
#[derive(Debug)]
pub(crate) struct Stages {
    since: Instant,
    took: Vec<(Stage, Duration)>,
}

impl Stages {
    /// The first stage begins now.
    pub(crate) fn begin() -> Self {
        Self { since: Instant::now(), took: Vec::new() }
    }

    /// A stage ends now, and the next one begins.
    pub(crate) fn end(&mut self, stage: Stage) {
        let now = Instant::now();
        self.took.push((stage, now - self.since));
        self.since = now;
    }

    /// What happened since the last stage belongs to none: the next one begins now.
    pub(crate) fn skip(&mut self) {
        self.since = Instant::now();
    }
}

impl fmt::Display for Stages {
    /// Such as `discover 12 ms, plan 3 ms, execute 431 ms, commit 6 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (stage, took)) in self.took.iter().enumerate() {
            let name = match stage {
                Stage::Discover => "discover",
                Stage::Plan => "plan",
                Stage::Execute => "execute",
                Stage::Commit => "commit",
            };
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {} ms", took.as_millis())?;
        }
        Ok(())
    }
}
