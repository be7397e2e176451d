//! The control flow: discover → plan → decode → enforce → write → commit, again and again.
//!
//! Makes every decision that needs a clock or depends on another consumer; the stages know neither. Invariant: whatever
//! ends this process at any moment, the next one continues from the ledger.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::Arc,
    time::Duration,
};

use lake::{
    ErrorKind,
    clock::Clock,
    columns::columns_of,
    error::describe,
    ids::BatchId,
    keys::Key,
    ledger::{Claimed, Commit, CommittedInputs, Ledger, Plan, PlannedObject, SchemaRecord, Snapshot},
    store::Lake,
    stream::{AfterCommit, StreamDefinition},
};
use program::backoff::{Backoff, Patience};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    commit::{self, done_with},
    discover::{BegunListing, DeferredObjects, Discovery, KnownInputs, KnownOnes, KnownVersion, PassedOver},
    enforce::Judge,
    error::Error,
    execute::{Executor, IsolatedExecutor, Isolation, LocalExecutor, TaskRequest},
    failpoint,
    hints::Hints,
    owner::Owner,
    plan::plan,
    recover::recover,
    stages::{Stage, Stages},
    takeover::{Attempt, stand_by},
};

/// The pauses between tries while the store fails.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How long the current batch may take to finish after a request to stop.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Looks that hints cause begin this far apart: a share of the interval, and never more than a second. Otherwise a busy
/// bucket would make a batch for each object.
const HINT_GAP_SHARE: u32 = 10;
const HINT_GAP_MAX: Duration = Duration::from_secs(1);

/// How long nothing is removed from the raw zone after a removal failed.
const REMOVAL_PAUSE: Duration = Duration::from_secs(60);

/// How to run a stream.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Drain what is there, then return.
    pub once: bool,
    /// How many tasks run at a time.
    pub workers: usize,
    /// How to run the tasks of a plan that may have killed a process; `None` runs them as any others.
    pub isolation: Option<Arc<dyn Isolation>>,
    /// Who makes the plans.
    pub owner: Owner,
    /// How long to wait for a store that fails.
    pub store_wait: Patience,
    /// What wakes the pipeline before its next look is due.
    pub hints: Hints,
}

impl RunSettings {
    /// Everything in this process, whose plans do not show who made them; no hints. Waits a minute for a store that fails.
    pub fn in_process(once: bool, workers: usize) -> Self {
        Self {
            once,
            workers,
            isolation: None,
            owner: Owner::nobody(),
            store_wait: Patience::For(Duration::from_secs(60)),
            hints: Hints::default(),
        }
    }
}

/// The result of one look at the raw zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A batch was committed, by this consumer or another.
    Committed,
    /// There was nothing new.
    Idle,
}

/// One stream's consumer.
#[derive(Debug)]
pub struct Pipeline {
    ledger: Ledger,
    definition: StreamDefinition,
    schema: SchemaRecord,
    clock: Arc<dyn Clock>,
    settings: RunSettings,
    executor: Arc<dyn Executor>,
    isolated: Option<Arc<dyn Executor>>,
    next: BatchId,
    uncommitted: Option<Plan>,
    /// The last plan that this process made, stored or not.
    made: Option<Uuid>,
    /// How this process executes the current plan, once it has started to.
    attempt: Option<Attempt>,
    known: KnownInputs,
    pending: VecDeque<PlannedObject>,
    deferred: DeferredObjects,
    snapshot: Option<Arc<Snapshot>>,
    discovery: Discovery,
    passed_over: PassedOver,
    all_found: bool,
    remove_again_at: Option<Instant>,
    woken_at: Option<Instant>,
    stages: Stages,
}

