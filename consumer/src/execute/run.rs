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

use futures::{StreamExt, stream::FuturesUnordered};
use lake::{
    keys::Key,
    ledger::{InputOutcome, Ledger, Outcome, OutputFile, PlannedObject, Totals},
    store::{Lake, refuses_to_read},
};
use tokio::sync::{Semaphore, mpsc};

use super::{
    ObjectResult, StageTimes, TaskContext, TaskOutput, TaskReport, TaskRequest, Watch,
    context::Schemas,
    fetch::{Fetching, warn_of_refusal},
    object::Execution,
    version,
};
use crate::{
    decode::Progress,
    error::Error,
    failpoint,
    write::{Emit, Made, OutputKind, OutputPart, data_file, object_copy, store_copy, store_file},
};

/// While files of a task that are together this long are being stored, the next one waits.
const STORED_AHEAD_BYTES: u64 = 16 << 20;

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
    /// One permit for each core: a task has one while it reads records. Its objects are fetched before and meanwhile.
    cores: Semaphore,
    /// One permit more than there are cores: a task has one until it is read, so that the next one's objects are fetched
    /// meanwhile, and no more are in memory.
    ahead: Semaphore,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("lake", &self.lake).finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker that reads records on this many cores, at least one.
    pub fn new(lake: Lake, cores: usize) -> Self {
        let cores = cores.max(1);
        let (cores, ahead) = (Semaphore::new(cores), Semaphore::new(cores + 1));
        Self { lake, schemas: Schemas::default(), cores, ahead }
    }

    /// Runs a task with the schema and settings of its plan.
    ///
    /// # Errors
    /// Kind `Retry`: a store failed; run it again. Kind `Corrupt`: the ledger or a file contradicts the plan.
    /// [`Error::Hung`]: an object took too long; the process must end, since a thread still works on it.
    pub async fn run(&self, request: &TaskRequest, watch: Arc<dyn Watch>) -> Result<TaskReport, Error> {
        // A long object shows only while it is read that the store refuses that.
        let (mut refused, request) = (BTreeSet::new(), Arc::new(request.clone()));
        loop {
            let ended = self.run_without(&refused, &request, Arc::clone(&watch)).await;
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
        request: &Arc<TaskRequest>,
        watch: Arc<dyn Watch>,
    ) -> Result<TaskReport, Error> {
        let ahead = self.ahead.acquire().await.map_err(|error| Error::Bug(error.to_string()))?;
        let (running, fetching) = self.start(refused, request, watch).await?;
        let (emit, made) = channel(&running.progress);
        let read = async {
            let read = running.read(&self.cores, fetching, emit).await;
            drop(ahead);
            read
        };
        let (read, stored) = tokio::try_join!(read, running.store(made))?;
        let Read { output, fetch, encode, all } = read;
        let inputs = running.inputs(output.objects)?;
        let totals = Totals {
            records_read: inputs.iter().map(|input| input.records_read).sum(),
            rows: inputs.iter().map(|input| input.rows).sum(),
            dead_letters: inputs.iter().map(|input| input.dead_letters).sum(),
            dead_letters_by_reason: output.by_reason,
            ..Totals::default()
        };
        let read = all.saturating_sub(encode).saturating_sub(fetch);
        let times = StageTimes { fetch, read, encode, store: stored.took };
        Ok(TaskReport { inputs, files: stored.files, totals, times })
    }

    /// Reads a task's objects as [`Worker::run`] does, and stores nothing: to see whether that can be done at all.
    ///
    /// # Errors
    /// As [`Worker::run`].
    pub async fn rehearse(&self, request: &TaskRequest, watch: Arc<dyn Watch>) -> Result<(), Error> {
        let (running, fetching) = self.start(&BTreeSet::new(), &Arc::new(request.clone()), watch).await?;
        let (emit, mut made) = channel(&running.progress);
        let forget = async {
            while made.recv().await.is_some() {}
            Ok(())
        };
        tokio::try_join!(running.read(&self.cores, fetching, emit), forget).map(drop)
    }

    /// Starts to fetch a task's objects.
    async fn start(
        &self,
        refused: &BTreeSet<usize>,
        request: &Arc<TaskRequest>,
        watch: Arc<dyn Watch>,
    ) -> Result<(Running<'_>, Fetching), Error> {
        let progress = Progress::default();
        let fetching = Fetching::start(&self.lake, request, refused, &progress);
        let ledger = Ledger::new(self.lake.clone(), request.plan.stream.clone());
        let context = Arc::new(self.schemas.context(&ledger, &request.plan).await?);
        Ok((Running { lake: &self.lake, request: Arc::clone(request), watch, context, progress }, fetching))
    }
}

/// A task that was read.
struct Read {
    output: TaskOutput,
    /// How long it waited for its objects.
    fetch: Duration,
    /// How long it took to make its files.
    encode: Duration,
    all: Duration,
}

/// How far a task is read.
enum Step {
    /// There are more objects.
    Partly(Box<(Execution, Fetching)>),
    /// To its end.
    Completely { output: TaskOutput, encode: Duration, fetch: Duration },
}

/// What a task stored.
struct Stored {
    files: Vec<OutputFile>,
    /// How long anything was being stored.
    took: Duration,
}

/// A task whose objects are being fetched.
struct Running<'a> {
    lake: &'a Lake,
    request: Arc<TaskRequest>,
    watch: Arc<dyn Watch>,
    context: Arc<TaskContext>,
    progress: Progress,
}

