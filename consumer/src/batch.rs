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
    keys::{Key, ZoneName},
    ledger::{Commit, InputOutcome, Ledger, Outcome, OutputFile, Plan, PlannedTask, SchemaRecord, Totals},
    store::Lake,
};
use uuid::Uuid;

use crate::{
    attempts::Attempt,
    compiled::Compiled,
    enforce::Enforcer,
    error::Error,
    failpoint,
    fetch::fetch_task,
    rows::BatchOrigin,
    store_output::{data_file, store_copy, store_file},
    task::{self, Execution, Fetched, ObjectResult, TaskContext, TaskOutput},
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
    let batch = Batch { ledger, plan, clock, attempt, context: Arc::new(context(plan, record)?) };
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
    let enforcer = Enforcer::compile(&record.json_schema)
        .map_err(|what| Error::Corrupt(format!("the planned schema {} {what}", plan.schema_id)))?;
    let origin = BatchOrigin { batch: plan.batch, ingested_at: plan.planned_at, schema_id: plan.schema_id.clone() };
    // Another version of the program judges each record itself.
    let compiled = (!failpoint::is_other_version()).then(|| Compiled::compile(&record.json_schema, &record.columns));
    let compiled = compiled.flatten();
    Ok(TaskContext { origin, columns: record.columns, enforcer, compiled, read: plan.read.clone() })
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
}

impl Batch<'_> {
    async fn task(&self, number: Ordinal, first_input: usize, task: &PlannedTask) -> Result<TaskResult, Error> {
        let lake = self.ledger.lake();
        let is_poisoned = |at| self.attempt.is_poisoned(first_input + at);
        let fetched = Arc::new(fetch_task(lake, task, &self.plan.read, is_poisoned).await?);
        failpoint::reach("fetch:done", &"");
        let output = match self.attempt.is_careful() {
            true => self.read_carefully(first_input, task, &fetched).await?,
            false => self.read(first_input, task, &fetched).await?,
        };
        failpoint::reach("decode:done", &"");
        let name = data_file(self.plan, number, task::fingerprint(&fetched));
        let bronze = store_optional(lake, Key::Bronze(name.clone()), output.bronze);
        let dead_letters = store_optional(lake, Key::DeadLetters(name), output.dead_letters);
        let (bronze, dead_letters) = tokio::try_join!(bronze, dead_letters)?;
        let inputs = self.inputs(first_input, task, &fetched, output.objects).await?;
        let totals = Totals {
            records_read: inputs.iter().map(|input| input.records_read).sum(),
            rows: inputs.iter().map(|input| input.rows).sum(),
            dead_letters: inputs.iter().map(|input| input.dead_letters).sum(),
            dead_letters_by_reason: output.by_reason,
        };
        Ok(TaskResult { inputs, files: bronze.into_iter().chain(dead_letters).collect(), totals })
    }

    /// Reads all objects of a task in one go.
    async fn read(
        &self,
        first_input: usize,
        task: &PlannedTask,
        fetched: &Arc<Vec<Fetched>>,
    ) -> Result<TaskOutput, Error> {
        let (context, fetched) = (Arc::clone(&self.context), Arc::clone(fetched));
        let objects = task.objects.clone();
        let at = Arc::new(AtomicUsize::new(0));
        let progress = Arc::clone(&at);
        let work = move || task::execute(&context, &objects, &fetched, |at| progress.store(at, Ordering::Relaxed));
        self.watched(first_input, task, &at, work).await
    }

    /// Reads the objects of a task one at a time, each noted in the ledger before.
    async fn read_carefully(
        &self,
        first_input: usize,
        task: &PlannedTask,
        fetched: &Arc<Vec<Fetched>>,
    ) -> Result<TaskOutput, Error> {
        let mut execution = Execution::new(Arc::clone(&self.context));
        for (index, object) in task.objects.iter().enumerate() {
            self.attempt.take_in_hand(self.ledger, first_input + index, Some(&object.key)).await?;
            let (object, fetched) = (object.clone(), Arc::clone(fetched));
            let work = move || execution.object(&object, &fetched[index]).map(|()| execution);
            execution = self.watched(first_input, task, &AtomicUsize::new(index), work).await?;
        }
        let last = AtomicUsize::new(task.objects.len().saturating_sub(1));
        self.watched(first_input, task, &last, move || execution.finish()).await
    }

    /// Works on a thread of its own for as long as the object `at` keeps changing.
    async fn watched<T: Send + 'static>(
        &self,
        first_input: usize,
        task: &PlannedTask,
        at: &AtomicUsize,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let work = tokio::task::spawn_blocking(work);
        tokio::pin!(work);
        let mut before = None;
        loop {
            if let Ok(ended) = tokio::time::timeout(self.attempt.object_time, &mut work).await {
                return ended.map_err(|error| Error::Bug(format!("a task ended without a result: {error}")))?;
            }
            let now = at.load(Ordering::Relaxed);
            if before.replace(now) == Some(now)
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

async fn store_optional(
    lake: &Lake,
    key: Key,
    file: Option<crate::parquet_file::WrittenFile>,
) -> Result<Option<OutputFile>, Error> {
    match file {
        Some(file) => {
            let stored = store_file(lake, key, file).await?;
            failpoint::reach(
                if stored.key.zone() == ZoneName::Bronze { "write:bronze" } else { "write:dead_letters" },
                &"",
            );
            Ok(Some(stored))
        }
        None => Ok(None),
    }
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
    task::fingerprint(&[])
}

/// How many dead letters of each reason a commit has, as one line for a log.
pub fn reasons_line(by_reason: &std::collections::BTreeMap<Reason, u64>) -> String {
    by_reason.iter().map(|(reason, count)| format!("{} {count}", reason.as_str())).collect::<Vec<_>>().join(", ")
}
