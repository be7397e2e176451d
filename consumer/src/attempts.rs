//! Attempts: finds the object that kills every process that reads it, so that the stream can go on without it.
//!
//! A plan that is found uncommitted was cut off. Executing it again is an attempt, noted in the ledger before it
//! begins. From the second one on an attempt is *careful*: it reads one object at a time and notes each, durably, before it
//! takes it in hand. The object that an attempt noted last is what it ended at; one that ended [`DEATHS_MAX`] attempts
//! is poison. Invariant: an object is never held to be poison unless that many attempts ended with it in hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lake::{
    clock::Clock,
    ids::{BatchId, Ordinal},
    keys::Key,
    ledger::{self, AttemptMade, Ledger, Plan},
};
use tracing::warn;
use uuid::Uuid;

use crate::{error::Error, failpoint};

/// How many attempts must have ended with an object in hand for it to be poison.
pub const DEATHS_MAX: usize = 3;

/// How one execution of a plan goes about its objects.
#[derive(Clone, Debug)]
pub struct Attempt {
    batch: BatchId,
    /// `None` for the first execution, which its plan alone announces.
    number: Option<Ordinal>,
    careful: bool,
    poisoned: BTreeSet<usize>,
    /// How long one object may be worked on.
    pub object_time: Duration,
}

impl Attempt {
    /// The first execution of a plan, by the process that made it.
    pub fn first(batch: BatchId, object_time: Duration) -> Self {
        Self { batch, number: None, careful: false, poisoned: BTreeSet::new(), object_time }
    }

    /// Begins another execution of a plan that somebody left uncommitted.
    ///
    /// # Errors
    /// Those of the ledger; nothing was executed.
    pub async fn again(ledger: &Ledger, plan: &Plan, clock: &dyn Clock, object_time: Duration) -> Result<Self, Error> {
        let made = ledger.attempts(plan.batch).await?;
        let poisoned = poisoned(&made);
        for (input, object) in plan.objects().enumerate().filter(|(input, _)| poisoned.contains(input)) {
            warn!(
                batch = plan.batch.number(),
                input,
                object = %object.key.to_string().escape_debug(),
                attempts = DEATHS_MAX,
                "an object that ended each process that read it becomes a dead letter"
            );
        }
        let number = begin(ledger, plan.batch, &made, clock).await?;
        failpoint::reach("recover:attempted", &"");
        Ok(Self { batch: plan.batch, number: Some(number), careful: !made.is_empty(), poisoned, object_time })
    }

    /// The batch that is executed.
    pub fn batch(&self) -> BatchId {
        self.batch
    }

    /// Whether somebody has executed the plan before, wholly or in part.
    pub fn is_again(&self) -> bool {
        self.number.is_some()
    }

    /// Whether objects are read one at a time, each noted before.
    pub fn is_careful(&self) -> bool {
        self.careful
    }

    /// Whether this input is not to be read, since it ended too many attempts.
    pub fn is_poisoned(&self, input: usize) -> bool {
        self.poisoned.contains(&input)
    }

    /// Notes in a careful attempt that this input is taken in hand; `None` for its object when all are done with.
    ///
    /// # Errors
    /// Those of the ledger.
    pub async fn take_in_hand(&self, ledger: &Ledger, input: usize, object: Option<&Key>) -> Result<(), Error> {
        match self.number {
            Some(number) if self.careful => note(ledger, self.batch, number, input, object).await,
            _ => Ok(()),
        }
    }

    /// Notes that this input hangs, in whatever attempt it does.
    ///
    /// # Errors
    /// Those of the ledger.
    pub async fn note_hang(&self, ledger: &Ledger, clock: &dyn Clock, input: usize, object: &Key) -> Result<(), Error> {
        let number = match self.number {
            Some(number) => number,
            None => begin(ledger, self.batch, &ledger.attempts(self.batch).await?, clock).await?,
        };
        note(ledger, self.batch, number, input, Some(object)).await
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
    Ok(ledger.take_in_hand(batch, number, input, object).await?)
}

/// The inputs that ended so many attempts that they must not be read again.
fn poisoned(made: &[AttemptMade]) -> BTreeSet<usize> {
    let mut deaths: BTreeMap<usize, usize> = BTreeMap::new();
    for input in made.iter().filter_map(|attempt| attempt.in_hand) {
        *deaths.entry(input.index()).or_default() += 1;
    }
    deaths.into_iter().filter(|(_, deaths)| *deaths >= DEATHS_MAX).map(|(input, _)| input).collect()
}
