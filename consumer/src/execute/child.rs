//! Runs one task in a child process of this program: what kills the child kills nothing else, and its death names its
//! task.
//!
//! The parent starts `consumer task`, with the lake's zones in its environment, and exchanges lines of JSON with it:
//! one [`ToChild`] on its stdin, then [`FromChild`] lines on its stdout. Both are one version of one program: nothing is
//! stored. Invariant: no child outlives its parent.

use std::{
    fmt,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use lake::{
    ErrorKind,
    error::describe,
    keys::ZoneName,
    settings::FOLLOW_LINKS,
    store::{Lake, Transfers},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, Command},
    task::JoinHandle,
};

use super::{TaskReport, TaskRequest, Watch, Worker};
use crate::{error::Error, failpoint};

/// The subcommand for a parent process.
const SUBCOMMAND: &str = "task";

/// How much of a child's stderr is kept: its last words.
const LAST_WORDS_BYTES: usize = 4 << 10;

/// The limits of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildLimits {
    /// Bytes of its own memory (`RLIMIT_DATA`); above that it is out of memory.
    pub memory_bytes: u64,
    /// How long it may run.
    pub deadline: Duration,
}

/// What a child does with its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// It runs the task.
    Run,
    /// It only reads the task's objects, and stores nothing.
    Rehearse,
}

/// How a child ended.
#[derive(Debug)]
pub enum ChildOutcome {
    /// It ran the task.
    Reported(TaskReport),
    /// It read all of the task's objects, which was its purpose.
    Rehearsed,
    /// It could not, for a reason that it reported: for example, a store that failed. The same task may succeed later.
    Failed(Error),
    /// It died.
    Died(Death),
}

/// The death of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Its cause.
    pub cause: DeathCause,
    /// The input of the batch that it began to read last, if it began any.
    pub reading: Option<usize>,
    /// The end of what it wrote on stderr.
    pub last_words: String,
}

/// What a child died of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathCause {
    /// It asked for more memory than it may have.
    OutOfMemory,
    /// An object made no progress for as long as one may take.
    Hung,
    /// It was killed at its deadline.
    Deadline,
    /// A signal of this number, sent by itself (an abort) or by another process.
    Signal(i32),
    /// It exited with this code and no report.
    Exit(i32),
}

impl fmt::Display for DeathCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Hung => f.write_str("hung"),
            Self::Deadline => f.write_str("killed at its deadline"),
            Self::Signal(number) => write!(f, "killed by signal {number}"),
            Self::Exit(code) => write!(f, "ended with exit code {code}"),
        }
    }
}

impl DeathCause {
    /// Whether what the child did itself must be the cause: these signals come from its own faults, and the limits were its
    /// own.
    pub fn is_its_own(self) -> bool {
        match self {
            Self::OutOfMemory | Self::Hung => true,
            #[cfg(unix)]
            Self::Signal(number) => {
                use rustix::process::Signal;
                let of_faults = [Signal::ABORT, Signal::SEGV, Signal::BUS, Signal::ILL, Signal::FPE, Signal::TRAP];
                of_faults.iter().any(|signal| signal.as_raw() == number)
            }
            #[cfg(not(unix))]
            Self::Signal(_) => false,
            Self::Deadline | Self::Exit(_) => false,
        }
    }
}

/// What a parent asks for.
#[derive(Debug, Serialize, Deserialize)]
struct ToChild {
    parent: u32,
    request: TaskRequest,
    purpose: Purpose,
    memory_bytes: u64,
    transfers: usize,
}

/// What a child reports.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FromChild {
    /// It is about to read this input.
    Begins { input: usize },
    /// The last message: the task is done.
    Report(Box<TaskReport>),
    /// The last message: all objects were read.
    Rehearsed,
    /// The last message: the object that it reads makes no progress.
    Hung,
    /// The last message: the task failed.
    Failed { kind: ErrorKind, words: String },
}

/// Runs a task in a child process: `program` is the consumer.
///
/// # Errors
/// [`Error::Bug`]: the child can't be started.
pub async fn run_in_child(
    program: &Path,
    lake: &Lake,
    request: &TaskRequest,
    purpose: Purpose,
    limits: ChildLimits,
) -> Result<ChildOutcome, Error> {
    let mut command = Command::new(program);
    command.arg(SUBCOMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for zone in ZoneName::ALL {
        command.env(zone.variable(), lake.zone(zone).url());
    }
    command.env(FOLLOW_LINKS, lake.follows_outward_links().to_string());
    failpoint::arm_child(&mut command);
    let failed = |error: std::io::Error| Error::Bug(format!("cannot run {}: {error}", program.display()));
    let mut child = command.spawn().map_err(failed)?;
    let last_words = last_words(child.stderr.take());
    let (parent, request) = (std::process::id(), request.clone());
    let transfers = lake.transfers().most();
    let asked = ToChild { parent, request, purpose, memory_bytes: limits.memory_bytes, transfers };
    let mut reading = None;
    let said = tokio::time::timeout(limits.deadline, talk(&mut child, &asked, &mut reading)).await;
    let is_late = said.is_err();
    if is_late {
        child.kill().await.map_err(failed)?;
    }
    let cause = match said.unwrap_or(Ok(None))? {
        Some(FromChild::Report(report)) => return Ok(ChildOutcome::Reported(*report)),
        Some(FromChild::Rehearsed) => return Ok(ChildOutcome::Rehearsed),
        Some(FromChild::Failed { kind, words }) => return Ok(ChildOutcome::Failed(Error::Elsewhere { kind, words })),
        Some(FromChild::Hung) => {
            // A thread still works on the object.
            child.kill().await.map_err(failed)?;
            Some(DeathCause::Hung)
        }
        Some(FromChild::Begins { .. }) | None => is_late.then_some(DeathCause::Deadline),
    };
    let status = child.wait().await.map_err(failed)?;
    let last_words = last_words.await.unwrap_or_default();
    let cause = cause.unwrap_or_else(|| cause_of(status, &last_words));
    Ok(ChildOutcome::Died(Death { cause, reading, last_words }))
}

/// Collects the end of what a child writes on stderr.
fn last_words(stderr: Option<ChildStderr>) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut text = Vec::new();
        if let Some(mut stderr) = stderr {
            let mut piece = [0; 1 << 10];
            while let Ok(length @ 1..) = stderr.read(&mut piece).await {
                text.extend_from_slice(&piece[..length]);
                let surplus = text.len().saturating_sub(LAST_WORDS_BYTES);
                text.drain(..surplus);
            }
        }
        program::output::escape_control(&String::from_utf8_lossy(&text))
    })
}

