//! A batch, executed: all tasks of one plan, in parallel, into the commit that would publish it.
//!
//! A function of the plan and the stores alone, so that any process that can reach them can execute it. Takes no
//! decision about whether the batch is still wanted. Invariant: the commit names the files of this execution only.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::{StreamExt, TryStreamExt, stream};
use lake::{
    clock::Clock,
    dead_letter::Reason,
    ids::{Fingerprint, Ordinal},
    keys::Key,
    ledger::{Commit, InputOutcome, Ledger, Outcome, OutputFile, Plan, PlannedTask, SchemaRecord, Totals},
};
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use crate::{
    attempts::Attempt,
    decode::Progress,
    error::Error,
    failpoint,
    fetch::fetch_task,
    rows::BatchOrigin,
    store_output::{data_file, store_copy, store_file},
    task::{self, Emit, Execution, Fetched, ObjectResult, OutputKind, OutputPart, TaskContext, TaskOutput},
};

/// Executes a plan under the schema and settings it was made with, and tells the commit that publishes it.
///
/// All files that the commit names are stored when it is returned. Nothing is visible yet.
///
/// # Errors
/// Kind `Retry`: a store failed; execute again. Kind `Corrupt`: the ledger or a file contradicts the plan.
/// [`Error::Hung`]: an object took too long, which is noted; the process must end, since a thread still works on it.
pub async fn execute(
    ledger: &Ledger,
    plan: &Plan,
    clock: &dyn Clock,
    workers: usize,
    attempt: &Attempt,
) -> Result<Commit, Error> {
    let record = ledger.schema(&plan.schema_id).await?;
    let batch = Batch {
        ledger,
        plan,
        clock,
        attempt,
        context: Arc::new(context(plan, record)?),
        cores: Arc::new(Semaphore::new(workers.max(1))),
    };
    let mut first_input = 0;
    let mut tasks = Vec::with_capacity(plan.tasks.len());
    for (number, task) in plan.tasks.iter().enumerate() {
        let number = Ordinal::new(number).ok_or_else(|| Error::Bug("the plan has too many tasks".to_owned()))?;
        tasks.push(batch.task(number, first_input, task));
        first_input += task.objects.len();
    }
    // One more than there are cores, so that one task's transfers overlap with the others' work.
    let at_once = if attempt.is_careful() { 1 } else { workers + 1 };
    let results: Vec<TaskResult> = stream::iter(tasks).buffered(at_once).try_collect().await?;
    attempt.take_in_hand(ledger, first_input, None).await?;
    failpoint::reach("write:done", &"");
    Ok(assemble(plan, results, clock))
}

fn context(plan: &Plan, record: SchemaRecord) -> Result<TaskContext, Error> {
    let origin = BatchOrigin { batch: plan.batch, ingested_at: plan.planned_at, schema_id: plan.schema_id.clone() };
    // Another version of the program judges each record itself.
    TaskContext::new(origin, record, plan.read.clone(), failpoint::is_other_version())
        .map_err(|what| Error::Corrupt(format!("the planned schema {} {what}", plan.schema_id)))
}

struct TaskResult {
    inputs: Vec<InputOutcome>,
    files: Vec<OutputFile>,
    totals: Totals,
}

/// All that the tasks of one execution share.
struct Batch<'a> {
    ledger: &'a Ledger,
    plan: &'a Plan,
    clock: &'a dyn Clock,
    attempt: &'a Attempt,
    context: Arc<TaskContext>,
    /// One permit for each core: a task has one while it reads records, and none while its objects are fetched.
    cores: Arc<Semaphore>,
}

