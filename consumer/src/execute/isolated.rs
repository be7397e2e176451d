//! Runs the tasks of a plan that was cut off, each in a process of its own, and finds the objects that kill it.
//!
//! A death alone proves nothing: people, schedulers and the kernel kill processes too. The object that a dead child was
//! reading is read again, alone, by a child that may use nearly all memory and stores nothing. If that child also dies,
//! each time, by a fault of its own ([`DeathCause::is_its_own`]), and one that reads nothing does not, the object is poison. Invariant: an object is blamed
//! only for deaths that are proven its own; whatever kills this process blames none.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use lake::store::Lake;
use program::memory;
use tokio::sync::RwLock;
use tracing::warn;

use super::{ChildLimits, ChildOutcome, Death, Executor, Purpose, TaskReport, TaskRequest, run_in_child};
use crate::error::Error;

/// How many children must die of an object, reading it alone, for it to be poison.
const DEATHS_PROVEN: usize = 2;

/// How many times a task is tried whose processes die of nothing that can be found.
const TRIES_MAX: usize = 3;

/// A child without a sign of life for so long is stuck, though not in an object: that is noticed much earlier.
const DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether other children run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// One on each core.
    Others,
    /// None.
    Alone,
}

/// Runs one task in a process of its own.
#[async_trait]
pub trait Isolation: fmt::Debug + Send + Sync {
    /// Runs a task, and reports how that ended.
    ///
    /// # Errors
    /// No process could be started.
    async fn run(&self, request: &TaskRequest, purpose: Purpose, company: Company) -> Result<ChildOutcome, Error>;
}

/// Isolation by child processes of this program.
#[derive(Debug)]
pub struct ChildProcesses {
    program: PathBuf,
    lake: Lake,
    cores: usize,
    memory_bytes: u64,
}

impl ChildProcesses {
    /// Children of this program, one on each core, that together use at most four fifths of the memory that this process
    /// may use.
    ///
    /// # Errors
    /// [`Error::Bug`]: the system does not say which program this is.
    pub fn new(lake: Lake, cores: usize) -> Result<Self, Error> {
        let program = match cfg!(target_os = "linux") {
            // Still this program after an update has replaced its file.
            true => PathBuf::from("/proc/self/exe"),
            false => std::env::current_exe()
                .map_err(|error| Error::Bug(format!("the system does not say which program this is: {error}")))?,
        };
        Ok(Self { program, lake, cores: cores.max(1), memory_bytes: memory::usable_bytes() / 5 * 4 })
    }
}

#[async_trait]
impl Isolation for ChildProcesses {
    async fn run(&self, request: &TaskRequest, purpose: Purpose, company: Company) -> Result<ChildOutcome, Error> {
        let memory_bytes = match company {
            Company::Alone => self.memory_bytes,
            Company::Others => self.memory_bytes / self.cores as u64,
        };
        let limits = ChildLimits { memory_bytes, deadline: DEADLINE };
        run_in_child(&self.program, &self.lake, request, purpose, limits).await
    }
}

/// An executor whose tasks can't kill this process.
#[derive(Debug)]
pub struct IsolatedExecutor {
    isolation: Arc<dyn Isolation>,
    cores: usize,
    /// Read by children in company, written by one that runs alone.
    machine: RwLock<()>,
}

impl IsolatedExecutor {
    /// An executor that runs this many children at a time.
    pub fn new(isolation: Arc<dyn Isolation>, cores: usize) -> Self {
        Self { isolation, cores: cores.max(1), machine: RwLock::new(()) }
    }

    /// Runs one task until it succeeds.
    async fn task(&self, mut request: TaskRequest) -> Result<TaskReport, Error> {
        let in_company = {
            let _others = self.machine.read().await;
            self.run_child(&request, Company::Others).await?
        };
        let mut death = match in_company {
            Ok(report) => return Ok(report),
            Err(death) => death,
        };
        let _alone = self.machine.write().await;
        let mut unexplained = 0;
        loop {
            match self.poison(&request, &death).await? {
                Some(input) => drop(request.poisoned.insert(input)),
                None => unexplained += 1,
            }
            if unexplained == TRIES_MAX {
                return Err(died_of_nothing(&request, &death));
            }
            death = match self.run_child(&request, Company::Alone).await? {
                Ok(report) => return Ok(report),
                Err(death) => death,
            };
        }
    }

