//! Planner: new objects in, one batch's plan out. Pure.

mod tasks;

use std::collections::VecDeque;

use lake::{
    clock::Timestamp,
    ids::{BatchId, SchemaId},
    ledger::{Ingest, Plan, PlannedObject, Work},
    stream::StreamDefinition,
};
use uuid::Uuid;

pub(crate) use tasks::take_tasks;

/// Takes a batch's worth of objects off the front of `pending` and plans to ingest them, on this many cores.
pub(crate) fn plan(
    definition: &StreamDefinition,
    schema_id: SchemaId,
    batch: BatchId,
    cores: usize,
    pending: &mut VecDeque<PlannedObject>,
    plan_id: Uuid,
    planned_at: Timestamp,
) -> Plan {
    let tasks = take_tasks(pending, &definition.batch, cores);
    let work = Work::Ingest(Ingest { schema_id, read: definition.read.clone(), tasks });
    Plan { stream: definition.name.clone(), batch, plan_id, planned_at, work }
}
