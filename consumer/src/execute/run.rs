//! Runs one task: fetches its objects, reads their records on a thread of its own, stores files and copies.
//!
//! Knows the stores, and of the ledger only the schema. Invariant: all files that a report names are stored.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use lake::{
    keys::Key,
    ledger::{InputOutcome, Ledger, Outcome, OutputFile, Totals},
    store::{Lake, refuses_to_read},
};
use tokio::sync::{Semaphore, mpsc};

use super::{
    Fetched, ObjectResult, StageTimes, TaskContext, TaskOutput, TaskReport, TaskRequest, Watch,
    context::Schemas,
    fetch::{fetch, warn_of_refusal},
    object, version,
};
use crate::{
    decode::Progress,
    error::Error,
    failpoint,
    write::{Emit, OutputKind, OutputPart, data_file, object_copy, store_copy, store_file},
};

/// Runs a task in this process, on one core.
///
/// # Errors
/// As [`Worker::run`].
pub async fn run_task(lake: &Lake, request: &TaskRequest, watch: Arc<dyn Watch>) -> Result<TaskReport, Error> {
    Worker::new(lake.clone(), 1).run(request, watch).await
}

/// Runs tasks one by one or several at a time, and keeps what the next one can reuse: compiled schemas, memory.
pub struct Worker {
    lake: Lake,
    schemas: Schemas,
    /// One permit for each core: a task has one while it reads records, and none while its objects are fetched.
    cores: Semaphore,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("lake", &self.lake).finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker that reads records on this many cores, at least one.
    pub fn new(lake: Lake, cores: usize) -> Self {
        Self { lake, schemas: Schemas::default(), cores: Semaphore::new(cores.max(1)) }
    }

    /// Runs a task with the schema and settings of its plan.
    ///
    /// # Errors
    /// Kind `Retry`: a store failed; run it again. Kind `Corrupt`: the ledger or a file contradicts the plan.
    /// [`Error::Hung`]: an object took too long; the process must end, since a thread still works on it.
    pub async fn run(&self, request: &TaskRequest, watch: Arc<dyn Watch>) -> Result<TaskReport, Error> {
        // A long object shows only while it is read that the store refuses that.
        let mut refused = BTreeSet::new();
        loop {
            let ended = self.run_without(&refused, request, Arc::clone(&watch)).await;
            let Err(Error::Fetch { key, source }) = &ended else { return ended };
            let at = request.objects.iter().position(|object| object.key.to_string() == *key);
            match at.filter(|_| refuses_to_read(source)) {
                Some(at) if refused.insert(at) => warn_of_refusal(&request.objects[at], source),
                _ => return ended,
            }
        }
    }

    /// Runs a task without these of its objects, by their places, which the store refuses to let be read.
    async fn run_without(
        &self,
        refused: &BTreeSet<usize>,
        request: &TaskRequest,
        watch: Arc<dyn Watch>,
    ) -> Result<TaskReport, Error> {
        let (running, fetch) = self.fetch(refused, request, watch).await?;
        let (emit, parts) = parts(&running.progress);
        let ((output, encode, read), (files, storing)) =
            tokio::try_join!(self.read(&running, emit), running.store(parts))?;
        let began = Instant::now();
        let inputs = running.inputs(output.objects).await?;
        let store = storing + began.elapsed();
        let totals = Totals {
            records_read: inputs.iter().map(|input| input.records_read).sum(),
            rows: inputs.iter().map(|input| input.rows).sum(),
            dead_letters: inputs.iter().map(|input| input.dead_letters).sum(),
            dead_letters_by_reason: output.by_reason,
            ..Totals::default()
        };
        let times = StageTimes { fetch, read: read.saturating_sub(encode), encode, store };
        Ok(TaskReport { inputs, files, totals, times })
    }

    /// Reads a task's objects as [`Worker::run`] does, and stores nothing: to see whether that can be done at all.
    ///
    /// # Errors
    /// As [`Worker::run`].
    pub async fn rehearse(&self, request: &TaskRequest, watch: Arc<dyn Watch>) -> Result<(), Error> {
        let (running, _) = self.fetch(&BTreeSet::new(), request, watch).await?;
        let (emit, mut parts) = parts(&running.progress);
        let forget = async {
            while parts.recv().await.is_some() {}
            Ok(())
        };
        tokio::try_join!(self.read(&running, emit), forget).map(drop)
    }

