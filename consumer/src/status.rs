//! Status: how far a stream is, from the ledger and a listing, while or without a consumer running.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use lake::{
    Error,
    clock::{Clock, Timestamp},
    dead_letter::Reason,
    ids::{BatchId, StreamName},
    keys::{Key, Prefix, ZoneName},
    ledger::{Commit, FromCommitFile, Ledger, Outcome, Totals},
    settings::Problems,
};
use serde::Serialize;

use crate::{
    discover::{CommittedInputs, KnownInputs, KnownOnes, discover},
    recover::refuse_orphaned_rows,
};

/// How far a stream is. Its JSON form is what scripts read: add fields, never rename them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The stream.
    pub stream: StreamName,
    /// Batches committed.
    pub batches_committed: u64,
    /// Objects whose records were read.
    pub objects_ingested: u64,
    /// Objects that are dead letters as a whole.
    pub objects_dead_lettered: u64,
    /// Objects that have landed and are not committed.
    pub objects_pending: u64,
    /// What is no input in the raw zone: markers, empty folders, and what is no readable file.
    pub objects_ignored: u64,
    /// Planned objects that were gone when they were to be read.
    pub objects_missing: u64,
    /// Planned objects that were overwritten before they were read.
    pub objects_changed: u64,
    /// Objects uploaded again with what they held before.
    pub objects_unchanged: u64,
    /// Records read; a corrupt batch counts as one.
    pub records_read: u64,
    /// Records that became rows.
    pub rows: u64,
    /// Records that became dead letters.
    pub dead_letters: u64,
    /// Dead letters by reason.
    pub dead_letters_by_reason: BTreeMap<Reason, u64>,
    /// When the newest batch was committed.
    pub last_commit_at: Option<Timestamp>,
    /// How long the oldest pending object has been waiting, in seconds; 0 when nothing is pending.
    pub lag_seconds: f64,
}

/// What a status needs of one commit: a stream may have had millions of inputs, so each takes 16 bytes here.
struct Summary {
    inputs: CommittedInputs,
    outcomes: BTreeMap<&'static str, u64>,
    totals: Totals,
    committed_at: Timestamp,
}

impl FromCommitFile for Summary {
    fn from_commit_file(key: &Key, bytes: &[u8]) -> Result<Self, Error> {
        let commit = Commit::from_commit_file(key, bytes)?;
        let mut outcomes = BTreeMap::new();
        for input in &commit.inputs {
            *outcomes.entry(input.outcome.as_str()).or_default() += 1;
        }
        Ok(Self {
            inputs: CommittedInputs::of(&commit),
            outcomes,
            totals: commit.totals,
            committed_at: commit.committed_at,
        })
    }
}

/// Finds out how far a stream is. Changes nothing.
///
/// # Errors
/// Kind `Corrupt` when the ledger is damaged or gone, `Invalid` when there is no such stream, `Retry` when a store
/// can't be reached.
pub async fn status(ledger: &Ledger, clock: &dyn Clock) -> Result<Status, Error> {
    let mut history = ledger.history::<Summary>().await?;
    if history.last.is_none() && ledger.plans_after(None).await?.is_empty() {
        refuse_orphaned_rows(ledger).await?;
        refuse_unknown(ledger).await?;
    }
    let batches_committed = history.last.map_or(0, BatchId::number);
    let mut known = KnownInputs::default();
    let mut totals = Totals::default();
    let mut outcomes: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut last_commit_at = None;
    while let Some(summary) = history.commits.try_next().await? {
        known.add(&summary.inputs);
        totals.add(&summary.totals);
        for (outcome, count) in summary.outcomes {
            *outcomes.entry(outcome).or_default() += count;
        }
        last_commit_at = Some(summary.committed_at);
    }
    let discovered = discover(ledger.lake(), ledger.stream(), &known, None, KnownOnes::PassOver).await?;
    let waiting = discovered.oldest.map(|oldest| (clock.now().datetime() - oldest).num_milliseconds().max(0));
    let count = |outcome: Outcome| outcomes.get(outcome.as_str()).copied().unwrap_or(0);
    Ok(Status {
        stream: ledger.stream().clone(),
        batches_committed,
        objects_ingested: count(Outcome::Ingested),
        objects_dead_lettered: count(Outcome::DeadLettered),
        objects_pending: discovered.objects.len() as u64,
        objects_ignored: discovered.ignored,
        objects_missing: count(Outcome::Missing),
        objects_changed: count(Outcome::Changed),
        objects_unchanged: count(Outcome::Unchanged),
        records_read: totals.records_read,
        rows: totals.rows,
        dead_letters: totals.dead_letters,
        dead_letters_by_reason: totals.dead_letters_by_reason,
        last_commit_at,
        lag_seconds: waiting.unwrap_or(0) as f64 / 1_000.0,
    })
}

/// Refuses a stream that has neither a ledger nor anything in the raw zone: its name is mistyped, or the lake's is.
///
/// # Errors
/// [`Error::Settings`] naming the streams that there are, or [`Error::NoLake`]; [`Error::Store`] when the store failed.
pub(crate) async fn refuse_unknown(ledger: &Ledger) -> Result<(), Error> {
    let (lake, stream) = (ledger.lake(), ledger.stream());
    let streams = lake.streams().await?;
    if streams.contains(stream) || lake.list(&Prefix::Raw(stream), None).try_next().await?.is_some() {
        return Ok(());
    }
    lake.check_exists().await?;
    let names: Vec<_> = streams.iter().map(|name| format!("{:?}", name.as_str())).collect();
    let names = if names.is_empty() { "no stream".to_owned() } else { names.join(", ") };
    let mut problems = Problems::default();
    let place = lake.zone(ZoneName::Checkpoints);
    problems.add("--stream", format!("unknown stream {:?}; the lake has: {names} ({place})", stream.as_str()));
    problems.into_result()
}

/// A number of things: `1 batch`, `2 batches`.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    let ending = if thing.ends_with("ch") { "es" } else { "s" };
    format!("{count} {thing}{}", if count == 1 { "" } else { ending })
}

impl Status {
    /// The status for a person, one fact per line.
    pub fn text(&self) -> String {
        let batches = match self.last_commit_at {
            Some(last) => format!("{} committed, the last at {last}", self.batches_committed),
            None => "none yet".to_owned(),
        };
        let mut lines = vec![
            format!("stream         {}", self.stream),
            format!("batches        {batches}"),
            format!(
                "objects        {} ingested, {} dead-lettered, {} pending, {} ignored, {} missing, {} changed, {} unchanged",
                self.objects_ingested,
                self.objects_dead_lettered,
                self.objects_pending,
                self.objects_ignored,
                self.objects_missing,
                self.objects_changed,
                self.objects_unchanged
            ),
            format!(
                "records        {} read = {} + {}",
                self.records_read,
                counted(self.rows, "row"),
                counted(self.dead_letters, "dead letter")
            ),
        ];
        let reasons = self.dead_letters_by_reason.iter();
        lines.extend(reasons.map(|(reason, count)| format!("               {count} {}", reason.as_str())));
        lines.push(format!("lag            {:.1} s", self.lag_seconds));
        lines.join("\n")
    }
}
