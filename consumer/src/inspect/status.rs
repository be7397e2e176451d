//! Status: how far a stream is, from the ledger and a listing, with or without a consumer running.

use std::{collections::BTreeMap, time::Duration};

use lake::{
    Error,
    clock::{Clock, Timestamp},
    dead_letter::Reason,
    ids::{BatchId, StreamName},
    keys::Key,
    ledger::{
        COMMITS_PER_SNAPSHOT, Commit, CommittedInputs, Fold, FromCommitFile, Ledger, Outcome, Snapshot, Tail, Totals,
    },
    stream::InputNames,
};
use serde::Serialize;

use super::{balance, counted, refuse_unknown};
use crate::discover::{Discovery, KnownInputs, KnownOnes, Mending, Pending};

/// How long a follower may miss an object that sorts before known ones, on a large prefix.
const RECONCILE: Duration = Duration::from_secs(60);

/// After how many more commits in memory a follower looks for a newer snapshot.
const LOOK_FOR_SNAPSHOT: usize = COMMITS_PER_SNAPSHOT as usize;

/// How far a stream is. Scripts read its JSON form: add fields, never rename them.
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
    /// Those of them that the store refuses to let be read; they are tried again from time to time.
    pub objects_deferred: u64,
    /// Objects that it refused for so long that they are not tried again.
    pub objects_unreadable: u64,
    /// What is in the raw zone and is not an input: empty folders, what can't be read, and what is passed over because of
    /// its name.
    pub objects_ignored: u64,
    /// Planned objects that were gone before they were read.
    pub objects_missing: u64,
    /// Planned objects that were overwritten before they were read.
    pub objects_changed: u64,
    /// Objects uploaded again with the same content as before.
    pub objects_unchanged: u64,
    /// Records read; a corrupt batch counts as one.
    pub records_read: u64,
    /// Records that became rows.
    pub rows: u64,
    /// Records that are dead letters, and open.
    pub dead_letters: u64,
    /// Those by reason.
    pub dead_letters_by_reason: BTreeMap<Reason, u64>,
    /// Dead letters that are not open any more.
    pub dead_letters_resolved: u64,
    /// Those of them that were discarded.
    pub records_discarded: u64,
    /// When the newest batch was committed.
    pub last_commit_at: Option<Timestamp>,
    /// How long the oldest pending object that may be read has been waiting, in seconds; 0 if there is none.
    pub lag_seconds: f64,
}

/// What a status needs from one commit.
#[derive(Debug)]
pub(super) struct Summary {
    /// Its inputs, unless a snapshot covers it: then an index has them.
    inputs: Option<CommittedInputs>,
    outcomes: BTreeMap<&'static str, u64>,
    totals: Totals,
    committed_at: Timestamp,
}

impl Summary {
    fn of(commit: Commit, inputs: Option<CommittedInputs>) -> Self {
        let mut outcomes = BTreeMap::new();
        for input in &commit.inputs {
            *outcomes.entry(input.outcome.as_str()).or_default() += 1;
        }
        Self { inputs, outcomes, totals: commit.totals, committed_at: commit.committed_at }
    }
}

impl FromCommitFile for Summary {
    fn from_commit_file(key: &Key, bytes: &[u8]) -> Result<Self, Error> {
        let commit = Commit::from_commit_file(key, bytes)?;
        let inputs = CommittedInputs::of(&commit);
        Ok(Self::of(commit, Some(inputs)))
    }

    fn from_segment(key: &Key, bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self::of(Commit::from_commit_file(key, bytes)?, None))
    }
}

/// The sums over all commits.
#[derive(Debug)]
struct Committed {
    known: KnownInputs,
    /// A snapshot whose indexes have not been taken over yet.
    snapshot: Option<Snapshot>,
    /// With how many commits in memory to look for a newer snapshot.
    look_for_snapshot_at: usize,
    totals: Totals,
    outcomes: BTreeMap<&'static str, u64>,
    last_commit_at: Option<Timestamp>,
}

impl Committed {
    /// Nothing so far.
    fn of(ledger: Ledger) -> Self {
        let (totals, outcomes) = (Totals::default(), BTreeMap::new());
        let known = KnownInputs::new(ledger, Mending::Keep);
        Self { known, snapshot: None, look_for_snapshot_at: usize::MAX, totals, outcomes, last_commit_at: None }
    }

    /// Takes over the newest snapshot, so that memory does not grow with the commits that were followed.
    async fn cover(&mut self, ledger: &Ledger) -> Result<(), Error> {
        if self.known.recent_commits() >= self.look_for_snapshot_at {
            self.snapshot = ledger.hinted_snapshot().await?.or(self.snapshot.take());
            self.look_for_snapshot_at = self.known.recent_commits() + LOOK_FOR_SNAPSHOT;
        }
        if let Some(snapshot) = self.snapshot.take()
            && let Err(error) = self.known.cover(&snapshot).await
        {
            self.snapshot = Some(snapshot);
            return Err(error);
        }
        self.look_for_snapshot_at = self.look_for_snapshot_at.min(self.known.recent_commits() + LOOK_FOR_SNAPSHOT);
        Ok(())
    }
}

