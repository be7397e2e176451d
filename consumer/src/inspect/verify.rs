//! Verify: compares the ledger with the store, file by file, and reports every disagreement.
//!
//! Reads every committed file completely. Changes nothing.

mod plans;

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use lake::{
    Error, ErrorKind,
    error::describe,
    ids::{BatchId, sha256_hex},
    keys::{Key, Prefix, ZoneName},
    ledger::{Commit, Ledger, LiveFiles, OutputFile, Segment, Snapshot, Totals},
};
use serde::Serialize;

use super::{balance, counted, refuse_unknown};

/// How many files are read at a time.
const READS_AT_ONCE: usize = 4;

/// The result of a verification. Scripts read its JSON form: add fields, never rename them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether everything agrees.
    pub ok: bool,
    /// Batches checked.
    pub batches: u64,
    /// Records that the commits say were read.
    pub records_read: u64,
    /// Rows that the commits say exist.
    pub rows: u64,
    /// Dead letters that the commits say are open.
    pub dead_letters: u64,
    /// Dead letters that were discarded.
    pub records_discarded: u64,
    /// Files that are part of the stream's tables.
    pub files: u64,
    /// Every disagreement, as a sentence that names the file.
    pub violations: Vec<String>,
}

/// Compares a stream's ledger with its store.
///
/// # Errors
/// [`Error::Settings`] or [`Error::NoLake`] when the stream does not exist, [`Error::Store`] when the store can't be
/// reached. Anything wrong with the ledger or the files is a violation, not an error.
pub async fn verify(ledger: &Ledger) -> Result<Verification, Error> {
    let mut verifier = Verifier::of(ledger);
    let damage = verifier.history().await?;
    verifier.commits_beside_history().await?;
    verifier.unless_reported(damage);
    verifier.indexes().await?;
    verifier.plans_ahead().await?;
    if verifier.batches.is_empty() && verifier.violations.is_empty() {
        verifier.nothing_committed().await?;
    }
    verifier.law();
    verifier.live_files().await?;
    Ok(Verification {
        ok: verifier.violations.is_empty(),
        batches: verifier.batches.len() as u64,
        records_read: verifier.totals.records_read,
        rows: verifier.totals.rows,
        dead_letters: verifier.totals.open(),
        records_discarded: verifier.totals.discarded,
        files: verifier.live.iter().count() as u64,
        violations: verifier.violations,
    })
}

struct Verifier<'a> {
    ledger: &'a Ledger,
    violations: Vec<String>,
    inputs: HashMap<(Key, String), BatchId>,
    /// The batches checked.
    batches: BTreeSet<BatchId>,
    /// The last batch whose own plan and commit may be missing.
    retired: Option<BatchId>,
    /// The last batch that the newest snapshot covers, and its segments.
    covered: Option<BatchId>,
    segments: Vec<Segment>,
    /// What the tables consist of, and whether a contradiction prevented a commit from being applied.
    live: LiveFiles,
    is_contradicted: bool,
    totals: Totals,
}

impl<'a> Verifier<'a> {
    fn of(ledger: &'a Ledger) -> Self {
        Self {
            ledger,
            violations: Vec::new(),
            inputs: HashMap::new(),
            batches: BTreeSet::new(),
            retired: None,
            covered: None,
            segments: Vec::new(),
            live: LiveFiles::default(),
            is_contradicted: false,
            totals: Totals::default(),
        }
    }

    fn violate(&mut self, what: String) {
        // A damaged file may be found in more than one way.
        if !self.violations.contains(&what) {
            self.violations.push(what);
        }
    }

    /// Notes damage as a violation; any other error is returned.
    fn violation(&mut self, error: Error) -> Result<(), Error> {
        self.violate(describe_damage(error)?);
        Ok(())
    }