impl Running<'_> {
    /// Stores what the task makes while it goes on: files and copies beside each other. The files of rows come first in
    /// the result.
    async fn store(&self, mut made: mpsc::Receiver<Made>) -> Result<Stored, Error> {
        let (mut files, mut took) = (Vec::new(), Duration::ZERO);
        let (mut storing, mut bytes_ahead, mut is_over) = (FuturesUnordered::new(), 0, false);
        while !(is_over && storing.is_empty()) {
            let began = (!storing.is_empty()).then(Instant::now);
            tokio::select! {
                next = made.recv(), if !is_over && bytes_ahead < STORED_AHEAD_BYTES => match next {
                    Some(made) => {
                        bytes_ahead += file_bytes(&made);
                        storing.push(self.store_one(made));
                    }
                    None => is_over = true,
                },
                Some(stored) = storing.next() => if let Some((part, file)) = stored? {
                    bytes_ahead -= file.size;
                    files.push((part, file));
                },
            }
            took += began.map_or(Duration::ZERO, |began| began.elapsed());
        }
        files.sort_by_key(|(part, file): &(u32, OutputFile)| (file.key.zone(), *part));
        Ok(Stored { files: files.into_iter().map(|(_, file)| file).collect(), took })
    }

    /// Stores a file or a copy; also returns a file's number among those of its kind.
    async fn store_one(&self, made: Made) -> Result<Option<(u32, OutputFile)>, Error> {
        let plan = &self.request.plan;
        let OutputPart { kind, part, file, left_out } = match made {
            Made::File(part) => part,
            Made::DeadObject { at, source } => {
                let planned =
                    self.request.objects.get(at).ok_or_else(|| Error::Bug(format!("no object {at} is planned")));
                let (object, copy) = (planned?, object_copy(plan, self.request.first_input + at)?);
                store_copy(self.lake, &copy, object, source).await?;
                failpoint::reach("write:copy", &object.key);
                return Ok(None);
            }
        };
        let name = data_file(plan, self.request.task, version::of_file(plan.plan_id, &left_out, part));
        let (key, stored) = match kind {
            OutputKind::Bronze => (Key::Bronze(name), "write:bronze"),
            OutputKind::DeadLetters => (Key::DeadLetters(name), "write:dead_letters"),
        };
        let file = store_file(self.lake, key, file).await?;
        failpoint::reach(stored, &"");
        Ok(Some((part, file)))
    }

    /// Reads all objects, those that have arrived at a time, each time on one of the cores.
    async fn read(&self, cores: &Semaphore, mut fetching: Fetching, emit: Emit) -> Result<Read, Error> {
        let _wanted = fetching.while_wanted();
        let mut execution = Execution::new(Arc::clone(&self.context), &self.progress, emit);
        let mut all = Duration::ZERO;
        loop {
            let began = Instant::now();
            let arrived = fetching.arrived().await;
            all += began.elapsed();
            let _core = cores.acquire().await.map_err(|error| Error::Bug(error.to_string()))?;
            let began = Instant::now();
            let step = self.read_arrived(arrived, execution, fetching).await?;
            all += began.elapsed();
            match step {
                Step::Partly(left) => (execution, fetching) = *left,
                Step::Completely { output, encode, fetch } => return Ok(Read { output, fetch, encode, all }),
            }
        }
    }

    /// Reads the next objects on a thread that may block, for as long as that makes progress.
    async fn read_arrived(
        &self,
        arrived: usize,
        mut execution: Execution,
        mut fetching: Fetching,
    ) -> Result<Step, Error> {
        let (request, watch) = (Arc::clone(&self.request), Arc::clone(&self.watch));
        let begun = Arc::new(AtomicUsize::new(fetching.taken()));
        let at = Arc::clone(&begun);
        let work = tokio::task::spawn_blocking(move || {
            let begin = |index| {
                begun.store(index, Ordering::Relaxed);
                watch.begins(request.first_input + index);
            };
            let left = request.objects.get(fetching.taken()..).unwrap_or_default();
            execution.objects(left, fetching.by_ref().take(arrived), begin)?;
            if fetching.taken() < request.objects.len() {
                return Ok(Step::Partly(Box::new((execution, fetching))));
            }
            let (output, encode) = execution.finish()?;
            Ok(Step::Completely { output, encode, fetch: fetching.waited() })
        });
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

    /// What became of each object.
    fn inputs(&self, results: Vec<ObjectResult>) -> Result<Vec<InputOutcome>, Error> {
        let outcome = |(at, (object, result)): (usize, (&PlannedObject, ObjectResult))| {
            let copy = match result.outcome {
                Outcome::DeadLettered => Some(object_copy(&self.request.plan, self.request.first_input + at)?),
                _ => None,
            };
            Ok(InputOutcome {
                key: object.key.clone(),
                etag: object.etag.clone(),
                size: object.size,
                outcome: result.outcome,
                records_read: result.rows + result.dead_letters,
                rows: result.rows,
                dead_letters: result.dead_letters,
                content: result.content,
                copy,
            })
        };
        self.request.objects.iter().zip(results).enumerate().map(outcome).collect()
    }
}

/// How long a file is; the copy of an object takes no memory of its own.
fn file_bytes(made: &Made) -> u64 {
    match made {
        Made::File(part) => part.file.bytes.len() as u64,
        Made::DeadObject { .. } => 0,
    }
}

/// The channel for what a task makes, from its working thread; one thing may wait.
fn channel(progress: &Progress) -> (Emit, mpsc::Receiver<Made>) {
    let (sender, made) = mpsc::channel(1);
    let progress = progress.clone();
    let emit = move |made| {
        let sent = progress.wait(|| sender.blocking_send(made));
        sent.map_err(|_| Error::Bug("a file was made that is not stored any more".to_owned()))
    };
    (Box::new(emit), made)
}
