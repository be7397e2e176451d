//! A task, executed: what its objects held in, two Parquet files and an outcome per object out.
//!
//! A pure function of the plan, the schema and the objects' bytes: no clock, no network, so that any process may execute
//! it, twice even. Invariant: each record of each object read is in exactly one of the two files.

mod object;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use lake::{
    columns::Column,
    dead_letter::{ErrorCode, Fault, Reason},
    ids::{ContentId, Fingerprint},
    ledger::{Outcome, PlannedObject},
    stream::ReadSettings,
};

use crate::{
    attempts::DEATHS_MAX,
    compiled::Compiled,
    dead_letters::{DeadLetter, DeadLetterBuilder},
    decode::{self, DecodedRecord},
    enforce::{ENFORCEMENT_VERSION, Enforcer},
    error::Error,
    failpoint,
    parquet_file::{FileWriter, WRITER_VERSION, WrittenFile},
    rows::{BatchOrigin, Origin, RowBuilder},
};

/// Rows are handed to the Parquet writer whenever about this much has come together.
const FLUSH_BYTES: usize = 8 << 20;

/// All that a batch's tasks share, fixed by its plan.
pub struct TaskContext {
    /// What the rows say about where they came from.
    pub origin: BatchOrigin,
    /// The stream's columns under the planned schema.
    pub columns: Vec<Column>,
    /// The planned schema, compiled.
    pub enforcer: Enforcer,
    /// The same once more, for reading records straight into columns; `None` where only the judge understands it.
    pub compiled: Option<Compiled>,
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
    /// The planned version, not read since it ended the processes that did.
    Poison,
}

/// What is wrong with an object that can't be read by any process.
fn poison() -> Fault {
    let message = format!("{DEATHS_MAX} attempts to read the object ended the process or hung");
    Fault { reason: Reason::CorruptedBatch, code: ErrorCode::Poison, path: None, message }
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
    /// What it held, where it was read whole.
    pub content: Option<ContentId>,
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
/// were no longer there to be read, or must not be.
pub fn fingerprint(fetched: &[Fetched]) -> Fingerprint {
    let enforcement = ENFORCEMENT_VERSION + u32::from(failpoint::is_other_version());
    let mut text = format!("{} {enforcement} {WRITER_VERSION}", env!("CARGO_PKG_VERSION"));
    for (index, fetched) in fetched.iter().enumerate() {
        match fetched {
            Fetched::Missing | Fetched::Changed => text.push_str(&format!(" without {index}")),
            Fetched::Poison => text.push_str(&format!(" poisoned by {index}")),
            Fetched::Bytes(_) | Fetched::TooLarge => {}
        }
    }
    Fingerprint::of(text.as_bytes())
}

/// Executes a task on what was fetched for it, one entry per planned object; tells `at` each object's place before it.
///
/// # Errors
/// [`Error::Bug`] only: whatever is wrong with a record or an object becomes a dead letter.
pub fn execute(
    context: &Arc<TaskContext>,
    objects: &[PlannedObject],
    fetched: &[Fetched],
    mut at: impl FnMut(usize),
) -> Result<TaskOutput, Error> {
    let mut execution = Execution::new(Arc::clone(context));
    for (index, (object, fetched)) in objects.iter().zip(fetched).enumerate() {
        at(index);
        execution.object(object, fetched)?;
    }
    execution.finish()
}

/// A task in execution, object by object in the plan's order.
pub struct Execution {
    context: Arc<TaskContext>,
    rows: RowBuilder,
    letters: DeadLetterBuilder,
    bronze: FileWriter,
    dead_letters: FileWriter,
    objects: Vec<ObjectResult>,
}

impl Execution {
    /// An execution that has read no object yet.
    pub fn new(context: Arc<TaskContext>) -> Self {
        let rows = RowBuilder::new(&context.columns, context.origin.clone());
        let letters = DeadLetterBuilder::new(context.origin.clone(), context.read.raw_bytes_max);
        let bronze = FileWriter::new(rows.schema(), context.read.event_time.as_deref());
        let dead_letters = FileWriter::new(letters.schema(), None);
        Self { context, rows, letters, bronze, dead_letters, objects: Vec::new() }
    }

    /// Reads the next object.
    ///
    /// # Errors
    /// [`Error::Bug`] only.
    pub fn object(&mut self, object: &PlannedObject, fetched: &Fetched) -> Result<(), Error> {
        let unread = |outcome| ObjectResult { outcome, rows: 0, dead_letters: 0, content: None };
        let result = match fetched {
            Fetched::Missing => unread(Outcome::Missing),
            Fetched::Changed => unread(Outcome::Changed),
            Fetched::TooLarge => {
                let fault = decode::too_large_object(object.size, self.context.read.object_bytes_max);
                self.corrupt_object(object, &[], &fault)
            }
            Fetched::Poison => self.corrupt_object(object, &[], &poison()),
            Fetched::Bytes(bytes) => {
                failpoint::reach("decode:object", &object.key);
                let content = Some(ContentId::of(bytes));
                let unchanged = object.earlier.iter().any(|earlier| Some(*earlier) == content);
                let result = if unchanged { unread(Outcome::Unchanged) } else { self.readable_object(object, bytes)? };
                ObjectResult { content, ..result }
            }
        };
        self.objects.push(result);
        Ok(())
    }

    /// The files and outcomes of all objects read.
    ///
    /// # Errors
    /// [`Error::Bug`] only.
    pub fn finish(mut self) -> Result<TaskOutput, Error> {
        self.bronze.write(&self.rows.take())?;
        self.dead_letters.write(&self.letters.take())?;
        Ok(TaskOutput {
            bronze: self.bronze.finish()?,
            dead_letters: self.dead_letters.finish()?,
            objects: self.objects,
            by_reason: self.letters.by_reason().clone(),
        })
    }

    fn readable_object(&mut self, object: &PlannedObject, bytes: &[u8]) -> Result<ObjectResult, Error> {
        if let Some(result) = self.compiled_object(object, bytes)? {
            return Ok(result);
        }
        let key = object.key.to_string();
        let mut result = ObjectResult { outcome: Outcome::Ingested, rows: 0, dead_letters: 0, content: None };
        let mut failure = None;
        let context = Arc::clone(&self.context);
        let decoded = decode::decode(bytes, &context.read, &mut |record| {
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
        let DecodedRecord { index, offset, raw, .. } = record;
        match self.judge(record, Origin { key, etag, index }) {
            Ok(()) => result.rows += 1,
            Err(fault) => {
                result.dead_letters += 1;
                let length = raw.len() as u64;
                self.letters.append(&DeadLetter { fault: &fault, raw, key, etag, index: Some(index), offset, length });
            }
        }
        self.flush()
    }

    /// Makes a row of a record, or tells its fault.
    fn judge(&mut self, record: DecodedRecord<'_>, origin: Origin<'_>) -> Result<(), Fault> {
        let value = record.value?;
        failpoint::judge_as_other_version(&value)?;
        self.context.enforcer.enforce(&value)?;
        self.rows.append(&value, origin, record.raw.len())
    }

    fn corrupt_object(&mut self, object: &PlannedObject, raw: &[u8], fault: &Fault) -> ObjectResult {
        let key = object.key.to_string();
        let (etag, length) = (object.etag.as_str(), object.size);
        self.letters.append(&DeadLetter { fault, raw, key: &key, etag, index: None, offset: 0, length });
        ObjectResult { outcome: Outcome::DeadLettered, rows: 0, dead_letters: 1, content: None }
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
