//! Verify: holds the ledger to the store, file by file, and says everything that does not agree.
//!
//! Reads every committed file whole. Changes nothing.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use lake::{
    Error, ErrorKind,
    error::describe,
    ids::{BatchId, sha256_hex},
    keys::{Key, Prefix},
    ledger::{Commit, Ledger, OutputFile, Totals},
};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde::Serialize;

use crate::{
    recover::refuse_orphaned_rows,
    status::{counted, refuse_unknown},
};

/// How many files are read at a time.
const READS_AT_ONCE: usize = 4;

/// What a verification found. Its JSON form is what scripts read: add fields, never rename them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether nothing disagrees.
    pub ok: bool,
    /// Batches looked at.
    pub batches: u64,
    /// Records that the commits say were read.
    pub records_read: u64,
    /// Rows that the commits say exist.
    pub rows: u64,
    /// Dead letters that the commits say exist.
    pub dead_letters: u64,
    /// Files that the commits name.
    pub files: u64,
    /// Everything that disagrees, each in a sentence that names the file.
    pub violations: Vec<String>,
}

/// Holds a stream's ledger to its store.
///
/// # Errors
/// [`Error::Settings`] or [`Error::NoLake`] when there is no such stream, [`Error::Store`] when the store can't be
/// reached. Whatever is wrong with the ledger or the files is no error but a violation.
pub async fn verify(ledger: &Ledger) -> Result<Verification, Error> {
    let mut verifier = Verifier { ledger, violations: Vec::new(), inputs: HashMap::new() };
    let mut totals = Totals::default();
    let (mut batches, mut files) = (0, 0);
    for batch in verifier.batches().await? {
        batches += 1;
        let commit = match ledger.commit(batch).await {
            Ok(Some(commit)) => commit,
            Ok(None) => {
                let key = Key::Commit { stream: ledger.stream().clone(), batch };
                verifier.violations.push(format!("{key} is missing, though a later batch is committed; restore it"));
                continue;
            }
            Err(error) => {
                verifier.violation::<()>(error)?;
                continue;
            }
        };
        files += commit.files.len() as u64;
        totals.add(&commit.totals);
        verifier.plan(&commit).await?;
        verifier.inputs(&commit).await?;
        verifier.files(&commit).await?;
    }
    Ok(Verification {
        ok: verifier.violations.is_empty(),
        batches,
        records_read: totals.records_read,
        rows: totals.rows,
        dead_letters: totals.dead_letters,
        files,
        violations: verifier.violations,
    })
}

struct Verifier<'a> {
    ledger: &'a Ledger,
    violations: Vec<String>,
    inputs: HashMap<(Key, String), BatchId>,
}

