//! A task, executed: what its objects held in, Parquet files of rows and of dead letters and an outcome per object out.
//!
//! A pure function of the plan, the schema and the objects' bytes: no clock, no network, so that any process may execute
//! it, twice even. Files are handed on as they are full, so that memory does not grow with the objects. Invariant: each
//! record of each object read is in exactly one of the files.

mod array;
mod object;
mod output;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lake::{
    columns::Column,
    dead_letter::{ErrorCode, Fault, Reason},
    ids::{ContentId, Fingerprint},
    ledger::{Outcome, PlannedObject, SchemaRecord},
    stream::ReadSettings,
};

use crate::{
    attempts::DEATHS_MAX,
    compiled::Compiled,
    dead_letters::{DeadLetter, DeadLetterBuilder},
    decode::{self, Progress, Source, csv::CellTypes},
    enforce::{ENFORCEMENT_VERSION, Enforcer},
    error::Error,
    failpoint,
    parquet_file::WRITER_VERSION,
    rows::{BatchOrigin, RowBuilder},
};
use output::Output;
pub use output::{OutputKind, OutputPart};

/// All that a batch's tasks share, fixed by its plan.
pub struct TaskContext {
    /// What the rows say about where they came from.
    origin: BatchOrigin,
    /// The stream's columns under the planned schema.
    columns: Vec<Column>,
    /// The planned schema, compiled.
    enforcer: Enforcer,
    /// The same once more, for reading records straight into columns; `None` where only the judge understands it.
    compiled: Option<Compiled>,
    /// How the cells of CSV are read under the planned schema.
    cells: CellTypes,
    /// How the objects are read.
    read: ReadSettings,
    /// What tasks that have ended collected their rows in: the next one begins with memory that is there.
    spare: Mutex<Vec<RowBuilder>>,
}

impl TaskContext {
    /// What follows from a schema and the settings of a plan; without rules of its own where `judges_all`.
    ///
    /// # Errors
    /// What is wrong with the schema, in words.
    pub fn new(
        origin: BatchOrigin,
        schema: SchemaRecord,
        read: ReadSettings,
        judges_all: bool,
    ) -> Result<Self, String> {
        let SchemaRecord { json_schema, columns, .. } = schema;
        let enforcer = Enforcer::compile(&json_schema)?;
        let compiled = if judges_all { None } else { Compiled::compile(&json_schema, &columns) };
        let cells = CellTypes::of(&json_schema, &columns);
        Ok(Self { origin, columns, enforcer, compiled, cells, read, spare: Mutex::default() })
    }

    fn spare(&self) -> MutexGuard<'_, Vec<RowBuilder>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether most records are read by the schema's compiled rules.
    pub fn has_rules(&self) -> bool {
        self.compiled.is_some()
    }
}

/// What was found where an object should be.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// The planned version.
    Object(Source),
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

impl ObjectResult {
    fn unread(outcome: Outcome) -> Self {
        Self { outcome, rows: 0, dead_letters: 0, content: None }
    }
}

/// All that a task gives besides its files.
#[derive(Debug)]
pub struct TaskOutput {
    /// For each object, in the plan's order.
    pub objects: Vec<ObjectResult>,
    /// How many dead letters there are for each reason.
    pub by_reason: BTreeMap<Reason, u64>,
}

/// What decides the bytes of a task's files besides the plan: the versions of enforcement and writer, and which objects
/// were no longer there to be read, or must not be; and of several files of one kind, which one it is, from 0.
pub fn fingerprint(fetched: &[Fetched], part: u32) -> Fingerprint {
    let enforcement = ENFORCEMENT_VERSION + u32::from(failpoint::is_other_version());
    let mut text = format!("{} {enforcement} {WRITER_VERSION}", env!("CARGO_PKG_VERSION"));
    for (index, fetched) in fetched.iter().enumerate() {
        match fetched {
            Fetched::Missing | Fetched::Changed => text.push_str(&format!(" without {index}")),
            Fetched::Poison => text.push_str(&format!(" poisoned by {index}")),
            Fetched::Object(_) | Fetched::TooLarge => {}
        }
    }
    if part > 0 {
        text.push_str(&format!(" part {part}"));
    }
    Fingerprint::of(text.as_bytes())
}