impl Fold for Committed {
    type Commit = Summary;

    fn add(&mut self, commit: Summary) {
        if let Some(inputs) = commit.inputs {
            self.known.add(inputs);
        }
        self.totals.add(&commit.totals);
        for (outcome, count) in commit.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.last_commit_at = Some(commit.committed_at);
    }

    fn read_from(&mut self, snapshot: Snapshot) {
        self.snapshot = Some(snapshot);
    }
}

/// Shows how far a stream is, repeatedly: each look costs only what is new in the ledger and in the raw zone.
#[derive(Debug)]
pub struct StatusFollower {
    tail: Tail<Committed>,
    discovery: Discovery,
    pending: Pending,
}

impl StatusFollower {
    /// A follower that has not looked yet, and knows no setting of the stream. Sends no request to the store.
    pub fn new(ledger: Ledger) -> Self {
        Self::of_inputs(ledger, InputNames::default())
    }

    /// The same, with the stream's own names of inputs.
    pub fn of_inputs(ledger: Ledger, inputs: InputNames) -> Self {
        let discovery = Discovery::new(RECONCILE, KnownOnes::PassOver).of_inputs(inputs);
        let committed = Committed::of(ledger.clone());
        Self { tail: Tail::new(ledger, committed), discovery, pending: Pending::default() }
    }

    /// How far the stream is now. Changes nothing.
    ///
    /// # Errors
    /// Kind `Corrupt` when the ledger is damaged or gone, `Invalid` when the stream does not exist, `Retry` when a
    /// store can't be reached.
    pub async fn look(&mut self, clock: &dyn Clock) -> Result<Status, Error> {
        self.tail.follow().await?;
        let ledger = self.tail.ledger();
        if self.tail.last().is_none() && ledger.plans_after(None).await?.is_empty() {
            ledger.refuse_lost().await?;
            refuse_unknown(ledger).await?;
        }
        let ledger = ledger.clone();
        let committed = self.tail.state_mut();
        committed.cover(&ledger).await?;
        let found = self.discovery.look(ledger.lake(), ledger.stream(), &mut committed.known).await?;
        self.pending.take_in(found, &mut committed.known).await?;
        let committed = self.tail.state();
        let oldest = self.pending.oldest();
        let waiting = oldest.map(|oldest| (clock.now().datetime() - oldest).num_milliseconds().max(0));
        let count = |outcome: Outcome| committed.outcomes.get(outcome.as_str()).copied().unwrap_or(0);
        let totals = &committed.totals;
        Ok(Status {
            stream: ledger.stream().clone(),
            batches_committed: self.tail.last().map_or(0, BatchId::number),
            objects_ingested: count(Outcome::Ingested),
            objects_dead_lettered: count(Outcome::DeadLettered),
            objects_pending: self.pending.len() as u64,
            objects_deferred: self.pending.deferred(),
            objects_unreadable: count(Outcome::Unreadable),
            objects_ignored: self.pending.ignored(),
            objects_missing: count(Outcome::Missing),
            objects_changed: count(Outcome::Changed),
            objects_unchanged: count(Outcome::Unchanged),
            records_read: totals.records_read,
            rows: totals.rows,
            dead_letters: totals.open(),
            dead_letters_by_reason: totals.open_by_reason(),
            dead_letters_resolved: totals.resolved,
            records_discarded: totals.discarded,
            last_commit_at: committed.last_commit_at,
            lag_seconds: waiting.unwrap_or(0) as f64 / 1_000.0,
        })
    }
}

/// How far a stream is, once.
///
/// # Errors
/// As [`StatusFollower::look`].
pub async fn status(ledger: &Ledger, clock: &dyn Clock) -> Result<Status, Error> {
    StatusFollower::new(ledger.clone()).look(clock).await
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
                "records        {}",
                balance(&self.records_read.to_string(), self.rows, self.dead_letters, self.records_discarded)
            ),
        ];
        if self.objects_deferred + self.objects_unreadable > 0 {
            let (deferred, unreadable) = (self.objects_deferred, self.objects_unreadable);
            lines.insert(
                3,
                format!("               {deferred} of them may not be read, {unreadable} more given up for that"),
            );
        }
        let reasons = self.dead_letters_by_reason.iter();
        lines.extend(reasons.map(|(reason, count)| format!("               {count} {}", reason.as_str())));
        if self.dead_letters_resolved > 0 {
            lines.push(format!("               {} resolved", counted(self.dead_letters_resolved, "dead letter")));
        }
        lines.push(format!("lag            {:.1} s", self.lag_seconds));
        lines.join("\n")
    }
}
