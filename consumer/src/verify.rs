//! Verify: holds the ledger to the store, file by file, and says everything that does not agree.
//!
//! Reads every committed file whole. Changes nothing.

use std::collections::HashMap;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use lake::{
    Error, ErrorKind,
    error::describe,
    ids::{BatchId, sha256_hex},
    keys::Key,
    ledger::{Commit, Ledger, OutputFile, Totals},
};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde::Serialize;

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
/// [`Error::Store`] when the store can't be reached. Whatever is wrong with the ledger or the files is no error but a
/// violation.
pub async fn verify(ledger: &Ledger) -> Result<Verification, Error> {
    let mut verifier = Verifier { ledger, violations: Vec::new(), inputs: HashMap::new() };
    let mut totals = Totals::default();
    let (mut batches, mut files) = (0, 0);
    let numbers = match ledger.commits_after(None).await {
        Ok(numbers) => numbers,
        Err(error) => verifier.violation(error)?.unwrap_or_default(),
    };
    for batch in numbers {
        let commit = match ledger.commit(batch).await {
            Ok(Some(commit)) => commit,
            Ok(None) => continue,
            Err(error) => {
                verifier.violation::<()>(error)?;
                continue;
            }
        };
        batches += 1;
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
            "{} batches, {} files: {} records read = {} rows + {} dead letters",
            self.batches, self.files, self.records_read, self.rows, self.dead_letters
        )];
        lines.extend(self.violations.iter().map(|violation| format!("VIOLATION: {violation}")));
        lines.push(match self.violations.len() {
            0 => "ok: the ledger and the store agree".to_owned(),
            count => format!("{count} violations"),
        });
        lines.join("\n")
    }
}
