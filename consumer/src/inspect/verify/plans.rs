//! What a commit must have in common with its plan: everything that the plan decided and the commit shows.
//!
//! Pure. Invariant: a plan that was altered after its commit, or a commit after it was made, does not pass for the other's.

use lake::{
    keys::Key,
    ledger::{Commit, Ingest, InputOutcome, Outcome, Plan, PlannedObject},
};

/// Every difference between a plan and its commit, in words that go on after "the commit of batch N".
pub(super) fn differences(plan: &Plan, commit: &Commit) -> Vec<String> {
    let mut found = Vec::new();
    if plan.stream != commit.stream || plan.batch != commit.batch {
        let (stream, batch) = (plan.stream.as_str(), plan.batch.number());
        found.push(format!("has a plan that says it is of stream {stream:?} and batch {batch}"));
    }
    if plan.plan_id != commit.plan_id {
        found.push(format!("is of another plan: {}, and the plan is {}", commit.plan_id, plan.plan_id));
    }
    if let Some(id) = plan.schema_id().filter(|id| **id != commit.schema_id) {
        found.push(format!("names schema {}, and its plan schema {id}", commit.schema_id));
    }
    let planned: Vec<_> = plan.objects().collect();
    if planned.len() != commit.inputs.len() {
        found.push(format!("names {} inputs, and its plan {}", commit.inputs.len(), planned.len()));
    }
    let pairs = planned.iter().zip(&commit.inputs);
    found.extend(pairs.flat_map(|(planned, input)| of_input(planned, input)));
    if let Some(ingest) = plan.ingest() {
        found.extend(of_settings(ingest, commit));
        found.extend(of_files(plan, commit));
    }
    found
}

/// What one input and the planned object in its place do not have in common.
fn of_input(planned: &PlannedObject, input: &InputOutcome) -> Vec<String> {
    let key = &input.key;
    if planned.key != *key {
        return vec![format!("names the input {key} where its plan names {}", planned.key)];
    }
    let mut found = Vec::new();
    if planned.etag != input.etag {
        found.push(format!("names {key} in version {:?}, and its plan in version {:?}", input.etag, planned.etag));
    }
    if planned.size != input.size {
        found.push(format!("says that {key} has {} bytes, and its plan {}", input.size, planned.size));
    }
    let is_known = input.content.as_ref().is_some_and(|content| planned.earlier.contains(content));
    match input.outcome {
        Outcome::Unchanged if !is_known => {
            found.push(format!("says that {key} has an earlier version's bytes, which its plan does not name"));
        }
        Outcome::Ingested | Outcome::DeadLettered if is_known => {
            found.push(format!("says that {key} was read, though its plan names its bytes as an earlier version's"));
        }
        _ => {}
    }
    found
}

/// What the commit shows of how objects were read.
fn of_settings(ingest: &Ingest, commit: &Commit) -> Vec<String> {
    let limit = ingest.read.object_bytes_max;
    let too_large = commit.inputs.iter().filter(|input| input.outcome == Outcome::Ingested && input.size > limit);
    let mut found: Vec<_> = too_large
        .map(|input| {
            let (key, size) = (&input.key, input.size);
            format!("says that {key} was read, with {size} bytes, though its plan allows {limit} (limits.object_bytes)")
        })
        .collect();
    let has_times = |file: &&lake::ledger::OutputFile| file.event_time_min.is_some() || file.event_time_max.is_some();
    if ingest.read.event_time.is_none()
        && let Some(file) = commit.files.iter().find(has_times)
    {
        found.push(format!("has event times for {}, though its plan names no event time", file.key));
    }
    found
}

/// What the names of its files show: the batch, and the day of its plan.
fn of_files(plan: &Plan, commit: &Commit) -> Vec<String> {
    let day = plan.planned_at.date();
    let is_of_plan = |key: &Key| match key {
        Key::Bronze(name) | Key::DeadLetters(name) => {
            name.stream == plan.stream && name.batch == plan.batch && name.ingested_date == day
        }
        _ => false,
    };
    let others = commit.files.iter().filter(|file| !is_of_plan(&file.key));
    others.map(|file| format!("adds {}, which its plan of {day} does not write", file.key)).collect()
}
