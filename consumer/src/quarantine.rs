//! Quarantine: finds the object that kills every process that reads it, so that the stream can continue without it.
//!
//! An uncommitted plan was cut off. Executing it again is an attempt, noted in the ledger before it begins. From the
//! second one on, an attempt is *careful*: it reads one object at a time and notes each one durably before it reads it.
//! The object that an attempt noted last is the one that ended it; an object that ended [`DEATHS_MAX`] attempts is
//! poison. Invariant: an object counts as poison only if that many attempts ended with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use lake::{
    clock::Clock,
    ids::{BatchId, Ordinal},
    keys::Key,
    ledger::{self, AttemptMade, Ledger, Plan},
};
use tracing::warn;
use uuid::Uuid;

use crate::{
    error::Error,
    execute::{TaskRequest, Watch},
    failpoint,
};

/// How many attempts must have ended with an object for it to be poison.
const DEATHS_MAX: usize = 3;

/// How one execution of a plan handles its objects.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    batch: BatchId,
    /// `None` for the first execution, which only its plan announces.
    number: Option<Ordinal>,
    careful: bool,
    poisoned: BTreeSet<usize>,
    object_time: Duration,
}

impl Attempt {
    /// The first execution of a plan, by the process that made it; one object may take `object_time`.
    pub(crate) fn first(batch: BatchId, object_time: Duration) -> Self {
        Self { batch, number: None, careful: false, poisoned: BTreeSet::new(), object_time }
    }

    /// Begins another execution of a plan that was left uncommitted.
    ///
    /// # Errors
    /// Those of the ledger; nothing was executed.
    pub(crate) async fn again(
        ledger: &Ledger,
        plan: &Plan,
        clock: &dyn Clock,
        object_time: Duration,
    ) -> Result<Self, Error> {
        let made = ledger.attempts(plan.batch).await?;
        let poisoned = poisoned(&made);
        for (input, object) in plan.objects().enumerate().filter(|(input, _)| poisoned.contains(input)) {
            warn!(
                batch = plan.batch.number(),
                input,
                object = %object.key.to_string().escape_debug(),
                attempts = DEATHS_MAX,
                "an object that ended every process that read it becomes a dead letter"
            );
        }
        let number = begin(ledger, plan.batch, &made, clock).await?;
        failpoint::reach("recover:attempted", &"");
        Ok(Self { batch: plan.batch, number: Some(number), careful: !made.is_empty(), poisoned, object_time })
    }

    /// The batch to execute.
    pub(crate) fn batch(&self) -> BatchId {
        self.batch
    }

    /// Whether the plan was executed before, completely or in part.
    pub(crate) fn is_again(&self) -> bool {
        self.number.is_some()
    }

    /// The tasks of a plan, as this attempt runs them.
    ///
    /// # Errors
    /// As [`TaskRequest::of`].
    pub(crate) fn tasks(&self, plan: &Plan) -> Result<Vec<TaskRequest>, Error> {
        TaskRequest::of(plan, &self.poisoned, self.careful, self.object_time)
    }

    /// In a careful attempt, notes that all of this many inputs were read.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(crate) async fn all_read(&self, ledger: &Ledger, inputs: usize) -> Result<(), Error> {
        match self.number {
            Some(number) if self.careful => note(ledger, self.batch, number, inputs, None).await,
            _ => Ok(()),
        }
    }
}

/// Notes in the ledger what an executor reports during an attempt.
pub(crate) struct Notes<'a> {
    /// The stream's ledger.
    pub ledger: &'a Ledger,
    /// The attempt.
    pub attempt: &'a Attempt,
    /// For the start time of an attempt, which is for people only.
    pub clock: &'a dyn Clock,
}

#[async_trait]
impl Watch for Notes<'_> {
    async fn begins(&self, input: usize, object: &Key) -> Result<(), Error> {
        match self.attempt.number {
            Some(number) => note(self.ledger, self.attempt.batch, number, input, Some(object)).await,
            None => Ok(()),
        }
    }

    async fn hangs(&self, input: usize, object: &Key) -> Result<(), Error> {
        let batch = self.attempt.batch;
        let number = match self.attempt.number {
            Some(number) => number,
            None => begin(self.ledger, batch, &self.ledger.attempts(batch).await?, self.clock).await?,
        };
        note(self.ledger, batch, number, input, Some(object)).await
    }
}

async fn begin(ledger: &Ledger, batch: BatchId, made: &[AttemptMade], clock: &dyn Clock) -> Result<Ordinal, Error> {
    let attempt = ledger::Attempt { attempt_id: Uuid::new_v4(), began_at: clock.now() };
    Ok(ledger.begin_attempt(batch, made, &attempt).await?)
}

async fn note(
    ledger: &Ledger,
    batch: BatchId,
    number: Ordinal,
    input: usize,
    object: Option<&Key>,
) -> Result<(), Error> {
    let input = Ordinal::new(input).ok_or_else(|| Error::Bug("the plan has too many inputs".to_owned()))?;
    Ok(ledger.note_object(batch, number, input, object).await?)
}

/// The inputs that ended so many attempts that they must not be read again.
fn poisoned(made: &[AttemptMade]) -> BTreeSet<usize> {
    let mut deaths: BTreeMap<usize, usize> = BTreeMap::new();
    for input in made.iter().filter_map(|attempt| attempt.last_object) {
        *deaths.entry(input.index()).or_default() += 1;
    }
    deaths.into_iter().filter(|(_, deaths)| *deaths >= DEATHS_MAX).map(|(input, _)| input).collect()
}
