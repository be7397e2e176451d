//! Runs one task in a child process of this program: what kills the child kills nothing else, and its death names its
//! task.
//!
//! The parent starts `consumer task`, with the lake's zones in its environment, and exchanges lines of JSON with it:
//! one [`ToChild`] on its stdin, then [`FromChild`] lines on its stdout. The parent answers each but the last with an
//! empty line. Both are one version of one program: nothing is stored. Invariant: a child that is not wanted any more
//! is killed.

use std::{
    fmt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use lake::{ErrorKind, error::describe, keys::ZoneName, settings::FOLLOW_LINKS, store::Lake};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

use super::{TaskReport, TaskRequest, Watch, run_task};
use crate::error::Error;

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

/// How a child ended.
#[derive(Debug)]
pub enum ChildOutcome {
    /// It ran the task.
    Reported(TaskReport),
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
    /// The end of what it wrote on stderr.
    pub last_words: String,
}

/// What a child died of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathCause {
    /// It asked for more memory than it may have.
    OutOfMemory,
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
            Self::Deadline => f.write_str("killed at its deadline"),
            Self::Signal(number) => write!(f, "killed by signal {number}"),
            Self::Exit(code) => write!(f, "ended with exit code {code}"),
        }
    }
}

/// What a parent asks for.
#[derive(Debug, Serialize, Deserialize)]
struct ToChild {
    request: TaskRequest,
    memory_bytes: u64,
}

/// What a child reports.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FromChild {
    /// It waits until the parent has noted this: [`Watch::begins`].
    Begins { input: usize },
    /// The same for [`Watch::hangs`].
    Hangs { input: usize },
    /// The last message: the task is done.
    Report(Box<TaskReport>),
    /// The last message: the task failed.
    Failed { kind: ErrorKind, words: String },
}

/// Runs a task in a child process: `program` is the consumer. What the child reports while it runs goes to `watch`.
///
/// # Errors
/// [`Error::Bug`]: the child can't be started. Those of `watch`; the child is then killed.
pub async fn run_in_child(
    program: &Path,
    lake: &Lake,
    request: &TaskRequest,
    limits: ChildLimits,
    watch: &dyn Watch,
) -> Result<ChildOutcome, Error> {
    let mut command = Command::new(program);
    command.arg(SUBCOMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for zone in ZoneName::ALL {
        command.env(zone.variable(), lake.zone(zone).url());
    }
    command.env(FOLLOW_LINKS, lake.follows_outward_links().to_string());
    let failed = |error: std::io::Error| Error::Bug(format!("cannot run {}: {error}", program.display()));
    let mut child = command.spawn().map_err(failed)?;
    let mut stderr = child.stderr.take();
    let last_words = tokio::spawn(async move {
        let mut text = Vec::new();
        if let Some(stderr) = &mut stderr {
            let mut piece = [0; 1 << 10];
            while let Ok(length @ 1..) = stderr.read(&mut piece).await {
                text.extend_from_slice(&piece[..length]);
                let surplus = text.len().saturating_sub(LAST_WORDS_BYTES);
                text.drain(..surplus);
            }
        }
        program::output::escape_control(&String::from_utf8_lossy(&text))
    });
    let said = tokio::time::timeout(limits.deadline, talk(&mut child, request, limits, watch)).await;
    let is_late = said.is_err();
    let said = said.unwrap_or(Ok(None));
    if is_late || said.is_err() {
        child.kill().await.map_err(failed)?;
    }
    let status = child.wait().await.map_err(failed)?;
    match said? {
        Some(outcome) => Ok(outcome),
        None => {
            let last_words = last_words.await.unwrap_or_default();
            let cause = if is_late { DeathCause::Deadline } else { cause(status, &last_words) };
            Ok(ChildOutcome::Died(Death { cause, last_words }))
        }
    }
}

/// Sends the task and waits for the child's last message; `None` if it dies without one.
async fn talk(
    child: &mut Child,
    request: &TaskRequest,
    limits: ChildLimits,
    watch: &dyn Watch,
) -> Result<Option<ChildOutcome>, Error> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else { return Ok(None) };
    let asked = ToChild { request: request.clone(), memory_bytes: limits.memory_bytes };
    let mut line = to_line(&asked)?;
    // A child that dies early does not read: how it ended shows why.
    let mut is_read = stdin.write_all(&line).await.is_ok();
    let mut stdout = BufReader::new(stdout);
    loop {
        line.clear();
        match stdout.read_until(b'\n', &mut line).await {
            Ok(1..) if line.ends_with(b"\n") => {}
            _ => return Ok(None),
        }
        let key = |input: usize| {
            let object = input.checked_sub(request.first_input).and_then(|at| request.objects.get(at));
            object.map(|object| &object.key).ok_or_else(|| Error::Bug(format!("a child reports on input {input}")))
        };
        match serde_json::from_slice(&line).map_err(|error| Error::Bug(format!("a child's message: {error}")))? {
            FromChild::Begins { input } => watch.begins(input, key(input)?).await?,
            FromChild::Hangs { input } => watch.hangs(input, key(input)?).await?,
            FromChild::Report(report) => return Ok(Some(ChildOutcome::Reported(*report))),
            FromChild::Failed { kind, words } => {
                return Ok(Some(ChildOutcome::Failed(Error::Elsewhere { kind, words })));
            }
        }
        is_read = is_read && stdin.write_all(b"\n").await.is_ok();
    }
}

fn to_line(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut line = serde_json::to_vec(value).map_err(|error| Error::Bug(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

fn cause(status: ExitStatus, last_words: &str) -> DeathCause {
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
    limit_memory(asked.memory_bytes);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(bug)?;
    let ended = runtime.block_on(async {
        let lake = open_lake().await?;
        run_task(&lake, &asked.request, &ToParent).await
    });
    runtime.shutdown_background();
    let last = match ended {
        Ok(report) => FromChild::Report(Box::new(report)),
        Err(error) => FromChild::Failed { kind: error.kind(), words: describe(&error) },
    };
    say(&last)
}

fn limit_memory(bytes: u64) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        // A limit below the current use can't be kept; the parent asked for it, and the first allocation shows it.
        if let Err(error) = setrlimit(Resource::Data, limit) {
            eprintln!("the memory limit can't be set: {error}");
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

/// The child's watch: asks the parent to note it.
struct ToParent;

impl ToParent {
    fn ask(word: &FromChild) -> Result<(), Error> {
        say(word)?;
        match std::io::stdin().read_line(&mut String::new()) {
            Ok(1..) => Ok(()),
            _ => Err(Error::Bug("the parent process is gone".to_owned())),
        }
    }
}

#[async_trait::async_trait]
impl Watch for ToParent {
    async fn begins(&self, input: usize, _: &lake::keys::Key) -> Result<(), Error> {
        Self::ask(&FromChild::Begins { input })
    }

    async fn hangs(&self, input: usize, _: &lake::keys::Key) -> Result<(), Error> {
        Self::ask(&FromChild::Hangs { input })
    }
}
