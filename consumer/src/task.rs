//! A task, executed: what its objects held in, two Parquet files and an outcome per object out.
//!
//! A pure function of the plan, the schema and the objects' bytes: no clock, no network, so that any process may execute
//! it, twice even. Invariant: each record of each object read is in exactly one of the two files.

use std::collections::BTreeMap;

use bytes::Bytes;
use lake::{
    columns::Column,
    dead_letter::{Fault, Reason},
    ids::Fingerprint,
    ledger::{Outcome, PlannedObject, PlannedTask},
    stream::ReadSettings,
};

use crate::{
    dead_letters::{DeadLetter, DeadLetterBuilder},
    decode::{self, DecodedRecord},
    enforce::{ENFORCEMENT_VERSION, Enforcer},
    error::Error,
    parquet_file::{FileWriter, WRITER_VERSION, WrittenFile},
    rows::{BatchOrigin, Origin, RowBuilder},
};

/// Rows are handed to the Parquet writer whenever about this much has come together.
const FLUSH_BYTES: usize = 8 << 20;

/// All that a batch's tasks share, fixed by its plan.
#[derive(Debug)]
pub struct TaskContext {
    /// What the rows say about where they came from.
    pub origin: BatchOrigin,
    /// The stream's columns under the planned schema.
    pub columns: Vec<Column>,
    /// The planned schema, compiled.
    pub enforcer: Enforcer,
    /// How the objects are read.
    pub read: ReadSettings,
}

/// What was found where an object should be.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// The planned version.
    Bytes(Bytes),
    /// Nothing.
    Missing,
    /// Another version.
    Changed,
    /// The planned version, larger than an object may be, and so not read.
    TooLarge,
}

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectResult {
    /// Whether it was read, and how.
    pub outcome: Outcome,
    /// Its records that passed.
    pub rows: u64,
    /// Its records that did not; one for a corrupt batch.
    pub dead_letters: u64,
}

/// All that a task gives.
#[derive(Debug)]
pub struct TaskOutput {
    /// The rows, if there are any.
    pub bronze: Option<WrittenFile>,
    /// The dead letters, if there are any.
    pub dead_letters: Option<WrittenFile>,
    /// For each object, in the plan's order.
    pub objects: Vec<ObjectResult>,
    /// How many dead letters there are for each reason.
    pub by_reason: BTreeMap<Reason, u64>,
}

/// What decides the bytes of a task's files besides the plan: the versions of enforcement and writer, and which objects
/// were no longer there to be read.
pub fn fingerprint(fetched: &[Fetched]) -> Fingerprint {
    let mut text = format!("{} {ENFORCEMENT_VERSION} {WRITER_VERSION}", env!("CARGO_PKG_VERSION"));
    for (index, fetched) in fetched.iter().enumerate() {
        if matches!(fetched, Fetched::Missing | Fetched::Changed) {
            text.push_str(&format!(" without {index}"));
        }
    }
    Fingerprint::of(text.as_bytes())
}

/// Executes a task on what was fetched for it, one entry per planned object.
///
/// # Errors
/// [`Error::Bug`] only: whatever is wrong with a record or an object becomes a dead letter.
pub fn execute(context: &TaskContext, task: &PlannedTask, fetched: &[Fetched]) -> Result<TaskOutput, Error> {
    let mut execution = Execution::new(context);
    let mut objects = Vec::with_capacity(task.objects.len());
    for (object, fetched) in task.objects.iter().zip(fetched) {
        objects.push(execution.object(object, fetched)?);
    }
    let Execution { mut rows, mut letters, mut bronze, mut dead_letters, .. } = execution;
    bronze.write(&rows.take())?;
    dead_letters.write(&letters.take())?;
    let by_reason = letters.by_reason().clone();
    Ok(TaskOutput { bronze: bronze.finish()?, dead_letters: dead_letters.finish()?, objects, by_reason })
}

struct Execution<'a> {
    context: &'a TaskContext,
    rows: RowBuilder,
    letters: DeadLetterBuilder,
    bronze: FileWriter,
    dead_letters: FileWriter,
}

impl<'a> Execution<'a> {
    fn new(context: &'a TaskContext) -> Self {
        let rows = RowBuilder::new(&context.columns, context.origin.clone());
        let letters = DeadLetterBuilder::new(context.origin.clone(), context.read.raw_bytes_max);
        let bronze = FileWriter::new(rows.schema(), context.read.event_time.as_deref());
        let dead_letters = FileWriter::new(letters.schema(), None);
        Self { context, rows, letters, bronze, dead_letters }
    }

    fn object(&mut self, object: &PlannedObject, fetched: &Fetched) -> Result<ObjectResult, Error> {
        let unread = |outcome| Ok(ObjectResult { outcome, rows: 0, dead_letters: 0 });
        match fetched {
            Fetched::Missing => unread(Outcome::Missing),
            Fetched::Changed => unread(Outcome::Changed),
            Fetched::TooLarge => {
                let fault = decode::too_large_object(object.size, self.context.read.object_bytes_max);
                Ok(self.corrupt_object(object, &[], &fault))
            }
            Fetched::Bytes(bytes) => self.readable_object(object, bytes),
        }
    }

    fn readable_object(&mut self, object: &PlannedObject, bytes: &[u8]) -> Result<ObjectResult, Error> {
        let key = object.key.to_string();
        let mut result = ObjectResult { outcome: Outcome::Ingested, rows: 0, dead_letters: 0 };
        let mut failure = None;
        let decoded = decode::decode(bytes, &self.context.read, &mut |record| {
            if failure.is_none() {
                failure = self.record(&key, &object.etag, record, &mut result).err();
            }
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        match decoded {
            Ok(()) => Ok(result),
            Err(fault) => Ok(self.corrupt_object(object, bytes, &fault)),
        }
    }

    fn record(
        &mut self,
        key: &str,
        etag: &str,
        record: DecodedRecord<'_>,
        result: &mut ObjectResult,
    ) -> Result<(), Error> {
        let DecodedRecord { index, offset, raw, value } = record;
        let judged = value.and_then(|value| {
            self.context.enforcer.enforce(&value)?;
            self.rows.append(&value, Origin { key, etag, index }, raw.len())
        });
        match judged {
            Ok(()) => result.rows += 1,
            Err(fault) => {
                result.dead_letters += 1;
                let length = raw.len() as u64;
                self.letters.append(&DeadLetter { fault: &fault, raw, key, etag, index: Some(index), offset, length });
            }
        }
        self.flush()
    }

    fn corrupt_object(&mut self, object: &PlannedObject, raw: &[u8], fault: &Fault) -> ObjectResult {
        let key = object.key.to_string();
        let (etag, length) = (object.etag.as_str(), object.size);
        self.letters.append(&DeadLetter { fault, raw, key: &key, etag, index: None, offset: 0, length });
        ObjectResult { outcome: Outcome::DeadLettered, rows: 0, dead_letters: 1 }
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.rows.bytes() >= FLUSH_BYTES {
            self.bronze.write(&self.rows.take())?;
        }
        if self.letters.bytes() >= FLUSH_BYTES {
            self.dead_letters.write(&self.letters.take())?;
        }
        Ok(())
    }
}
