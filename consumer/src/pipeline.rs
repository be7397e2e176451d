//! The control flow: discover → plan → decode → enforce → write → commit, again and again.
//!
//! Takes every decision that needs a clock or another consumer's doings; the stages know neither.
//! Invariant: whatever ends this process at whatever moment, the next one goes on from the ledger.

use std::{collections::VecDeque, future::Future, sync::Arc, time::Duration};

use futures::TryStreamExt;
use lake::{
    ErrorKind,
    clock::Clock,
    ids::BatchId,
    keys::{Key, Prefix},
    ledger::{Claimed, Commit, InputOutcome, Ledger, Outcome, Plan, PlannedObject, SchemaRecord, Snapshot},
    store::Lake,
    stream::{AfterCommit, StreamDefinition},
};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    after_commit::{self, DoneWith, done_with},
    attempts::Attempt,
    batch,
    discover::{CommittedInputs, Discovery, KnownInputs, KnownOnes},
    enforce::Enforcer,
    error::Error,
    failpoint,
    plan::take_tasks,
    recover::recover,
    retry::Patience,
};

/// How long a batch in hand may take to finish once the process was asked to stop.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How long nothing is removed from the raw zone after some of it could not be.
const REMOVAL_PAUSE: Duration = Duration::from_secs(60);

/// How one run goes about its stream.
#[derive(Debug)]
pub struct RunSettings {
    /// Drain what is there, then return.
    pub once: bool,
    /// How many tasks are worked on at a time.
    pub workers: usize,
}

/// What one look at the raw zone came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A batch was committed, by this consumer or another.
    Committed,
    /// There was nothing new.
    Idle,
}

/// Whose a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Made just now, by this process.
    Ours,
    /// Made by another consumer, which may be at work on it.
    Theirs,
    /// Found without a commit at the start, or left behind by a failure of this process.
    LeftOver,
}

/// One stream's consumer.
#[derive(Debug)]
pub struct Pipeline {
    ledger: Ledger,
    definition: StreamDefinition,
    schema: SchemaRecord,
    clock: Arc<dyn Clock>,
    settings: RunSettings,
    next: BatchId,
    uncommitted: Option<Plan>,
    /// How this process executes the plan in hand, once it has begun to.
    attempt: Option<Attempt>,
    known: KnownInputs,
    pending: VecDeque<PlannedObject>,
    snapshot: Option<Arc<Snapshot>>,
    discovery: Discovery,
    all_found: bool,
    remove_again_at: Option<Instant>,
}

impl Pipeline {
    /// Tests the stores, registers the stream's schema, and finds out where the stream stands.
    ///
    /// # Errors
    /// Kind `Invalid`: the schema does not compile, or the store is not fit for a ledger. Kind `Corrupt`: the ledger is
    /// damaged. Kind `Retry`: a store can't be reached.
    pub async fn open(
        lake: Lake,
        definition: StreamDefinition,
        clock: Arc<dyn Clock>,
        settings: RunSettings,
    ) -> Result<Self, Error> {
        let file = definition.schema_file.display().to_string();
        let in_schema = |what: String| {
            let mut problems = lake::settings::Problems::default();
            problems.add(file.clone(), what);
            Error::Lake(lake::Error::Settings(problems))
        };
        Enforcer::compile(&definition.schema).map_err(in_schema)?;
        lake.check_stores().await?;
        if definition.after_commit != AfterCommit::Keep {
            lake.probe_conditional_delete().await?;
        }
        let ledger = Ledger::new(lake, definition.name.clone());
        let position = recover(&ledger).await?;
        let schema = SchemaRecord::derive(&definition.name, &definition.schema, position.schema.as_ref());
        let schema = schema.map_err(in_schema)?;
        // So that a reader can show the stream's columns before its first row.
        ledger.create_schema(&schema).await?;
        info!(
            stream = %definition.name,
            next_batch = position.next.number(),
            known_objects = position.known.len(),
            schema = %schema.id(),
            "ready"
        );
        let known_ones =
            if definition.after_commit == AfterCommit::Keep { KnownOnes::PassOver } else { KnownOnes::Tell };
        let discovery = Discovery::new(definition.reconcile, known_ones);
        Ok(Self {
            ledger,
            definition,
            schema,
            clock,
            settings,
            next: position.next,
            uncommitted: position.uncommitted,
            attempt: None,
            known: position.known,
            pending: VecDeque::new(),
            snapshot: position.snapshot,
            discovery,
            all_found: false,
            remove_again_at: None,
        })
    }

