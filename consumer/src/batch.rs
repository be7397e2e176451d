//! A batch, executed: all tasks of one plan, in parallel, into the commit that would publish it.
//!
//! A function of the plan and the stores alone, so that any process that can reach them can execute it. Takes no
//! decision about whether the batch is still wanted. Invariant: the commit names the files of this execution only.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use lake::{
    clock::Clock,
    dead_letter::Reason,
    ids::{Fingerprint, Ordinal},
    keys::Key,
    ledger::{Commit, InputOutcome, Ledger, Outcome, OutputFile, Plan, PlannedTask, SchemaRecord, Totals},
    store::Lake,
};
use uuid::Uuid;

use crate::{
    enforce::Enforcer,
    error::Error,
    fetch::fetch_task,
    rows::BatchOrigin,
    store_output::{data_file, store_copy, store_file},
    task::{self, Fetched, TaskContext},
};

/// Executes a plan under the schema and settings it was made with, and tells the commit that publishes it.
///
/// All files that the commit names are stored when it is returned. Nothing is visible yet.
///
/// # Errors
/// Kind `Retry`: a store failed; execute again. Kind `Corrupt`: the ledger or a file contradicts the plan.
pub async fn execute(ledger: &Ledger, plan: &Plan, clock: &dyn Clock, workers: usize) -> Result<Commit, Error> {
    let record = ledger.schema(&plan.schema_id).await?;
    let context = Arc::new(context(plan, record)?);
    let mut first_input = 0;
    let mut tasks = Vec::with_capacity(plan.tasks.len());
    for (number, task) in plan.tasks.iter().enumerate() {
        let number = Ordinal::new(number).ok_or_else(|| Error::Bug("the plan has too many tasks".to_owned()))?;
        tasks.push(run_task(ledger.lake(), plan, Arc::clone(&context), number, first_input, task));
        first_input += task.objects.len();
    }
    // One more than there are cores, so that one task's transfers overlap with the others' work.
    let results: Vec<TaskResult> = stream::iter(tasks).buffered(workers + 1).try_collect().await?;
    Ok(assemble(plan, results, clock))
}

fn context(plan: &Plan, record: SchemaRecord) -> Result<TaskContext, Error> {
    let enforcer = Enforcer::compile(&record.json_schema)
        .map_err(|what| Error::Corrupt(format!("the planned schema {} {what}", plan.schema_id)))?;
    let origin = BatchOrigin { batch: plan.batch, ingested_at: plan.planned_at, schema_id: plan.schema_id.clone() };
    Ok(TaskContext { origin, columns: record.columns, enforcer, read: plan.read.clone() })
}

struct TaskResult {
    inputs: Vec<InputOutcome>,
    files: Vec<OutputFile>,
    totals: Totals,
}

async fn run_task(
    lake: &Lake,
    plan: &Plan,
    context: Arc<TaskContext>,
    number: Ordinal,
    first_input: usize,
    task: &PlannedTask,
) -> Result<TaskResult, Error> {
    let fetched = Arc::new(fetch_task(lake, task, &plan.read).await?);
    let output = {
        let (task, fetched) = (task.clone(), Arc::clone(&fetched));
        let work = tokio::task::spawn_blocking(move || task::execute(&context, &task, &fetched));
        work.await.map_err(|error| Error::Bug(format!("a task ended without a result: {error}")))??
    };
    let name = data_file(plan, number, task::fingerprint(&fetched));
    let bronze = store_optional(lake, Key::Bronze(name.clone()), output.bronze);
    let dead_letters = store_optional(lake, Key::DeadLetters(name), output.dead_letters);
    let (bronze, dead_letters) = tokio::try_join!(bronze, dead_letters)?;

    let mut inputs = Vec::with_capacity(task.objects.len());
    for (at, (object, result)) in task.objects.iter().zip(output.objects).enumerate() {
        let copy = match result.outcome {
            Outcome::DeadLettered => Some(copy_key(plan, first_input + at)?),
            _ => None,
        };
        if let Some(copy) = &copy {
            store_copy(lake, copy.clone(), object, fetched.get(at).unwrap_or(&Fetched::Missing)).await?;
        }
        inputs.push(InputOutcome {
            key: object.key.clone(),
            etag: object.etag.clone(),
            size: object.size,
            outcome: result.outcome,
            records_read: result.rows + result.dead_letters,
            rows: result.rows,
            dead_letters: result.dead_letters,
            copy,
        });
    }
    let totals = Totals {
        records_read: inputs.iter().map(|input| input.records_read).sum(),
        rows: inputs.iter().map(|input| input.rows).sum(),
        dead_letters: inputs.iter().map(|input| input.dead_letters).sum(),
        dead_letters_by_reason: output.by_reason,
    };
    Ok(TaskResult { inputs, files: bronze.into_iter().chain(dead_letters).collect(), totals })
}

async fn store_optional(
    lake: &Lake,
    key: Key,
    file: Option<crate::parquet_file::WrittenFile>,
) -> Result<Option<OutputFile>, Error> {
    match file {
        Some(file) => store_file(lake, key, file).await.map(Some),
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
