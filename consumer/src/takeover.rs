//! Take-over: who may execute a plan that was found uncommitted, when, and how carefully.
//!
//! The process that made a plan holds it for `takeover.after`, and so does each one that begins another attempt. One that
//! stopped in order, or is known to be dead, holds nothing. Clocks may differ: no process waits for another one longer
//! than `takeover.after` by its own. Invariant: nothing here can blame an object, or lose a plan.

use std::{collections::HashMap, time::Duration};

use lake::{
    clock::{Clock, Timestamp},
    ids::{BatchId, Ordinal},
    ledger::{self, Attempts, Commit, Ledger, Plan},
};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{error::Error, failpoint, owner::Owner};

/// How long a process that stops tries to record that.
const RECORD_WITHIN: Duration = Duration::from_secs(2);

/// This process's execution of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    batch: BatchId,
    /// 0 for the process that made the plan.
    number: Ordinal,
    /// Whether an execution before it ended for an unknown reason.
    pub(crate) after_a_death: bool,
}

impl Attempt {
    /// The first execution of a plan, by the process that made it.
    pub(crate) fn first(batch: BatchId) -> Self {
        Self { batch, number: Ordinal::default(), after_a_death: false }
    }

    /// Begins another execution of a plan.
    ///
    /// # Errors
    /// Those of the ledger; nothing was executed.
    pub(crate) async fn again(
        ledger: &Ledger,
        batch: BatchId,
        owner: &Owner,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        let made = ledger.attempts(batch).await?;
        let attempt = ledger::Attempt { attempt_id: owner.new_id(), began_at: clock.now() };
        let number = ledger.begin_attempt(batch, &made, &attempt).await?;
        failpoint::reach("recover:attempted", &"");
        Ok(Self { batch, number, after_a_death: !made.maker_ended || !made.open.is_empty() })
    }

    /// The batch to execute.
    pub(crate) fn batch(&self) -> BatchId {
        self.batch
    }

    /// Whether the plan was executed before, completely or in part.
    pub(crate) fn is_again(&self) -> bool {
        self.number != Ordinal::default()
    }

    /// Records that this process leaves the plan in order, so that the next one need not wait, and has nothing to fear.
    /// If that fails, the next one waits.
    pub(crate) async fn leave(&self, ledger: &Ledger, clock: &dyn Clock) {
        let leaving = ledger.end_attempt(self.batch, self.number, clock.now());
        match tokio::time::timeout(RECORD_WITHIN, leaving).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => info!(batch = self.batch.number(), "the next start may wait before it continues"),
        }
    }
}

/// Waits until another process has committed a plan, or does not hold it any more, and looks every `look_again`. Returns
/// the commit, or `None` when this process must execute the plan.
///
/// # Errors
/// Those of the ledger.
pub(crate) async fn stand_by(
    ledger: &Ledger,
    plan: &Plan,
    owner: &Owner,
    clock: &dyn Clock,
    hold: Duration,
    look_again: Duration,
) -> Result<Option<Commit>, Error> {
    let mut holders = Holders { owner, hold, first_seen: HashMap::new() };
    let mut has_said_so = false;
    loop {
        if let Some(commit) = ledger.commit(plan.batch).await? {
            return Ok(Some(commit));
        }
        let held = holders.held_for(plan, &ledger.attempts(plan.batch).await?, clock.now());
        if held.is_zero() {
            warn!(batch = plan.batch.number(), "taking over a batch that another consumer left uncommitted");
            return Ok(None);
        }
        if !has_said_so {
            let at_most_ms = held.as_millis() as u64;
            info!(batch = plan.batch.number(), at_most_ms, "another consumer may be working on this batch; waiting");
            has_said_so = true;
        }
        tokio::time::sleep(held.min(look_again)).await;
    }
}

/// The processes that may be working on a plan.
struct Holders<'a> {
    owner: &'a Owner,
    hold: Duration,
    first_seen: HashMap<Uuid, Instant>,
}

impl Holders<'_> {
    /// How long the plan is still held.
    fn held_for(&mut self, plan: &Plan, attempts: &Attempts, now: Timestamp) -> Duration {
        let maker = (!attempts.maker_ended).then_some((plan.plan_id, plan.planned_at));
        let others = attempts.open.values().map(|attempt| (attempt.attempt_id, attempt.began_at));
        let holders: Vec<_> = maker.into_iter().chain(others).collect();
        holders.into_iter().map(|(id, since)| self.holds_for(id, since, now)).max().unwrap_or_default()
    }

    fn holds_for(&mut self, id: Uuid, since: Timestamp, now: Timestamp) -> Duration {
        if self.owner.knows_dead(&id) {
            return Duration::ZERO;
        }
        let by_their_clock = (now.datetime() - since.datetime()).to_std().unwrap_or_default();
        let by_ours = self.first_seen.entry(id).or_insert_with(Instant::now).elapsed();
        self.hold.saturating_sub(by_their_clock.max(by_ours))
    }
}