    /// Commits batch after batch until `stop` is done, or with `once` until nothing new is found.
    ///
    /// When asked to stop, the batch in hand is finished if that takes a few seconds, and else left to the next start,
    /// which executes it as planned.
    ///
    /// # Errors
    /// Kind `Retry`: a store could not be reached for a minute. Others as for [`Pipeline::open`].
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        tokio::pin!(stop);
        let mut patience = Patience::new();
        loop {
            let began = Instant::now();
            let stepped = {
                let step = self.step();
                tokio::pin!(step);
                tokio::select! {
                    stepped = &mut step => stepped,
                    () = &mut stop => return finish(step).await,
                }
            };
            let pause = match stepped {
                Ok(Step::Idle) if self.settings.once => return Ok(()),
                Ok(Step::Committed) if self.settings.once && self.is_drained() => return Ok(()),
                Ok(_) => {
                    patience.restore();
                    let at_once = self.settings.once || !self.pending.is_empty();
                    if at_once { Duration::ZERO } else { self.definition.interval.saturating_sub(began.elapsed()) }
                }
                Err(error) => patience.pause(error)?,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = &mut stop => {
                    info!("asked to stop, with no batch in hand");
                    return Ok(());
                }
            }
        }
    }

    /// Whether all that the last listing found is committed, and the listing was a whole one.
    fn is_drained(&self) -> bool {
        self.all_found && self.pending.is_empty() && self.uncommitted.is_none()
    }

    /// Brings the stream one batch forward, if there is anything to do.
    async fn step(&mut self) -> Result<Step, Error> {
        let (plan, claim) = match self.uncommitted.take() {
            Some(plan) => {
                info!(batch = plan.batch.number(), "executing a plan that was left uncommitted");
                (plan, Claim::LeftOver)
            }
            None => match self.plan_next().await? {
                Some(claimed) => claimed,
                None => return Ok(Step::Idle),
            },
        };
        // Kept until it is committed, so that a failure in between leads back here.
        self.uncommitted = Some(plan.clone());
        let theirs = match claim {
            Claim::Theirs => self.stand_by(&plan).await?,
            Claim::Ours | Claim::LeftOver => None,
        };
        let commit = match theirs {
            Some(commit) => commit,
            None => {
                let attempt = self.attempt_at(&plan, claim).await?;
                self.execute(&plan, &attempt).await?
            }
        };
        self.advance(&plan, &commit).await?;
        Ok(Step::Committed)
    }

    /// How to execute a plan: as before where this process has begun to, and else with the caution that it needs.
    async fn attempt_at(&mut self, plan: &Plan, claim: Claim) -> Result<Attempt, Error> {
        if let Some(begun) = self.attempt.as_ref().filter(|attempt| attempt.batch() == plan.batch) {
            return Ok(begun.clone());
        }
        let object_time = self.definition.object_time;
        let attempt = match claim {
            Claim::Ours => Attempt::first(plan.batch, object_time),
            Claim::Theirs | Claim::LeftOver => {
                Attempt::again(&self.ledger, plan, self.clock.as_ref(), object_time).await?
            }
        };
        Ok(self.attempt.insert(attempt).clone())
    }

    /// Discovers and plans the next batch: the plan that stands there in the end, and whose it is.
    async fn plan_next(&mut self) -> Result<Option<(Plan, Claim)>, Error> {
        if self.pending.is_empty() {
            let discovered = self.discovery.look(self.ledger.lake(), &self.definition.name, &self.known).await?;
            self.all_found = discovered.complete;
            self.pending = discovered.objects.into();
            self.remove(discovered.done_with).await;
            failpoint::reach("discover:listed", &"");
        }
        if self.pending.is_empty() {
            // Another consumer may have taken all there was.
            return Ok(self.ledger.plan(self.next).await?.map(|plan| (plan, Claim::Theirs)));
        }
        let tasks = take_tasks(&mut self.pending, &self.definition.batch);
        failpoint::reach("plan:taken", &"");
        let plan = Plan {
            stream: self.definition.name.clone(),
            batch: self.next,
            plan_id: Uuid::new_v4(),
            planned_at: self.clock.now(),
            schema_id: self.schema.id(),
            read: self.definition.read.clone(),
            tasks,
        };
        match self.ledger.create_plan(&plan).await {
            Ok(Claimed::Ours) => {
                failpoint::reach("plan:created", &"");
                Ok(Some((plan, Claim::Ours)))
            }
            Ok(Claimed::Theirs(theirs)) => {
                // What is pending may be in their plan: look again after their batch.
                self.pending.clear();
                self.all_found = false;
                Ok(Some((theirs, Claim::Theirs)))
            }
            Err(error) => {
                // Whether the plan stands is unknown: what was taken for it must be found again.
                self.pending.clear();
                self.uncommitted = self.ledger.plan(self.next).await?;
                Err(error.into())
            }
        }
    }

    /// Waits for another consumer's commit; `None` when it is overdue and the batch is to be executed here.
    async fn stand_by(&self, plan: &Plan) -> Result<Option<Commit>, Error> {
        let began = Instant::now();
        loop {
            if let Some(commit) = self.ledger.commit(plan.batch).await? {
                return Ok(Some(commit));
            }
            if began.elapsed() >= self.definition.take_over_after {
                warn!(batch = plan.batch.number(), "taking over a batch that another consumer left uncommitted");
                return Ok(None);
            }
            tokio::time::sleep(self.definition.interval.min(Duration::from_secs(1))).await;
        }
    }

    /// Executes a plan and commits it: the commit that stands there in the end.
    async fn execute(&self, plan: &Plan, attempt: &Attempt) -> Result<Commit, Error> {
        let began = Instant::now();
        let commit = batch::execute(&self.ledger, plan, self.clock.as_ref(), self.settings.workers, attempt).await?;
        if attempt.is_again() {
            self.warn_of_other_files(&commit).await?;
        }
        failpoint::reach("commit:assembled", &"");
        let claimed = self.ledger.create_commit(&commit).await?;
        failpoint::reach("commit:created", &"");
        match claimed {
            Claimed::Ours => {
                info!(
                    batch = commit.batch.number(),
                    objects = commit.inputs.len(),
                    rows = commit.totals.rows,
                    dead_letters = commit.totals.dead_letters,
                    reasons = batch::reasons_line(&commit.totals.dead_letters_by_reason),
                    ms = began.elapsed().as_millis() as u64,
                    "committed"
                );
                Ok(commit)
            }
            Claimed::Theirs(theirs) => {
                info!(batch = plan.batch.number(), "another consumer committed the batch first");
                Ok(theirs)
            }
        }
    }

    /// Tells of files that an earlier execution of the batch has left, where this one found less to read: if the batch
    /// was committed once and the commit was lost, its rows are in these files and nowhere else.
    async fn warn_of_other_files(&self, commit: &Commit) -> Result<(), Error> {
        let is_lost = |input: &InputOutcome| matches!(input.outcome, Outcome::Missing | Outcome::Changed);
        if !commit.inputs.iter().any(is_lost) {
            return Ok(());
        }
        let stream = &self.definition.name;
        for prefix in [Prefix::Bronze(stream), Prefix::DeadLetters(stream)] {
            let mut listing = self.ledger.lake().list(&prefix, None);
            while let Some(listed) = listing.try_next().await? {
                let is_other = match Key::parse(&listed.key) {
                    Ok(key @ (Key::Bronze(_) | Key::DeadLetters(_))) => {
                        key.batch() == Some(commit.batch) && !commit.files.iter().any(|file| file.key == key)
                    }
                    _ => false,
                };
                if is_other {
                    warn!(
                        batch = commit.batch.number(),
                        file = listed.key,
                        "an earlier execution of this batch read objects that are gone now; if its commit was lost, stop, \
                         and restore the commit from a backup"
                    );
                }
            }
        }
        Ok(())
    }

    /// Goes on behind a committed batch, from whatever schema it was read under.
    async fn advance(&mut self, plan: &Plan, commit: &Commit) -> Result<(), Error> {
        if commit.schema_id != self.schema.id() {
            let previous = self.ledger.schema(&commit.schema_id).await?;
            self.schema = SchemaRecord::derive(&self.definition.name, &self.definition.schema, Some(&previous))
                .map_err(Error::Bug)?;
            self.ledger.create_schema(&self.schema).await?;
        }
        self.known.add(&CommittedInputs::of(commit));
        self.next = plan.batch.next();
        self.uncommitted = None;
        self.attempt = None;
        if self.definition.after_commit != AfterCommit::Keep {
            self.remove(done_with(commit)).await;
        }
        self.write_snapshot(plan.batch).await
    }

    /// Removes committed objects from the raw zone, where the stream wants that; not so soon again after a failure.
    async fn remove(&mut self, objects: Vec<DoneWith>) {
        let now = Instant::now();
        if self.remove_again_at.is_none_or(|then| now >= then) {
            let all = after_commit::remove(self.ledger.lake(), self.definition.after_commit, objects).await;
            self.remove_again_at = (!all).then_some(now + REMOVAL_PAUSE);
        }
    }

    /// Sums the ledger up from time to time. What the store fails to take is made up for after a later batch.
    async fn write_snapshot(&mut self, last: BatchId) -> Result<(), Error> {
        failpoint::reach("snapshot:due", &"");
        let keep_after = self.definition.ledger_keep.map(|keep| self.clock.now().earlier_by(keep));
        match self.ledger.snapshot_if_due(self.snapshot.clone(), last, keep_after).await {
            Ok(snapshot) => {
                self.snapshot = snapshot;
                failpoint::reach("snapshot:done", &"");
            }
            Err(error) if error.kind() == ErrorKind::Retry => {
                warn!(error = %lake::error::describe(&error), "no snapshot could be written; the next batch tries again");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Gives the batch in hand a little time to finish.
async fn finish(step: impl Future<Output = Result<Step, Error>>) -> Result<(), Error> {
    info!("asked to stop; finishing the batch in hand");
    match tokio::time::timeout(STOP_GRACE, step).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            warn!(error = %lake::error::describe(&error), "the batch in hand failed; the next start executes it")
        }
        Err(_) => info!("the batch in hand is left to the next start, which executes it as planned"),
    }
    Ok(())
}
