//! Executor: runs the tasks of a plan, here or in another process.
//!
//! A task is a value: a [`TaskRequest`] has all that is needed to run it, a [`TaskReport`] all of its results. An
//! [`Executor`] does not decide whether a batch is still wanted and does not write to the ledger. Invariant: a task's
//! files depend on its request and the versions in [`version`] alone.

mod child;
mod context;
mod fetch;
mod isolated;
mod local;
mod object;
mod request;
mod run;
pub mod version;
mod watch;

use async_trait::async_trait;

pub use child::{ChildLimits, ChildOutcome, Death, DeathCause, Purpose, answer_parent, run_in_child};
pub use context::TaskContext;
pub use fetch::Fetched;
pub use isolated::{ChildProcesses, Company, IsolatedExecutor, Isolation};
pub use local::LocalExecutor;
pub use object::{ObjectResult, TaskOutput, execute};
pub use request::{PlanHead, StageTimes, TaskReport, TaskRequest};
pub use run::{Worker, run_task};
pub use watch::{NoWatch, Watch};

pub use crate::{
    decode::{Progress, Source, Streamed},
    write::{Emit, LeftOut, Made, OutputKind, OutputPart},
};

use crate::error::Error;

/// Runs tasks somewhere.
#[async_trait]
pub trait Executor: std::fmt::Debug + Send + Sync {
    /// Runs these tasks of one plan. Returns their reports, in order. All files that they name are then stored; none is
    /// visible yet.
    ///
    /// # Errors
    /// Kind `Retry`: a store failed; run them again. Kind `Corrupt`: the ledger or a file contradicts the plan.
    /// [`Error::Hung`]: an object took too long; this process must end, since a thread still works on it.
    async fn run(&self, tasks: Vec<TaskRequest>) -> Result<Vec<TaskReport>, Error>;
}
