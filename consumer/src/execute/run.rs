//! Runs one task: fetches its objects, reads their records on a thread of its own, stores files and copies.
//!
//! Knows the stores, and of the ledger only the schema. Invariant: all files that a report names are stored.

use std::{
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
    store::Lake,
};
use tokio::sync::{Semaphore, mpsc};

use super::{
    Fetched, ObjectResult, StageTimes, TaskContext, TaskOutput, TaskReport, TaskRequest, Watch,
    context::Schemas,
    fetch::fetch,
    object::{self, Execution},
    version,
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
pub async fn run_task(lake: &Lake, request: &TaskRequest, watch: &dyn Watch) -> Result<TaskReport, Error> {
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
    /// [`Error::Hung`]: an object took too long; the process must end, since a thread still works on it. Those of `watch`.
    pub async fn run(&self, request: &TaskRequest, watch: &dyn Watch) -> Result<TaskReport, Error> {
        let ledger = Ledger::new(self.lake.clone(), request.plan.stream.clone());
        let context = Arc::new(self.schemas.context(&ledger, &request.plan).await?);
        let mut times = StageTimes::default();
        let began = Instant::now();
        let fetched = Arc::new(fetch(&self.lake, request).await?);
        times.fetch = began.elapsed();
        failpoint::reach("fetch:done", &"");
        let running = Running { lake: &self.lake, request, watch, context, fetched };
        let (emit, parts) = parts();
        let output = async {
            let _core = self.cores.acquire().await.map_err(|error| Error::Bug(error.to_string()))?;
            let began = Instant::now();
            let (output, encoding) = match request.careful {
                true => running.read_carefully(emit).await,
                false => running.read(emit).await,
            }?;
            Ok((output, encoding, began.elapsed()))
        };
        let ((output, encode, read), (files, storing)) = tokio::try_join!(output, running.store(parts))?;
        let began = Instant::now();
        let inputs = running.inputs(output.objects).await?;
        (times.encode, times.read) = (encode, read.saturating_sub(encode));
        times.store = storing + began.elapsed();
        let totals = Totals {
            records_read: inputs.iter().map(|input| input.records_read).sum(),
            rows: inputs.iter().map(|input| input.rows).sum(),
            dead_letters: inputs.iter().map(|input| input.dead_letters).sum(),
            dead_letters_by_reason: output.by_reason,
            ..Totals::default()
        };
        Ok(TaskReport { inputs, files, totals, times })
    }
}

/// A task whose objects are fetched.
struct Running<'a> {
    lake: &'a Lake,
    request: &'a TaskRequest,
    watch: &'a dyn Watch,
    context: Arc<TaskContext>,
    fetched: Arc<Vec<Fetched>>,
}

impl Running<'_> {
    /// Stores the task's files as they arrive, those of rows before those of dead letters. Also returns how long it
    /// took.
    async fn store(&self, mut parts: mpsc::Receiver<OutputPart>) -> Result<(Vec<OutputFile>, Duration), Error> {
        let (mut files, mut storing) = (Vec::new(), Duration::ZERO);
        while let Some(OutputPart { kind, part, file }) = parts.recv().await {
            let began = Instant::now();
            let name = data_file(&self.request.plan, self.request.task, version::fingerprint(&self.fetched, part));
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

    /// Reads all objects in one go.
    async fn read(&self, emit: Emit) -> Result<(TaskOutput, Duration), Error> {
        let (context, fetched) = (Arc::clone(&self.context), Arc::clone(&self.fetched));
        let objects = self.request.objects.clone();
        let (at, progress) = (Arc::new(AtomicUsize::new(0)), Progress::default());
        let (begun, ticks) = (Arc::clone(&at), progress.clone());
        let begin = move |index| begun.store(index, Ordering::Relaxed);
        let work = move || object::execute(&context, &objects, &fetched, begin, &ticks, emit);
        self.watched(&at, &progress, work).await
    }

    /// Reads the objects one at a time, and reports each to the watch before.
    async fn read_carefully(&self, emit: Emit) -> Result<(TaskOutput, Duration), Error> {
        let progress = Progress::default();
        let mut execution = Execution::new(Arc::clone(&self.context), &progress, emit);
        for (index, object) in self.request.objects.iter().enumerate() {
            self.watch.begins(self.request.first_input + index, &object.key).await?;
            let (object, fetched) = (object.clone(), Arc::clone(&self.fetched));
            let work = move || execution.object(&object, &fetched[index]).map(|()| execution);
            execution = self.watched(&AtomicUsize::new(index), &progress, work).await?;
        }
        let last = AtomicUsize::new(self.request.objects.len().saturating_sub(1));
        self.watched(&last, &progress, move || execution.finish()).await
    }

    /// Runs work on a thread of its own for as long as it makes progress.
    async fn watched<T: Send + 'static>(
        &self,
        at: &AtomicUsize,
        progress: &Progress,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let work = tokio::task::spawn_blocking(work);
        tokio::pin!(work);
        let limit = self.request.object_time;
        let mut before = None;
        loop {
            if let Ok(ended) = tokio::time::timeout(limit, &mut work).await {
                return ended.map_err(|error| Error::Bug(format!("a task ended without a result: {error}")))?;
            }
            let (now, ticks) = (at.load(Ordering::Relaxed), progress.ticks());
            if before.replace(ticks) == Some(ticks)
                && let Some(object) = self.request.objects.get(now)
            {
                self.watch.hangs(self.request.first_input + now, &object.key).await?;
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
fn parts() -> (Emit, mpsc::Receiver<OutputPart>) {
    let (sender, parts) = mpsc::channel(1);
    let emit = move |part| {
        sender.blocking_send(part).map_err(|_| Error::Bug("a file was made that is not stored any more".to_owned()))
    };
    (Box::new(emit), parts)
}