    /// Runs a task in a child; its death is a result.
    async fn run_child(&self, request: &TaskRequest, company: Company) -> Result<Result<TaskReport, Death>, Error> {
        match self.isolation.run(request, Purpose::Run, company).await? {
            ChildOutcome::Reported(report) => Ok(Ok(report)),
            ChildOutcome::Failed(error) => Err(error),
            ChildOutcome::Died(death) => Ok(Err(death)),
            ChildOutcome::Rehearsed => Err(Error::Bug("a child rehearsed instead of running".to_owned())),
        }
    }

    /// The input that a child was reading when it died, if each child that reads it alone dies of it. If it died before it
    /// read any, it was fetching them, and the largest is the suspect.
    async fn poison(&self, request: &TaskRequest, death: &Death) -> Result<Option<usize>, Error> {
        let suspect = death.reading.or_else(|| largest(request)).filter(|input| !request.poisoned.contains(input));
        let alone = suspect.and_then(|input| Some((input, request.alone(input)?)));
        let Some((input, alone)) = alone else { return Ok(None) };
        let object = alone.objects.first().map(|object| object.key.to_string()).unwrap_or_default();
        let (batch, object) = (request.plan.batch.number(), object.escape_debug());
        warn!(batch, %object, died = %death.cause, "a process died while it read this object; reading it alone");
        for _ in 0..DEATHS_PROVEN {
            match self.isolation.run(&alone, Purpose::Rehearse, Company::Alone).await? {
                ChildOutcome::Died(death) if death.cause.is_its_own() => {
                    let last_words = &death.last_words;
                    warn!(batch, %object, died = %death.cause, last_words, "a process that read only this object died");
                }
                ChildOutcome::Died(death) => {
                    warn!(batch, %object, died = %death.cause, "a process was ended by something else than the object");
                    return Ok(None);
                }
                ChildOutcome::Failed(error) => return Err(error),
                ChildOutcome::Rehearsed | ChildOutcome::Reported(_) => return Ok(None),
            }
        }
        // The control: what kills a process that reads nothing is not in the object.
        let nothing = TaskRequest { objects: Vec::new(), ..alone };
        match self.isolation.run(&nothing, Purpose::Rehearse, Company::Alone).await? {
            ChildOutcome::Rehearsed | ChildOutcome::Reported(_) => {
                warn!(batch, %object, "an object that ends every process that reads it becomes a dead letter");
                Ok(Some(input))
            }
            ChildOutcome::Failed(error) => Err(error),
            ChildOutcome::Died(death) => {
                warn!(batch, %object, died = %death.cause, "a process that read nothing died too");
                Ok(None)
            }
        }
    }
}

/// The input with the most bytes.
fn largest(request: &TaskRequest) -> Option<usize> {
    let objects = request.objects.iter().enumerate();
    objects.max_by_key(|(_, object)| object.size).map(|(at, _)| request.first_input + at)
}

fn died_of_nothing(request: &TaskRequest, death: &Death) -> Error {
    let object = death.reading.and_then(|input| request.alone(input));
    Error::ChildrenDie {
        cause: death.cause,
        reading: object.and_then(|alone| Some(alone.objects.first()?.key.to_string())),
        last_words: death.last_words.clone(),
    }
}

#[async_trait]
impl Executor for IsolatedExecutor {
    async fn run(&self, tasks: Vec<TaskRequest>) -> Result<Vec<TaskReport>, Error> {
        let running: Vec<_> = tasks.into_iter().map(|task| self.task(task)).collect();
        stream::iter(running).buffered(self.cores).try_collect().await
    }
}