impl Verifier<'_> {
    /// Notes a damage as a violation; what is no damage stays an error.
    fn violation<T>(&mut self, error: Error) -> Result<Option<T>, Error> {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        self.violations.push(describe(&error));
        Ok(None)
    }

    /// The committed batches, and what their numbers and those of the plans tell.
    async fn batches(&mut self) -> Result<Vec<BatchId>, Error> {
        let mut batches = BTreeSet::new();
        let mut listing = self.ledger.lake().list(&Prefix::Commits(self.ledger.stream()), None);
        while let Some(listed) = listing.try_next().await? {
            match Key::parse(&listed.key) {
                Ok(Key::Commit { batch, .. }) => {
                    batches.insert(batch);
                }
                _ => self.violations.push(format!("{} is no file of a ledger; move it elsewhere", listed.key)),
            }
        }
        let last = batches.last().copied();
        // A listing may have left out what is there: a number without a commit shows when it is read.
        batches.extend((1..last.map_or(1, BatchId::number)).filter_map(BatchId::new));
        let is_planned = self.plans(last).await?;
        if last.is_none() && !is_planned && self.violations.is_empty() {
            match refuse_orphaned_rows(self.ledger).await {
                Ok(_) => refuse_unknown(self.ledger).await?,
                Err(error) => drop(self.violation::<()>(error)?),
            }
        }
        Ok(batches.into_iter().collect())
    }

    /// Whether there is a plan after the last committed batch. One batch is executed at a time, so there is one at most.
    async fn plans(&mut self, last: Option<BatchId>) -> Result<bool, Error> {
        let plans = match self.ledger.plans_after(last).await {
            Ok(plans) => plans,
            Err(error) => self.violation(error)?.unwrap_or_default(),
        };
        let next = last.map_or(BatchId::FIRST, BatchId::next);
        for batch in plans.iter().filter(|batch| **batch > next) {
            let key = Key::Plan { stream: self.ledger.stream().clone(), batch: *batch };
            let next = next.number();
            self.violations
                .push(format!("{key} is there, though batch {next} is not committed; restore what is missing"));
        }
        Ok(!plans.is_empty())
    }

    async fn plan(&mut self, commit: &Commit) -> Result<(), Error> {
        let number = commit.batch.number();
        let plan = match self.ledger.plan(commit.batch).await {
            Ok(Some(plan)) => plan,
            Ok(None) => {
                self.violations.push(format!("batch {number} is committed and has no plan"));
                return Ok(());
            }
            Err(error) => return self.violation::<()>(error).map(drop),
        };
        if plan.plan_id != commit.plan_id || plan.schema_id != commit.schema_id {
            self.violations.push(format!("the commit of batch {number} is of another plan"));
        }
        let planned = plan.objects().map(|object| (&object.key, &object.etag));
        if !planned.eq(commit.inputs.iter().map(|input| (&input.key, &input.etag))) {
            self.violations.push(format!("the commit of batch {number} names other inputs than its plan"));
        }
        if let Err(error) = self.ledger.schema(&commit.schema_id).await {
            self.violation::<()>(error)?;
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
                self.violations.push(format!("{} was read by batch {before} and again by batch {now}", input.key));
            }
            if let Some(copy) = &input.copy {
                match self.ledger.lake().head(copy).await? {
                    None => self.violations.push(format!("{copy} is missing: the copy of {}", input.key)),
                    Some(found) if found.size != input.size => self
                        .violations
                        .push(format!("{copy} has {} bytes, and {} had {}", found.size, input.key, input.size)),
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }

    async fn files(&mut self, commit: &Commit) -> Result<(), Error> {
        let lake = self.ledger.lake();
        let reads = commit.files.iter().map(|file| async move { Ok::<_, Error>((file, lake.read(&file.key).await?)) });
        let mut reads = stream::iter(reads).buffered(READS_AT_ONCE);
        while let Some((file, bytes)) = reads.try_next().await? {
            match bytes {
                None => self.violations.push(format!("{} is missing", file.key)),
                Some(bytes) => self.violations.extend(file_violation(file, bytes)),
            }
        }
        Ok(())
    }
}

fn file_violation(file: &OutputFile, bytes: Bytes) -> Option<String> {
    if bytes.len() as u64 != file.size {
        return Some(format!("{} has {} bytes, and its commit says {}", file.key, bytes.len(), file.size));
    }
    if sha256_hex(&bytes) != file.sha256 {
        return Some(format!("{} has other bytes than its commit says", file.key));
    }
    let rows = match SerializedFileReader::new(bytes) {
        Ok(reader) => reader.metadata().file_metadata().num_rows(),
        Err(_) => return Some(format!("{} is no Parquet file", file.key)),
    };
    (rows != file.rows as i64).then(|| format!("{} has {rows} rows, and its commit says {}", file.key, file.rows))
}

impl Verification {
    /// The result for a person.
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "looked at {} and {}: {} read = {} + {}",
            counted(self.batches, "batch"),
            counted(self.files, "file"),
            counted(self.records_read, "record"),
            counted(self.rows, "row"),
            counted(self.dead_letters, "dead letter")
        )];
        lines.extend(self.violations.iter().map(|violation| format!("VIOLATION: {violation}")));
        lines.push(match self.violations.len() {
            0 => "ok: the ledger and the store agree".to_owned(),
            count => counted(count as u64, "violation"),
        });
        lines.join("\n")
    }
}
