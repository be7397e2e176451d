//! A task as a value: what to run, and its results.
//!
//! Both travel between processes of one version of the program, and are not stored. Invariant: a report accounts for
//! each object of its request, in order.

use std::{collections::BTreeSet, time::Duration};

use lake::{
    clock::Timestamp,
    ids::{BatchId, Ordinal, SchemaId, StreamName},
    ledger::{InputOutcome, OutputFile, Plan, PlannedObject, Totals},
    stream::ReadSettings,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;

/// What all tasks of a plan have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanHead {
    /// The stream.
    pub stream: StreamName,
    /// The batch.
    pub batch: BatchId,
    /// The plan.
    pub plan_id: Uuid,
    /// When it was made.
    pub planned_at: Timestamp,
    /// The schema that validates its records.
    pub schema_id: SchemaId,
    /// How its objects are read.
    pub read: ReadSettings,
}

/// A task of a plan, and how to run it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRequest {
    /// The plan that it is a part of.
    pub plan: PlanHead,
    /// Which of the plan's tasks it is.
    pub task: Ordinal,
    /// The place of its first object among the batch's inputs.
    pub first_input: usize,
    /// The objects that it reads, in order.
    pub objects: Vec<PlannedObject>,
    /// Inputs of the batch that must not be read, since each process that read them died of it.
    pub poisoned: BTreeSet<usize>,
    /// How long one object may take.
    pub object_time: Duration,
}

impl TaskRequest {
    /// The tasks of an ingest.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a plan of another work, which this program can't execute.
    pub fn of(plan: &Plan, object_time: Duration) -> Result<Vec<Self>, Error> {
        let Some(ingest) = plan.ingest() else {
            let (batch, work) = (plan.batch.number(), plan.work.name());
            return Err(Error::Corrupt(format!(
                "the plan of batch {batch} is a {work}, which this program can't execute; use the program that made it"
            )));
        };
        let head = PlanHead {
            stream: plan.stream.clone(),
            batch: plan.batch,
            plan_id: plan.plan_id,
            planned_at: plan.planned_at,
            schema_id: ingest.schema_id.clone(),
            read: ingest.read.clone(),
        };
        let mut first_input = 0;
        let mut requests = Vec::with_capacity(ingest.tasks.len());
        for (number, task) in ingest.tasks.iter().enumerate() {
            requests.push(Self {
                plan: head.clone(),
                task: Ordinal::new(number).ok_or_else(|| Error::Bug("the plan has too many tasks".to_owned()))?,
                first_input,
                objects: task.objects.clone(),
                poisoned: BTreeSet::new(),
                object_time,
            });
            first_input += task.objects.len();
        }
        Ok(requests)
    }
}

impl TaskRequest {
    /// The same task for one of its objects alone.
    pub fn alone(&self, input: usize) -> Option<Self> {
        let object = input.checked_sub(self.first_input).and_then(|at| self.objects.get(at))?;
        Some(Self { first_input: input, objects: vec![object.clone()], ..self.clone() })
    }
}

/// All results of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskReport {
    /// The outcome of each object, in the request's order.
    pub inputs: Vec<InputOutcome>,
    /// The files that it stored.
    pub files: Vec<OutputFile>,
    /// The sums over all inputs.
    pub totals: Totals,
    /// Where the time went; differs from run to run.
    pub times: StageTimes,
}

/// How long the stages of a task took. Stages overlap: the sum may be more than the time of the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageTimes {
    /// Fetching objects.
    pub fetch: Duration,
    /// Decoding, enforcing and filling columns.
    pub read: Duration,
    /// Making Parquet files.
    pub encode: Duration,
    /// Storing files and copies.
    pub store: Duration,
}