impl Pipeline {
    /// Tests the stores, registers the stream's schema, and finds out where the stream is.
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
        Judge::compile(&definition.schema).map_err(in_schema)?;
        columns_of(&definition.schema).map_err(in_schema)?;
        let ledger = Ledger::new(lake.clone(), definition.name.clone());
        // Each of them waits for the store several times.
        let mut listing = BegunListing::new(&lake, &definition.name);
        let both = async { tokio::join!(check(&lake, &definition), recover(&ledger)) };
        let (checked, position) = listing.during(both).await;
        checked?;
        let position = position?;
        remove_leftovers(&lake, &definition).await;
        let executor = Arc::new(LocalExecutor::new(lake.clone(), settings.workers));
        let isolated = settings
            .isolation
            .clone()
            .map(|isolation| -> Arc<dyn Executor> { Arc::new(IsolatedExecutor::new(isolation, settings.workers)) });
        let schema = SchemaRecord::derive(&definition.name, &definition.schema, position.schema.as_ref());
        let schema = schema.map_err(in_schema)?;
        // So that a reader can show the stream's columns before its first row. The one that was read is stored.
        if position.schema.as_ref() != Some(&schema) {
            listing.during(ledger.create_schema(&schema)).await?;
        }
        info!(
            stream = %definition.name,
            next_batch = position.next.number(),
            known_objects = position.known.len(),
            schema = %schema.id(),
            "ready"
        );
        let known_ones =
            if definition.after_commit == AfterCommit::Keep { KnownOnes::PassOver } else { KnownOnes::Report };
        let discovery = Discovery::new(definition.reconcile, known_ones).of_inputs(definition.inputs.clone());
        let discovery = match position.uncommitted {
            None => discovery.with_listing(listing),
            // The first look is after this batch, and must show what lands until then.
            Some(_) => discovery,
        };
        Ok(Self {
            ledger,
            definition,
            schema,
            clock,
            settings,
            executor,
            isolated,
            next: position.next,
            uncommitted: position.uncommitted,
            made: None,
            attempt: None,
            known: position.known,
            pending: VecDeque::new(),
            deferred: DeferredObjects::new(),
            snapshot: position.snapshot,
            discovery,
            passed_over: PassedOver::default(),
            all_found: false,
            remove_again_at: None,
            woken_at: None,
            stages: Stages::begin(),
        })
    }

    /// The same, as [`Discovery::in_parts_of`]: for tests.
    pub fn in_parts_of(self, found_max: usize) -> Self {
        Self { discovery: self.discovery.in_parts_of(found_max), ..self }
    }

    /// Like [`Pipeline::open`], but waits for a store that fails.
    ///
    /// # Errors
    /// As for [`Pipeline::open`]. Kind `Retry`: a store could not be reached for as long as the settings say.
    pub async fn open_patiently(
        lake: &Lake,
        definition: &StreamDefinition,
        clock: &Arc<dyn Clock>,
        settings: &RunSettings,
    ) -> Result<Self, Error> {
        let backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX, settings.store_wait);
        let words = |error: &Error| (error.kind() == ErrorKind::Retry).then(|| describe(error));
        let open = || Self::open(lake.clone(), definition.clone(), Arc::clone(clock), settings.clone());
        backoff.retry(words, open).await
    }

    /// Commits batch after batch until `stop` is done, or with `once` until nothing new is found.
    ///
    /// When asked to stop, it finishes the current batch if that takes a few seconds. Otherwise the next start executes
    /// it as planned.
    ///
    /// # Errors
    /// Kind `Retry`: a store could not be reached for as long as the settings say. Others as for [`Pipeline::open`].
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let ended = self.run_until(stop).await;
        // What may be an object's fault did not end in order.
        if ended.as_ref().err().is_none_or(|error| error.kind() != ErrorKind::Bug) {
            self.leave().await;
        }
        ended
    }

    async fn run_until(&mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        tokio::pin!(stop);
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX, self.settings.store_wait);
        loop {
            let began = Instant::now();
            let stepped = {
                let step = self.step();
                tokio::pin!(step);
                tokio::select! {
                    stepped = &mut step => stepped,
                    // What has failed until now would not finish in a few seconds.
                    () = &mut stop => return if backoff.is_failing() { Ok(()) } else { finish(step).await },
                }
            };
            // A hint does not shorten the pause after a failure.
            let may_wake = stepped.is_ok();
            if may_wake {
                backoff.reset();
            }
            let pause = match stepped {
                // The listing goes on, though nothing new was in this part of it.
                Ok(Step::Idle) if !self.all_found => Duration::ZERO,
                Ok(Step::Idle) if self.settings.once && !self.deferred.are_tried() => Duration::ZERO,
                Ok(Step::Idle) if self.settings.once => return Ok(()),
                Ok(Step::Committed) if self.settings.once && self.is_drained() => return Ok(()),
                Ok(_) => {
                    let at_once = self.settings.once || !self.pending.is_empty() || !self.all_found;
                    if at_once { Duration::ZERO } else { self.definition.interval.saturating_sub(began.elapsed()) }
                }
                Err(error) => pause(&mut backoff, error)?,
            };
            tokio::select! {
                () = self.wait(pause, may_wake) => {}
                () = &mut stop => {
                    info!("asked to stop, with no batch to finish");
                    return Ok(());
                }
            }
        }
    }

    /// Waits until the next look: for `pause`, or until a hint comes.
    async fn wait(&mut self, pause: Duration, may_wake: bool) {
        tokio::select! {
            // A hint that comes while objects are pending waits for the look after them.
            biased;
            () = tokio::time::sleep(pause) => {}
            () = self.woken(), if may_wake => {}
        }
    }

    /// Waits until the last look that a hint caused is long enough ago, and there is a hint.
    async fn woken(&mut self) {
        let gap = (self.definition.interval / HINT_GAP_SHARE).min(HINT_GAP_MAX);
        if let Some(last) = self.woken_at {
            tokio::time::sleep_until(last + gap).await;
        }
        self.settings.hints.arrived().await;
        self.woken_at = Some(Instant::now());
    }

    /// Whether everything that the last listing found is committed, and the listing was complete.
    fn is_drained(&self) -> bool {
        self.all_found && self.pending.is_empty() && self.deferred.are_tried() && self.uncommitted.is_none()
    }

    /// Moves the stream forward by one batch, if there is anything to do.
    async fn step(&mut self) -> Result<Step, Error> {
        self.stages = Stages::begin();
        let plan = match self.uncommitted.take() {
            Some(plan) => plan,
            None => match self.plan_next().await? {
                Some(plan) => plan,
                None => return Ok(Step::Idle),
            },
        };
        // Kept until it is committed, so that a failure in between leads back here.
        self.uncommitted = Some(plan.clone());
        let has_begun = self.attempt.as_ref().is_some_and(|begun| begun.batch() == plan.batch);
        let theirs = if has_begun || self.made_plan(&plan) { None } else { self.stand_by(&plan).await? };
        let commit = match theirs {
            Some(commit) => commit,
            None => {
                let attempt = self.attempt_at(&plan).await?;
                self.execute(&plan, &attempt).await?
            }
        };
        self.advance(&plan, &commit).await?;
        Ok(Step::Committed)
    }

    /// How to execute a plan: as before if this process has started it, and otherwise with the caution that it needs.
    async fn attempt_at(&mut self, plan: &Plan) -> Result<Attempt, Error> {
        if let Some(begun) = self.attempt.as_ref().filter(|attempt| attempt.batch() == plan.batch) {
            return Ok(begun.clone());
        }
        let attempt = match self.made_plan(plan) {
            true => Attempt::first(plan.batch),
            false => Attempt::again(&self.ledger, plan.batch, &self.settings.owner, self.clock.as_ref()).await?,
        };
        Ok(self.attempt.insert(attempt).clone())
    }

    /// Whether this process made the plan; otherwise another one did, which may be working on it.
    fn made_plan(&self, plan: &Plan) -> bool {
        self.made == Some(plan.plan_id)
    }

    /// Discovers and plans the next batch. Returns the plan that won.
    async fn plan_next(&mut self) -> Result<Option<Plan>, Error> {
        if self.pending.is_empty() {
            self.discovery.hint(self.settings.hints.take());
            let mut discovered =
                self.discovery.look(self.ledger.lake(), &self.definition.name, &mut self.known).await?;
            self.passed_over.take_in(&discovered);
            self.all_found = discovered.complete;
            self.deferred.take_in(&mut discovered);
            self.pending = discovered.objects.into();
            let give_up_before = self.clock.now().earlier_by(self.definition.unreadable_after);
            self.pending.extend(self.deferred.due(self.ledger.lake(), &mut self.known, give_up_before).await?);
            self.remove(discovered.done_with).await;
            self.stages.end(Stage::Discover);
            failpoint::reach("discover:listed", &"");
        }
        if self.pending.is_empty() {
            // Another consumer may have planned all there was.
            return Ok(self.ledger.plan(self.next).await?);
        }
        let (plan_id, now) = (self.settings.owner.new_id(), self.clock.now());
        let cores = self.settings.workers;
        let plan = plan(&self.definition, self.schema.id(), self.next, cores, &mut self.pending, plan_id, now);
        self.made = Some(plan_id);
        failpoint::reach("plan:taken", &"");
        match self.ledger.create_plan(&plan).await {
            Ok(Claimed::Ours) => {
                self.stages.end(Stage::Plan);
                failpoint::reach("plan:created", &"");
                self.attempt = Some(Attempt::first(plan.batch));
                Ok(Some(plan))
            }
            Ok(Claimed::Theirs(theirs)) => {
                self.take_back(&plan);
                self.leave_to(&theirs);
                Ok(Some(theirs))
            }
            Err(error) => {
                // It is unknown whether the plan was stored.
                self.take_back(&plan);
                self.uncommitted = self.ledger.plan(self.next).await?;
                if let Some(stored) = self.uncommitted.clone() {
                    self.leave_to(&stored);
                }
                Err(error.into())
            }
        }
    }

    /// Makes the objects of a plan that is not stored pending again: the listing that found them may not show them again
    /// soon.
    fn take_back(&mut self, plan: &Plan) {
        let later = std::mem::take(&mut self.pending);
        self.pending = plan.objects().cloned().chain(later).collect();
    }

    /// Drops what another plan for the next batch names from what is pending. Each such plan is seen before a later one
    /// is made, so that no object is planned twice.
    fn leave_to(&mut self, plan: &Plan) {
        let planned: HashMap<&Key, &str> = plan.objects().map(|object| (&object.key, object.etag.as_str())).collect();
        let (planned_too, left): (Vec<_>, Vec<_>) =
            self.pending.drain(..).partition(|object| planned.contains_key(&object.key));
        self.pending = left.into();
        // What is known of another version of one of these objects changes with that plan's commit: look again then.
        let is_other = |object: &PlannedObject| planned.get(&object.key).is_some_and(|etag| *etag != object.etag);
        let others: Vec<Key> = planned_too.into_iter().filter(is_other).map(|object| object.key).collect();
        self.all_found &= others.is_empty();
        self.discovery.hint(others);
    }

    /// Waits for another consumer's commit; `None` when this process must execute the batch.
    async fn stand_by(&self, plan: &Plan) -> Result<Option<Commit>, Error> {
        let hold = self.definition.take_over_after;
        let look_again = self.definition.interval.min(Duration::from_secs(1));
        stand_by(&self.ledger, plan, &self.settings.owner, self.clock.as_ref(), hold, look_again).await
    }

    /// Executes a plan and commits it. Returns the commit that counts in the end.
    async fn execute(&mut self, plan: &Plan, attempt: &Attempt) -> Result<Commit, Error> {
        self.stages.skip();
        let tasks = TaskRequest::of(plan, self.definition.object_time)?;
        let executor = match &self.isolated {
            Some(isolated) if attempt.after_a_death => isolated,
            _ => &self.executor,
        };
        let reports = executor.run(tasks).await?;
        self.stages.end(Stage::Execute);
        failpoint::reach("write:done", &"");
        let commit = commit::assemble(plan, reports, self.clock.as_ref())?;
        if attempt.is_again() {
            commit::warn_of_other_files(&self.ledger, &commit).await?;
        }
        commit::publish(&self.ledger, commit, &mut self.stages).await
    }

    /// Continues after a committed batch, whatever schema it was read with.
    async fn advance(&mut self, plan: &Plan, commit: &Commit) -> Result<(), Error> {
        if commit.schema_id != self.schema.id() {
            let previous = self.ledger.schema(&commit.schema_id).await?;
            self.schema = SchemaRecord::derive(&self.definition.name, &self.definition.schema, Some(&previous))
                .map_err(Error::Bug)?;
            self.ledger.create_schema(&self.schema).await?;
        }
        self.known.add(CommittedInputs::of(commit));
        self.next = plan.batch.next();
        self.uncommitted = None;
        self.forget_attempts().await;
        if self.definition.after_commit != AfterCommit::Keep {
            self.remove(done_with(commit)).await;
        }
        self.write_snapshot(plan.batch).await
    }

    /// Deletes what the ledger knows about attempts at a batch that is committed now.
    async fn forget_attempts(&mut self) {
        let Some(attempt) = self.attempt.take().filter(Attempt::is_again) else { return };
        if let Err(error) = self.ledger.delete_attempts(attempt.batch()).await {
            info!(error = %describe(&error), "notes about attempts are left, and deleted with the batch's plan");
        }
    }

    /// Leaves the current plan, if this process was executing one, in order.
    async fn leave(&self) {
        if let Some(attempt) = &self.attempt {
            attempt.leave(&self.ledger, self.clock.as_ref()).await;
        }
    }

    /// Removes committed objects from the raw zone if the stream wants that. After a failure, waits before it tries
    /// again.
    async fn remove(&mut self, objects: Vec<KnownVersion>) {
        let now = Instant::now();
        if self.remove_again_at.is_none_or(|then| now >= then) {
            let all = commit::remove(self.ledger.lake(), self.definition.after_commit, objects).await;
            self.remove_again_at = (!all).then_some(now + REMOVAL_PAUSE);
        }
    }

    /// Writes a snapshot of the ledger from time to time. If the store fails, a later batch tries again.
    async fn write_snapshot(&mut self, last: BatchId) -> Result<(), Error> {
        failpoint::reach("snapshot:due", &"");
        let keep_after = self.definition.ledger_keep.map(|keep| self.clock.now().earlier_by(keep));
        let previous = self.snapshot.clone().map(|snapshot| self.known.mended(snapshot));
        match self.ledger.snapshot_if_due(previous, last, keep_after).await {
            Ok(snapshot) => {
                if let Some(snapshot) = &snapshot {
                    self.known.cover(snapshot).await?;
                }
                self.snapshot = snapshot;
                failpoint::reach("snapshot:done", &"");
            }
            Err(error) if error.kind() == ErrorKind::Retry => {
                warn!(error = %describe(&error), "no snapshot could be written; the next batch tries again");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Tests the stores for what the stream needs of them.
async fn check(lake: &Lake, definition: &StreamDefinition) -> Result<(), lake::Error> {
    lake.check_stores().await?;
    match definition.after_commit {
        AfterCommit::Keep => Ok(()),
        AfterCommit::Archive | AfterCommit::Delete => lake.probe_conditional_delete().await,
    }
}

/// Removes what killed processes left half written. It harms nothing, so neither does a failure.
async fn remove_leftovers(lake: &Lake, definition: &StreamDefinition) {
    match lake.remove_leftovers(&definition.name).await {
        Ok(0) => {}
        Ok(removed) => info!(files = removed, "removed what killed processes had left half written"),
        Err(error) => warn!(error = %describe(&error), "what killed processes left half written stays"),
    }
}

/// How long to wait before trying again.
///
/// # Errors
/// The same error, when a retry can't help or was tried for too long.
fn pause(backoff: &mut Backoff, error: Error) -> Result<Duration, Error> {
    let may_end = error.kind() == ErrorKind::Retry;
    may_end.then(|| backoff.pause(&describe(&error))).flatten().ok_or(error)
}

/// Gives the current batch some time to finish.
async fn finish(step: impl Future<Output = Result<Step, Error>>) -> Result<(), Error> {
    info!("asked to stop; finishing the current batch");
    match tokio::time::timeout(STOP_GRACE, step).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            warn!(error = %describe(&error), "the current batch failed; the next start executes it")
        }
        Err(_) => info!("the current batch is left to the next start, which executes it as planned"),
    }
    Ok(())
}