    /// Fetches a task's objects. Also returns how long it took.
    async fn fetch<'a>(
        &'a self,
        refused: &BTreeSet<usize>,
        request: &'a TaskRequest,
        watch: Arc<dyn Watch>,
    ) -> Result<(Running<'a>, Duration), Error> {
        let ledger = Ledger::new(self.lake.clone(), request.plan.stream.clone());
        let context = Arc::new(self.schemas.context(&ledger, &request.plan).await?);
        let began = Instant::now();
        let fetched = Arc::new(fetch(&self.lake, request, refused).await?);
        let took = began.elapsed();
        failpoint::reach("fetch:done", &"");
        let running = Running { lake: &self.lake, request, watch, context, fetched, progress: Progress::default() };
        Ok((running, took))
    }

    /// Reads a task's objects on one core. Also returns how long it took to make the files, and in all.
    async fn read(&self, running: &Running<'_>, emit: Emit) -> Result<(TaskOutput, Duration, Duration), Error> {
        let _core = self.cores.acquire().await.map_err(|error| Error::Bug(error.to_string()))?;
        let began = Instant::now();
        let (output, encoding) = running.read(emit).await?;
        Ok((output, encoding, began.elapsed()))
    }
}

/// A task whose objects are fetched.
struct Running<'a> {
    lake: &'a Lake,
    request: &'a TaskRequest,
    watch: Arc<dyn Watch>,
    context: Arc<TaskContext>,
    fetched: Arc<Vec<Fetched>>,
    progress: Progress,
}

impl Running<'_> {
    /// Stores the task's files as they arrive, those of rows before those of dead letters. Also returns how long it
    /// took.
    async fn store(&self, mut parts: mpsc::Receiver<OutputPart>) -> Result<(Vec<OutputFile>, Duration), Error> {
        let (mut files, mut storing) = (Vec::new(), Duration::ZERO);
        while let Some(OutputPart { kind, part, file }) = parts.recv().await {
            let began = Instant::now();
            let plan = &self.request.plan;
            let name = data_file(plan, self.request.task, version::of_file(plan.plan_id, &self.fetched, part));
            let (key, stored) = match kind {
                OutputKind::Bronze => (Key::Bronze(name), "write:bronze"),
                OutputKind::DeadLetters => (Key::DeadLetters(name), "write:dead_letters"),
            };
            files.push(store_file(self.lake, key, file).await?);
            storing += began.elapsed();
            failpoint::reach(stored, &"");
        }
        files.sort_by_key(|file| file.key.zone());
        Ok((files, storing))
    }

    /// Reads all objects on a thread of their own, for as long as that makes progress.
    async fn read(&self, emit: Emit) -> Result<(TaskOutput, Duration), Error> {
        let (context, fetched) = (Arc::clone(&self.context), Arc::clone(&self.fetched));
        let (objects, first_input) = (self.request.objects.clone(), self.request.first_input);
        let (at, watch, progress) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&self.watch), self.progress.clone());
        let begun = Arc::clone(&at);
        let begin = move |index| {
            begun.store(index, Ordering::Relaxed);
            watch.begins(first_input + index);
        };
        let work =
            tokio::task::spawn_blocking(move || object::execute(&context, &objects, &fetched, begin, &progress, emit));
        tokio::pin!(work);
        let limit = self.request.object_time;
        let mut before = None;
        loop {
            if let Ok(ended) = tokio::time::timeout(limit, &mut work).await {
                return ended.map_err(|error| Error::Bug(format!("a task ended without a result: {error}")))?;
            }
            let ticks = self.progress.ticks();
            let stands_still = before.replace(ticks) == Some(ticks) && ticks.is_some();
            if stands_still && let Some(object) = self.request.objects.get(at.load(Ordering::Relaxed)) {
                return Err(Error::Hung { key: object.key.to_string(), limit });
            }
        }
    }

    /// The outcome of each object, once those that can't be read are kept.
    async fn inputs(&self, results: Vec<ObjectResult>) -> Result<Vec<InputOutcome>, Error> {
        let mut inputs = Vec::with_capacity(results.len());
        for (at, (object, result)) in self.request.objects.iter().zip(results).enumerate() {
            let copy = match result.outcome {
                Outcome::DeadLettered => Some(object_copy(&self.request.plan, self.request.first_input + at)?),
                _ => None,
            };
            if let Some(copy) = &copy {
                let fetched = self.fetched.get(at).unwrap_or(&Fetched::Missing);
                store_copy(self.lake, copy, object, fetched).await?;
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

/// The channel for a task's files from its working thread; one file may wait.
fn parts(progress: &Progress) -> (Emit, mpsc::Receiver<OutputPart>) {
    let (sender, parts) = mpsc::channel(1);
    let progress = progress.clone();
    let emit = move |part| {
        let sent = progress.wait(|| sender.blocking_send(part));
        sent.map_err(|_| Error::Bug("a file was made that is not stored any more".to_owned()))
    };
    (Box::new(emit), parts)
}