impl Batch<'_> {
    async fn task(&self, number: Ordinal, first_input: usize, task: &PlannedTask) -> Result<TaskResult, Error> {
        let lake = self.ledger.lake();
        let is_poisoned = |at| self.attempt.is_poisoned(first_input + at);
        let fetched = Arc::new(fetch_task(lake, task, &self.plan.read, is_poisoned).await?);
        failpoint::reach("fetch:done", &"");
        let (emit, parts) = parts();
        let output = async {
            let _core = self.cores.acquire().await.map_err(|error| Error::Bug(error.to_string()))?;
            match self.attempt.is_careful() {
                true => self.read_carefully(first_input, task, &fetched, emit).await,
                false => self.read(first_input, task, &fetched, emit).await,
            }
        };
        let (output, files) = tokio::try_join!(output, self.store(number, &fetched, parts))?;
        let inputs = self.inputs(first_input, task, &fetched, output.objects).await?;
        let totals = Totals {
            records_read: inputs.iter().map(|input| input.records_read).sum(),
            rows: inputs.iter().map(|input| input.rows).sum(),
            dead_letters: inputs.iter().map(|input| input.dead_letters).sum(),
            dead_letters_by_reason: output.by_reason,
        };
        Ok(TaskResult { inputs, files, totals })
    }

    /// Stores a task's files as they come; the rows' before the dead letters'.
    async fn store(
        &self,
        number: Ordinal,
        fetched: &[Fetched],
        mut parts: mpsc::Receiver<OutputPart>,
    ) -> Result<Vec<OutputFile>, Error> {
        let mut files = Vec::new();
        while let Some(OutputPart { kind, part, file }) = parts.recv().await {
            let name = data_file(self.plan, number, task::fingerprint(fetched, part));
            let (key, stored) = match kind {
                OutputKind::Bronze => (Key::Bronze(name), "write:bronze"),
                OutputKind::DeadLetters => (Key::DeadLetters(name), "write:dead_letters"),
            };
            files.push(store_file(self.ledger.lake(), key, file).await?);
            failpoint::reach(stored, &"");
        }
        files.sort_by_key(|file| file.key.zone());
        Ok(files)
    }

    /// Reads all objects of a task in one go.
    async fn read(
        &self,
        first_input: usize,
        task: &PlannedTask,
        fetched: &Arc<Vec<Fetched>>,
        emit: Emit,
    ) -> Result<TaskOutput, Error> {
        let (context, fetched) = (Arc::clone(&self.context), Arc::clone(fetched));
        let objects = task.objects.clone();
        let (at, progress) = (Arc::new(AtomicUsize::new(0)), Progress::default());
        let (begun, ticks) = (Arc::clone(&at), progress.clone());
        let begin = move |index| begun.store(index, Ordering::Relaxed);
        let work = move || task::execute(&context, &objects, &fetched, begin, &ticks, emit);
        self.watched(first_input, task, &at, &progress, work).await
    }

    /// Reads the objects of a task one at a time, each noted in the ledger before.
    async fn read_carefully(
        &self,
        first_input: usize,
        task: &PlannedTask,
        fetched: &Arc<Vec<Fetched>>,
        emit: Emit,
    ) -> Result<TaskOutput, Error> {
        let progress = Progress::default();
        let mut execution = Execution::new(Arc::clone(&self.context), &progress, emit);
        for (index, object) in task.objects.iter().enumerate() {
            self.attempt.take_in_hand(self.ledger, first_input + index, Some(&object.key)).await?;
            let (object, fetched) = (object.clone(), Arc::clone(fetched));
            let work = move || execution.object(&object, &fetched[index]).map(|()| execution);
            execution = self.watched(first_input, task, &AtomicUsize::new(index), &progress, work).await?;
        }
        let last = AtomicUsize::new(task.objects.len().saturating_sub(1));
        self.watched(first_input, task, &last, &progress, move || execution.finish()).await
    }

    /// Works on a thread of its own for as long as it makes progress.
    async fn watched<T: Send + 'static>(
        &self,
        first_input: usize,
        task: &PlannedTask,
        at: &AtomicUsize,
        progress: &Progress,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let work = tokio::task::spawn_blocking(work);
        tokio::pin!(work);
        let mut before = None;
        loop {
            if let Ok(ended) = tokio::time::timeout(self.attempt.object_time, &mut work).await {
                return ended.map_err(|error| Error::Bug(format!("a task ended without a result: {error}")))?;
            }
            let (now, ticks) = (at.load(Ordering::Relaxed), progress.ticks());
            if before.replace(ticks) == Some(ticks)
                && let Some(object) = task.objects.get(now)
            {
                self.attempt.note_hang(self.ledger, self.clock, first_input + now, &object.key).await?;
                return Err(Error::Hung { key: object.key.to_string(), limit: self.attempt.object_time });
            }
        }
    }

    /// What became of each object of a task, once those that can't be read are kept.
    async fn inputs(
        &self,
        first_input: usize,
        task: &PlannedTask,
        fetched: &[Fetched],
        results: Vec<ObjectResult>,
    ) -> Result<Vec<InputOutcome>, Error> {
        let mut inputs = Vec::with_capacity(task.objects.len());
        for (at, (object, result)) in task.objects.iter().zip(results).enumerate() {
            let copy = match result.outcome {
                Outcome::DeadLettered => Some(copy_key(self.plan, first_input + at)?),
                _ => None,
            };
            if let Some(copy) = &copy {
                let fetched = fetched.get(at).unwrap_or(&Fetched::Missing);
                store_copy(self.ledger.lake(), copy.clone(), object, fetched).await?;
                failpoint::reach("write:copy", &object.key);
            }
            inputs.push(InputOutcome {
                key: object.key.clone(),
                etag: object.etag.clone(),
                size: object.size,
                outcome: result.outcome,
                records_read: result.rows + result.dead_letters,
                rows: result.rows,
                dead_letters: result.dead_letters,
                content: result.content,
                copy,
            });
        }
        Ok(inputs)
    }
}

/// How a task's files come from the thread that works on it; one may wait.
fn parts() -> (Emit, mpsc::Receiver<OutputPart>) {
    let (sender, parts) = mpsc::channel(1);
    let emit = move |part| {
        sender.blocking_send(part).map_err(|_| Error::Bug("a file was made that nobody stores any more".to_owned()))
    };
    (Box::new(emit), parts)
}

fn copy_key(plan: &Plan, input: usize) -> Result<Key, Error> {
    let input = Ordinal::new(input).ok_or_else(|| Error::Bug("the plan has too many inputs".to_owned()))?;
    Ok(Key::ObjectCopy { stream: plan.stream.clone(), batch: plan.batch, input })
}

fn assemble(plan: &Plan, results: Vec<TaskResult>, clock: &dyn Clock) -> Commit {
    let mut commit = Commit {
        stream: plan.stream.clone(),
        batch: plan.batch,
        plan_id: plan.plan_id,
        attempt_id: Uuid::new_v4(),
        committed_at: clock.now(),
        schema_id: plan.schema_id.clone(),
        fingerprint: program_fingerprint(),
        inputs: Vec::new(),
        files: Vec::new(),
        totals: Totals::default(),
    };
    for result in results {
        commit.inputs.extend(result.inputs);
        commit.files.extend(result.files);
        commit.totals.add(&result.totals);
    }
    commit
}

/// The fingerprint of files whose task found all of its objects.
fn program_fingerprint() -> Fingerprint {
    task::fingerprint(&[], 0)
}

/// How many dead letters of each reason a commit has, as one line for a log.
pub fn reasons_line(by_reason: &std::collections::BTreeMap<Reason, u64>) -> String {
    by_reason.iter().map(|(reason, count)| format!("{} {count}", reason.as_str())).collect::<Vec<_>>().join(", ")
}