/// Sends the task and waits for the child's last message; `None` if it dies without one. `reading` is what it began to
/// read last.
async fn talk(child: &mut Child, asked: &ToChild, reading: &mut Option<usize>) -> Result<Option<FromChild>, Error> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else { return Ok(None) };
    let mut line = to_line(asked)?;
    // A child that dies early does not read: how it ended shows why.
    let _is_read = stdin.write_all(&line).await.is_ok();
    let mut stdout = BufReader::new(stdout);
    loop {
        line.clear();
        match stdout.read_until(b'\n', &mut line).await {
            Ok(1..) if line.ends_with(b"\n") => {}
            _ => return Ok(None),
        }
        match serde_json::from_slice(&line).map_err(|error| Error::Bug(format!("a child's message: {error}")))? {
            FromChild::Begins { input } => *reading = Some(input),
            last => return Ok(Some(last)),
        }
    }
}

fn to_line(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut line = serde_json::to_vec(value).map_err(|error| Error::Bug(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

fn cause_of(status: ExitStatus, last_words: &str) -> DeathCause {
    // What the standard library prints before it aborts.
    if last_words.contains("memory allocation of") {
        return DeathCause::OutOfMemory;
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return DeathCause::Signal(signal);
    }
    DeathCause::Exit(status.code().unwrap_or_default())
}

/// The child's side: runs the task from stdin and answers on stdout. Blocks; creates its own runtime.
///
/// # Errors
/// [`Error::Bug`]: no parent process is connected. What ends the task is answered, and is not an error here.
pub fn answer_parent(open_lake: impl AsyncFnOnce() -> Result<Lake, Error>) -> Result<(), Error> {
    let bug = |error: std::io::Error| Error::Bug(format!("cannot talk to the parent process: {error}"));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(bug)?;
    let asked: ToChild = serde_json::from_str(&line)
        .map_err(|error| Error::Bug(format!("this is only for a parent process: {error}")))?;
    die_with_parent(asked.parent);
    die_of_panic();
    limit_memory(asked.memory_bytes);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(bug)?;
    let ended = runtime.block_on(async {
        let lake = open_lake().await?.with_transfers(Transfers::new(asked.transfers));
        let worker = Worker::new(lake, 1);
        match asked.purpose {
            Purpose::Run => {
                worker.run(&asked.request, Arc::new(ToParent)).await.map(|report| FromChild::Report(Box::new(report)))
            }
            Purpose::Rehearse => {
                worker.rehearse(&asked.request, Arc::new(ToParent)).await.map(|()| FromChild::Rehearsed)
            }
        }
    });
    runtime.shutdown_background();
    say(&match ended {
        Ok(last) => last,
        Err(Error::Hung { .. }) => FromChild::Hung,
        Err(error) => FromChild::Failed { kind: error.kind(), words: describe(&error) },
    })
}

/// A parent that is killed can't kill its child.
fn die_with_parent(parent: u32) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};
        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            program::output::note(format_args!("this process may outlive its parent: {error}"));
        }
        // The parent died before that, and another process has adopted this one.
        if getppid().map(|pid| pid.as_raw_nonzero().get()) != i32::try_from(parent).ok() {
            std::process::exit(1);
        }
    }
}

/// A panic is a death like any other: without this, it would end the task with an error and leave the process alive.
fn die_of_panic() {
    std::panic::set_hook(Box::new(|panic| {
        program::output::note(format_args!("{panic}"));
        std::process::abort();
    }));
}

fn limit_memory(bytes: u64) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        // A limit below the current use can't be kept; the parent asked for it, and the first allocation shows it.
        if let Err(error) = setrlimit(Resource::Data, limit) {
            program::output::note(format_args!("the memory limit can't be set: {error}"));
        }
    }
    #[cfg(not(unix))]
    let _no_limit_on_this_system = bytes;
}

fn say(word: &FromChild) -> Result<(), Error> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    let said = stdout.write_all(&to_line(word)?).and_then(|()| stdout.flush());
    said.map_err(|error| Error::Bug(format!("cannot talk to the parent process: {error}")))
}

/// The child's watch.
struct ToParent;

impl Watch for ToParent {
    fn begins(&self, input: usize) {
        if say(&FromChild::Begins { input }).is_err() {
            // The parent is gone, so the task is not wanted any more.
            std::process::exit(1);
        }
    }
}
