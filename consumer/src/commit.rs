//! Commit: publishes the files of a plan's tasks in one PUT.
//!
//! Invariant: a commit names the files of one execution only.

mod after_commit;

use std::collections::BTreeMap;

use futures::TryStreamExt;
use lake::{
    clock::Clock,
    dead_letter::Reason,
    keys::{Key, Prefix},
    ledger::{Claimed, Commit, InputOutcome, Ledger, Outcome, Plan, Totals},
};
use tracing::{info, warn};
use uuid::Uuid;

pub(crate) use after_commit::{done_with, remove};

use crate::{
    error::Error,
    execute::{TaskReport, version},
    failpoint,
    stages::{Stage, Stages},
};

/// The commit that publishes these reports of a plan's tasks, in the plan's order.
///
/// # Errors
/// [`Error::Bug`]: the plan reads no records.
pub(crate) fn assemble(plan: &Plan, reports: Vec<TaskReport>, clock: &dyn Clock) -> Result<Commit, Error> {
    let schema_id = plan.schema_id().cloned();
    let mut commit = Commit {
        stream: plan.stream.clone(),
        batch: plan.batch,
        plan_id: plan.plan_id,
        attempt_id: Uuid::new_v4(),
        committed_at: clock.now(),
        schema_id: schema_id.ok_or_else(|| Error::Bug("a plan without a schema was executed".to_owned()))?,
        fingerprint: version::of_program(),
        inputs: Vec::new(),
        files: Vec::new(),
        removed: Vec::new(),
        resolved: Vec::new(),
        totals: Totals::default(),
    };
    for report in reports {
        commit.inputs.extend(report.inputs);
        commit.files.extend(report.files);
        commit.totals.add(&report.totals);
    }
    Ok(commit)
}

/// Creates the commit, or finds the one that another consumer created first. Returns the commit that counts. Logs the
/// stages up to then.
///
/// # Errors
/// As [`Ledger::create_commit`].
pub(crate) async fn publish(ledger: &Ledger, commit: Commit, stages: &mut Stages) -> Result<Commit, Error> {
    failpoint::reach("commit:assembled", &"");
    let claimed = ledger.create_commit(&commit).await?;
    stages.end(Stage::Commit);
    failpoint::reach("commit:created", &"");
    match claimed {
        Claimed::Ours => {
            info!(
                batch = commit.batch.number(),
                objects = commit.inputs.len(),
                rows = commit.totals.rows,
                dead_letters = commit.totals.dead_letters,
                reasons = reasons_line(&commit.totals.dead_letters_by_reason),
                took = stages.to_string(),
                "committed"
            );
            Ok(commit)
        }
        Claimed::Theirs(theirs) => {
            info!(batch = commit.batch.number(), "another consumer committed the batch first");
            Ok(theirs)
        }
    }
}

/// How many dead letters of each reason a commit has, as one log line.
fn reasons_line(by_reason: &BTreeMap<Reason, u64>) -> String {
    by_reason.iter().map(|(reason, count)| format!("{} {count}", reason.as_str())).collect::<Vec<_>>().join(", ")
}

/// Warns about files of an earlier execution of the batch that read more than this one. If the batch was committed once
/// and the commit was lost, its rows are in these files and nowhere else.
///
/// # Errors
/// Those of a listing.
pub(crate) async fn warn_of_other_files(ledger: &Ledger, commit: &Commit) -> Result<(), Error> {
    let is_lost = |input: &InputOutcome| matches!(input.outcome, Outcome::Missing | Outcome::Changed);
    if !commit.inputs.iter().any(is_lost) {
        return Ok(());
    }
    for prefix in [Prefix::Bronze(ledger.stream()), Prefix::DeadLetters(ledger.stream())] {
        let mut listing = ledger.lake().list(&prefix, None);
        while let Some(listed) = listing.try_next().await? {
            let is_other = match Key::parse(&listed.key) {
                Ok(key @ (Key::Bronze(_) | Key::DeadLetters(_))) => {
                    key.batch() == Some(commit.batch) && !commit.files.iter().any(|file| file.key == key)
                }
                _ => false,
            };
            if is_other {
                warn!(
                    batch = commit.batch.number(),
                    file = listed.key,
                    "an earlier execution of this batch read objects that are gone now; if its commit was lost, stop, and \
                     restore the commit from a backup"
                );
            }
        }
    }
    Ok(())
}