/// Takes each file of a task as it is full. An error ends the execution.
pub type Emit = Box<dyn FnMut(OutputPart) -> Result<(), Error> + Send>;

/// Executes a task on what was fetched for it, one entry per planned object; tells `at` each object's place before it.
///
/// # Errors
/// [`Error::Fetch`] and [`Error::ShortBody`] for an object that a store fails to send, those of `emit`, and
/// [`Error::Bug`]: whatever is wrong with a record or an object becomes a dead letter.
pub fn execute(
    context: &Arc<TaskContext>,
    objects: &[PlannedObject],
    fetched: &[Fetched],
    mut at: impl FnMut(usize),
    progress: &Progress,
    emit: Emit,
) -> Result<TaskOutput, Error> {
    let mut execution = Execution::new(Arc::clone(context), progress, emit);
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
    output: Output,
    objects: Vec<ObjectResult>,
    progress: Progress,
}

impl Execution {
    /// An execution that has read no object yet.
    pub fn new(context: Arc<TaskContext>, progress: &Progress, emit: Emit) -> Self {
        let spare = context.spare().pop();
        let rows = spare.unwrap_or_else(|| RowBuilder::new(&context.columns, context.origin.clone()));
        let letters = DeadLetterBuilder::new(context.origin.clone(), context.read.raw_bytes_max);
        let output = Output::new(rows.schema(), letters.schema(), &context.read, emit);
        Self { context, rows, letters, output, objects: Vec::new(), progress: progress.clone() }
    }

    /// Reads the next object.
    ///
    /// # Errors
    /// As [`execute`].
    pub fn object(&mut self, object: &PlannedObject, fetched: &Fetched) -> Result<(), Error> {
        self.progress.tick();
        let result = match fetched {
            Fetched::Missing => ObjectResult::unread(Outcome::Missing),
            Fetched::Changed => ObjectResult::unread(Outcome::Changed),
            Fetched::TooLarge => {
                let fault = decode::too_large_object(object.size, self.context.read.object_bytes_max);
                self.corrupt_object(object, &[], &fault)
            }
            Fetched::Poison => self.corrupt_object(object, &[], &poison()),
            Fetched::Object(source) => {
                failpoint::reach("decode:object", &object.key);
                let content = source.content(!object.earlier.is_empty(), &self.progress)?;
                if content.is_some_and(|content| object.earlier.contains(&content)) {
                    ObjectResult { content, ..ObjectResult::unread(Outcome::Unchanged) }
                } else {
                    let result = self.readable_object(object, source)?;
                    ObjectResult { content: content.or(result.content), ..result }
                }
            }
        };
        self.objects.push(result);
        Ok(())
    }

    /// The outcomes of all objects read, once all files are handed on.
    ///
    /// # Errors
    /// As [`execute`].
    pub fn finish(mut self) -> Result<TaskOutput, Error> {
        failpoint::reach("decode:done", &"");
        self.output.rows(&mut self.rows)?;
        self.output.dead_letters(&mut self.letters)?;
        self.output.finish()?;
        self.rows.forget_objects();
        self.context.spare().push(self.rows);
        Ok(TaskOutput { objects: self.objects, by_reason: self.letters.by_reason().clone() })
    }

    fn corrupt_object(&mut self, object: &PlannedObject, raw: &[u8], fault: &Fault) -> ObjectResult {
        let key = object.key.to_string();
        let (etag, length) = (object.etag.as_str(), object.size);
        self.letters.append(&DeadLetter { fault, raw, key: &key, etag, index: None, offset: 0, length });
        ObjectResult { outcome: Outcome::DeadLettered, rows: 0, dead_letters: 1, content: None }
    }

    /// Hands rows and dead letters on that have come together.
    fn flush(&mut self) -> Result<(), Error> {
        let due = FLUSH_BYTES.min(usize::try_from(self.context.read.file_bytes).unwrap_or(usize::MAX));
        if self.rows.bytes() >= due {
            self.output.rows(&mut self.rows)?;
        }
        if self.letters.bytes() >= due {
            self.output.dead_letters(&mut self.letters)?;
        }
        Ok(())
    }
}

/// Rows are handed to the Parquet writer whenever about this much has come together.
const FLUSH_BYTES: usize = 4 << 20;