    /// Reads the snapshot and the commits after it. Returns the first damage that stops it.
    async fn history(&mut self) -> Result<Option<Error>, Error> {
        let mut history = match self.ledger.history::<Commit>().await {
            Ok(history) => history,
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Some(error)),
            Err(error) => return Err(error),
        };
        if let Some(snapshot) = history.snapshot.take() {
            self.read_from(snapshot);
        }
        while let Some(commit) = history.commits.next().await {
            match commit {
                Ok(commit) => self.batch(&commit).await?,
                Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Notes damage unless another check has reported the same file.
    fn unless_reported(&mut self, damage: Option<Error>) {
        if let Some(Error::Damaged { key, what }) = damage
            && !self.violations.iter().any(|reported| reported.contains(&key))
        {
            self.violations.push(format!("{key} {what}"));
        }
    }

    fn read_from(&mut self, snapshot: Snapshot) {
        (self.covered, self.retired, self.segments) = (Some(snapshot.batch), snapshot.retired, snapshot.segments);
    }

    /// The input index of each segment must contain its inputs and no other: a consumer would read an object twice, or
    /// not at all.
    async fn indexes(&mut self) -> Result<(), Error> {
        let mut checked: Vec<Segment> = Vec::new();
        while let Some(segment) = self.segments.iter().find(|segment| !checked.contains(segment)).cloned() {
            if let Err(error) = self.ledger.check_inputs(&segment).await {
                let damage = describe_damage(error)?;
                // A consumer may have merged it into another and deleted it.
                if self.follow_snapshots().await? && !self.segments.contains(&segment) {
                    continue;
                }
                self.violate(damage);
            }
            checked.push(segment);
        }
        Ok(())
    }

    /// Takes over the newest snapshot, if a consumer has written one meanwhile.
    async fn follow_snapshots(&mut self) -> Result<bool, Error> {
        match self.ledger.newer_snapshot(self.covered).await {
            Ok(Some(newer)) => {
                self.read_from(newer);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => describe_damage(error).map(|_| false),
        }
    }

    /// Whether a batch's own files may be missing by now.
    async fn is_retired_meanwhile(&mut self, batch: BatchId) -> Result<bool, Error> {
        if Some(batch) > self.retired {
            self.follow_snapshots().await?;
        }
        Ok(Some(batch) <= self.retired)
    }

    /// Compares one commit with its own file, its plan and its inputs, and applies it to the tables.
    async fn batch(&mut self, commit: &Commit) -> Result<(), Error> {
        self.batches.insert(commit.batch);
        self.totals.add(&commit.totals);
        if let Err(what) = self.live.apply(commit) {
            self.is_contradicted = true;
            self.violate(format!("the commit of batch {} {what}", commit.batch.number()));
        }
        if Some(commit.batch) > self.retired {
            self.commit_file(commit).await?;
            self.plan(commit).await?;
        }
        if let Err(error) = self.ledger.schema(&commit.schema_id).await {
            self.violation(error)?;
        }
        self.inputs(commit).await
    }

    /// What is true for each commit is true for the stream: every record read is a row, an open dead letter or
    /// discarded, and the files of the tables contain exactly those.
    fn law(&mut self) {
        if !self.violations.is_empty() || self.is_contradicted {
            return;
        }
        let totals = &self.totals;
        let sums = [
            ("records read", totals.records_read, totals.rows + totals.open() + totals.discarded),
            ("rows", totals.rows, self.live.rows(ZoneName::Bronze)),
            ("open dead letters", totals.open(), self.live.rows(ZoneName::DeadLetters)),
        ];
        for (what, total, sum) in sums {
            if total != sum {
                self.violate(format!("the commits have {total} {what}, and {sum} when added up"));
            }
        }
    }

    async fn commit_file(&mut self, commit: &Commit) -> Result<(), Error> {
        let key = Key::Commit { stream: self.ledger.stream().clone(), batch: commit.batch };
        match self.ledger.commit(commit.batch).await {
            Ok(Some(stored)) if stored == *commit => {}
            Ok(Some(_)) => self.violate(format!("{key} differs from the segment that sums it up")),
            Ok(None) if self.is_retired_meanwhile(commit.batch).await? => {}
            Ok(None) => self.violate(format!("{key} is missing, though the batch is committed; restore it")),
            Err(error) => self.violation(error)?,
        }
        Ok(())
    }

    /// Commits that could not be checked because the history is damaged.
    async fn commits_beside_history(&mut self) -> Result<(), Error> {
        let mut listed = BTreeSet::new();
        let mut listing = self.ledger.lake().list(&Prefix::Commits(self.ledger.stream()), None);
        while let Some(found) = listing.try_next().await? {
            match Key::parse(&found.key) {
                Ok(Key::Commit { batch, .. }) => drop(listed.insert(batch)),
                _ => self.violate(format!("{} is not a file of a ledger; move it elsewhere", found.key)),
            }
        }
        // A listing may have missed a commit: reading each number shows whether it exists.
        listed.extend((1..listed.last().map_or(1, |last| last.number())).filter_map(BatchId::new));
        let retired = self.retired;
        listed.retain(|batch| Some(*batch) > retired && !self.batches.contains(batch));
        for batch in listed {
            self.batches.insert(batch);
            match self.ledger.commit(batch).await {
                Ok(Some(commit)) => self.batch(&commit).await?,
                Ok(None) if self.is_retired_meanwhile(batch).await? => {}
                Ok(None) => {
                    let key = Key::Commit { stream: self.ledger.stream().clone(), batch };
                    self.violate(format!("{key} is missing, though a later batch is committed; restore it"));
                }
                Err(error) => self.violation(error)?,
            }
        }
        Ok(())
    }

    /// One batch is executed at a time: a plan that is further ahead shows that commits were lost.
    async fn plans_ahead(&mut self) -> Result<(), Error> {
        let last = self.batches.last().copied();
        let plans = match self.ledger.plans_after(last).await {
            Ok(plans) => plans,
            Err(error) => return self.violation(error),
        };
        let mut next = last.map_or(BatchId::FIRST, BatchId::next);
        for plan in plans {
            while next < plan {
                // A consumer may have continued in between.
                if self.ledger.commit(next).await?.is_none() {
                    let key = Key::Plan { stream: self.ledger.stream().clone(), batch: plan };
                    let missing = next.number();
                    self.violate(format!(
                        "{key} is there, though batch {missing} is not committed; restore what is missing"
                    ));
                    return Ok(());
                }
                next = next.next();
            }
        }
        Ok(())
    }

    /// Distinguishes a stream that has done nothing yet from one whose ledger was lost, and from one that does not
    /// exist.
    async fn nothing_committed(&mut self) -> Result<(), Error> {
        match self.ledger.refuse_lost().await {
            Ok(Some(_)) => Ok(()),
            Ok(None) if self.ledger.plan(BatchId::FIRST).await?.is_some() => Ok(()),
            Ok(None) => refuse_unknown(self.ledger).await,
            Err(error) => self.violation(error),
        }
    }

    async fn plan(&mut self, commit: &Commit) -> Result<(), Error> {
        let number = commit.batch.number();
        let plan = match self.ledger.plan(commit.batch).await {
            Ok(Some(plan)) => plan,
            Ok(None) if self.is_retired_meanwhile(commit.batch).await? => return Ok(()),
            Ok(None) => {
                self.violate(format!("batch {number} is committed and has no plan"));
                return Ok(());
            }
            Err(error) => return self.violation(error),
        };
        for difference in plans::differences(&plan, commit) {
            self.violate(format!("the commit of batch {number} {difference}"));
        }
        Ok(())
    }

    async fn inputs(&mut self, commit: &Commit) -> Result<(), Error> {
        for input in &commit.inputs {
            if !input.outcome.is_final() {
                continue;
            }
            let id = (input.key.clone(), input.etag.clone());
            if let Some(before) = self.inputs.insert(id, commit.batch) {
                let (now, before) = (commit.batch.number(), before.number());
                self.violate(format!("{} was read by batch {before} and again by batch {now}", input.key));
            }
            if let Some(copy) = &input.copy {
                match self.ledger.lake().head(copy).await? {
                    None => self.violate(format!("{copy} is missing: the copy of {}", input.key)),
                    Some(found) if found.size != input.size => self
                        .violations
                        .push(format!("{copy} has {} bytes, and {} had {}", found.size, input.key, input.size)),
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Reads every file that is part of the tables.
    async fn live_files(&mut self) -> Result<(), Error> {
        let (lake, live) = (self.ledger.lake(), std::mem::take(&mut self.live));
        let reads =
            live.iter().map(|live| async move { Ok::<_, Error>((&live.file, lake.read(&live.file.key).await?)) });
        let mut reads = stream::iter(reads).buffered(READS_AT_ONCE);
        while let Some((file, bytes)) = reads.try_next().await? {
            match bytes {
                None => self.violate(format!("{} is missing", file.key)),
                Some(bytes) => self.violations.extend(file_violation(file, bytes)),
            }
        }
        drop(reads);
        self.live = live;
        Ok(())
    }
}

/// Damage in words; any other error is returned.
fn describe_damage(error: Error) -> Result<String, Error> {
    if error.kind() == ErrorKind::Corrupt { Ok(describe(&error)) } else { Err(error) }
}

fn file_violation(file: &OutputFile, bytes: Bytes) -> Option<String> {
    if bytes.len() as u64 != file.size {
        return Some(format!("{} has {} bytes, and its commit says {}", file.key, bytes.len(), file.size));
    }
    if sha256_hex(&bytes) != file.sha256 {
        return Some(format!("{} has other bytes than its commit says", file.key));
    }
    let Ok(rows) = tables::row_count(bytes) else { return Some(format!("{} is not a Parquet file", file.key)) };
    (rows != file.rows as i64).then(|| format!("{} has {rows} rows, and its commit says {}", file.key, file.rows))
}

impl Verification {
    /// The result for a person.
    pub fn text(&self) -> String {
        let records = counted(self.records_read, "record");
        let mut lines = vec![format!(
            "looked at {} and {}: {}",
            counted(self.batches, "batch"),
            counted(self.files, "file"),
            balance(&records, self.rows, self.dead_letters, self.records_discarded)
        )];
        lines.extend(self.violations.iter().map(|violation| format!("VIOLATION: {violation}")));
        lines.push(match self.violations.len() {
            0 => "ok: the ledger and the store agree".to_owned(),
            count => counted(count as u64, "violation"),
        });
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests;
