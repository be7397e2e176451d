//! Executes a task: its objects' contents in; Parquet files of rows and of dead letters, and an outcome per object,
//! out.
//!
//! A pure function of the plan, the schema and the objects' bytes. No clock decides anything and it uses no network, so
//! any process may execute a task, even twice. Files are passed on as they are full, so memory does not grow with the
//! objects. Invariant: each record of each object read is in exactly one of the files.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    ids::ContentId,
    ledger::{Outcome, PlannedObject},
};
use tables::{
    RowBuilder,
    dead_letters::{DeadLetter, DeadLetterBuilder},
};

use super::{Fetched, TaskContext};
use crate::{
    decode::{self, Content, Opened, Progress, Record, RecordSink, Source, json::Cursor},
    enforce::CellPlaces,
    error::Error,
    failpoint,
    write::{Emit, LeftOut, Output},
};

/// Rows go to the Parquet writer whenever about this much has been collected.
const FLUSH_BYTES: usize = 4 << 20;

/// The result of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectResult {
    /// Whether it was read, and how.
    pub outcome: Outcome,
    /// Its records that passed.
    pub rows: u64,
    /// Its records that did not; one for a corrupt batch.
    pub dead_letters: u64,
    /// What it contained, if it was read completely.
    pub content: Option<ContentId>,
}

impl ObjectResult {
    fn unread(outcome: Outcome) -> Self {
        Self { outcome, rows: 0, dead_letters: 0, content: None }
    }
}

/// The results of a task, except its files.
#[derive(Debug, PartialEq, Eq)]
pub struct TaskOutput {
    /// For each object, in the plan's order.
    pub objects: Vec<ObjectResult>,
    /// The number of dead letters per reason.
    pub by_reason: BTreeMap<Reason, u64>,
}

/// Executes a task on what is fetched for it: one item per planned object, each asked for when the objects before it are
/// read. Calls `at` with each object's place before it reads the object. Also returns how long it took to make the
/// files.
///
/// # Errors
/// The first of `fetched`, [`Error::Fetch`] and [`Error::ShortBody`] for an object that a store fails to send, those of
/// `emit`, and [`Error::Bug`]. Anything wrong with a record or an object becomes a dead letter.
pub fn execute(
    context: &Arc<TaskContext>,
    objects: &[PlannedObject],
    fetched: impl IntoIterator<Item = Result<Fetched, Error>>,
    at: impl FnMut(usize),
    progress: &Progress,
    emit: Emit,
) -> Result<(TaskOutput, Duration), Error> {
    let mut execution = Execution::new(Arc::clone(context), progress, emit);
    execution.objects(objects, fetched, at)?;
    execution.finish()
}

/// A running task, object by object in the plan's order.
pub(super) struct Execution {
    context: Arc<TaskContext>,
    rows: RowBuilder,
    letters: DeadLetterBuilder,
    output: Output,
    objects: Vec<ObjectResult>,
    progress: Progress,
}

impl Execution {
    /// A task that has read no object yet.
    pub(super) fn new(context: Arc<TaskContext>, progress: &Progress, emit: Emit) -> Self {
        let rows = context.schema.rows(&context.origin);
        let letters = DeadLetterBuilder::new(context.origin.clone(), context.read.raw_bytes_max);
        let output = Output::new(rows.schema(), letters.schema(), &context.read, emit);
        Self { context, rows, letters, output, objects: Vec::new(), progress: progress.clone() }
    }

    /// Reads the next objects, as [`execute`] does.
    ///
    /// # Errors
    /// As [`execute`].
    pub(super) fn objects(
        &mut self,
        objects: &[PlannedObject],
        fetched: impl IntoIterator<Item = Result<Fetched, Error>>,
        mut at: impl FnMut(usize),
    ) -> Result<(), Error> {
        objects.iter().zip(fetched).try_for_each(|(object, fetched)| {
            at(self.objects.len());
            self.object(object, fetched?)
        })
    }

    fn object(&mut self, object: &PlannedObject, fetched: Fetched) -> Result<(), Error> {
        self.progress.tick();
        let at = self.objects.len();
        match &fetched {
            Fetched::Missing | Fetched::Changed | Fetched::Refused => self.output.leave_out(at, LeftOut::Unread),
            Fetched::Poison(_) => self.output.leave_out(at, LeftOut::Poison),
            Fetched::Object(_) | Fetched::TooLarge(_) => {}
        }
        let result = match fetched {
            Fetched::Missing => ObjectResult::unread(Outcome::Missing),
            Fetched::Changed => ObjectResult::unread(Outcome::Changed),
            Fetched::Refused if object.last_try => ObjectResult::unread(Outcome::Unreadable),
            Fetched::Refused => ObjectResult::unread(Outcome::Deferred),
            Fetched::TooLarge(source) => {
                let fault = decode::too_large_object(object.size, self.context.read.object_bytes_max);
                self.dead_object(object, &source, &fault)?
            }
            Fetched::Poison(source) => self.dead_object(object, &source, &poison())?,
            Fetched::Object(source) => {
                failpoint::reach("decode:object", &object.key);
                let content = source.content(!object.earlier.is_empty(), &self.progress)?;
                if content.is_some_and(|content| object.earlier.contains(&content)) {
                    ObjectResult { content, ..ObjectResult::unread(Outcome::Unchanged) }
                } else {
                    let result = self.readable_object(object, &source)?;
                    ObjectResult { content: content.or(result.content), ..result }
                }
            }
        };
        self.objects.push(result);
        Ok(())
    }

    /// The outcomes of all objects read, once all files are passed on, and how long it took to make the files.
    ///
    /// # Errors
    /// As [`execute`].
    pub(super) fn finish(mut self) -> Result<(TaskOutput, Duration), Error> {
        failpoint::reach("decode:done", &"");
        let encoding = self.output.finish(&mut self.rows, &mut self.letters)?;
        self.context.schema.keep(self.rows);
        let by_reason = self.letters.by_reason().clone();
        Ok((TaskOutput { objects: self.objects, by_reason }, encoding))
    }

    /// Reads an object that exists.
    fn readable_object(&mut self, object: &PlannedObject, source: &Source) -> Result<ObjectResult, Error> {
        let context = Arc::clone(&self.context);
        let Opened { text, content } = decode::open(source, object.size, &context.read, &self.progress)?;
        let read = match text {
            Ok(text) => {
                let (key, progress) = (object.key.to_string(), self.progress.clone());
                self.rows.begin_object(&key, &object.etag);
                let mut judged = JudgedObject::new(self, &context, &key, &object.etag);
                let fed = decode::feed(text, &context.read, &context.schema.cells, &progress, &mut judged)?;
                fed.map(|()| judged.result())
            }
            Err(fault) => Err(fault),
        };
        let result = match read {
            Ok(result) => result,
            Err(fault) => self.dead_object(object, source, &fault)?,
        };
        Ok(ObjectResult { content: content.map(|content| content.id()), ..result })
    }

    /// Sets an object aside as a whole, with its first bytes, however it was fetched. A copy of it is kept.
    fn dead_object(&mut self, object: &PlannedObject, source: &Source, fault: &Fault) -> Result<ObjectResult, Error> {
        let raw = &source.first_bytes(self.context.read.raw_bytes_max, &self.progress)?;
        let key = object.key.to_string();
        let (etag, length) = (object.etag.as_str(), object.size);
        self.letters.append(&DeadLetter { fault, raw, key: &key, etag, index: None, offset: 0, length });
        // The objects before this one have their results.
        self.output.dead_object(self.objects.len(), source.clone())?;
        Ok(ObjectResult { outcome: Outcome::DeadLettered, rows: 0, dead_letters: 1, content: None })
    }

    /// Passes on the rows and dead letters collected so far.
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

/// The fault of an object that ends every process that reads it.
fn poison() -> Fault {
    let message = "every process that read the object on its own died of it or hung".to_owned();
    Fault { reason: Reason::CorruptedBatch, code: ErrorCode::Poison, path: None, message }
}

/// The sink of one object's records: each becomes a row or a dead letter.
///
/// A record goes to the compiled enforcer first, and to the parser and the judge if that is in doubt.
struct JudgedObject<'e> {
    execution: &'e mut Execution,
    context: &'e TaskContext,
    key: &'e str,
    etag: &'e str,
    /// The fields of a CSV row's cells.
    places: Option<CellPlaces>,
    rows: u64,
    dead_letters: u64,
    held: Option<Held>,
}

/// What can be undone.
struct Held {
    /// How many rows were collected before.
    rows_before: usize,
    letters: Vec<HeldLetter>,
}

/// A dead letter held back: what will be kept of it.
struct HeldLetter {
    fault: Fault,
    index: u64,
    offset: u64,
    length: u64,
    raw: Vec<u8>,
}

impl<'e> JudgedObject<'e> {
    fn new(execution: &'e mut Execution, context: &'e TaskContext, key: &'e str, etag: &'e str) -> Self {
        Self { execution, context, key, etag, places: None, rows: 0, dead_letters: 0, held: None }
    }

    fn result(self) -> ObjectResult {
        let (rows, dead_letters) = (self.rows, self.dead_letters);
        ObjectResult { outcome: Outcome::Ingested, rows, dead_letters, content: None }
    }

    /// Whether the record became a row without looking at its value.
    fn is_plain_row(&mut self, record: &Record<'_>) -> bool {
        let Some(compiled) = &self.context.schema.compiled else { return false };
        let (settings, rows) = (&self.context.read, &mut self.execution.rows);
        match (&record.content, &self.places) {
            (Content::Json, _) => {
                std::str::from_utf8(record.raw).is_ok_and(|text| compiled.record(text, record.index, settings, rows))
            }
            (Content::Cells(_, cells), Some(places)) => {
                compiled.cells(places, cells, record.raw.len(), record.index, settings, rows)
            }
            (Content::TriedJson | Content::Cells(..) | Content::Fault(_), _) => false,
        }
    }

    /// Makes a row of the record's value, or reports what is wrong with it.
    fn judge(&mut self, record: &Record<'_>) -> Result<(), Fault> {
        let value = record.value(&self.context.read)?;
        let schema = &self.context.schema;
        let judged = failpoint::judge_as_other_version(&value).and_then(|()| match schema.compiled {
            // The rules did not accept it, so it is probably invalid.
            Some(_) => schema.judge.enforce_doubtful(&value),
            None => schema.judge.enforce(&value),
        });
        let row = judged.and_then(|()| self.execution.rows.append(&value, record.index, record.raw.len()));
        row.map_err(|fault| record.in_line(fault))
    }

    fn dead_letter(&mut self, record: &Record<'_>, fault: Fault) {
        self.dead_letters += 1;
        let Record { index, offset, length, raw, .. } = *record;
        match &mut self.held {
            Some(held) => {
                let kept = usize::try_from(self.context.read.raw_bytes_max).unwrap_or(usize::MAX).min(raw.len());
                held.letters.push(HeldLetter { fault, index, offset, length, raw: raw[..kept].to_vec() });
            }
            None => self.append(&fault, index, offset, length, raw),
        }
    }

    fn append(&mut self, fault: &Fault, index: u64, offset: u64, length: u64, raw: &[u8]) {
        let (key, etag, index) = (self.key, self.etag, Some(index));
        self.execution.letters.append(&DeadLetter { fault, raw, key, etag, index, offset, length });
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.held.is_some() { Ok(()) } else { self.execution.flush() }
    }
}

impl RecordSink for JudgedObject<'_> {
    fn record(&mut self, record: &Record<'_>) -> Result<(), Error> {
        if self.is_plain_row(record) {
            self.rows += 1;
        } else {
            match self.judge(record) {
                Ok(()) => self.rows += 1,
                Err(fault) => self.dead_letter(record, fault),
            }
        }
        self.flush()
    }

    fn record_at(&mut self, cursor: &mut Cursor<'_>, index: u64) -> Result<bool, Error> {
        let Some(compiled) = &self.context.schema.compiled else { return Ok(false) };
        if !compiled.record_at(cursor, index, &self.context.read, &mut self.execution.rows) {
            return Ok(false);
        }
        self.rows += 1;
        self.flush()?;
        Ok(true)
    }

    fn header(&mut self, names: &[String]) {
        self.places = self.context.schema.compiled.as_ref().map(|compiled| compiled.places(names));
    }

    fn hold(&mut self) {
        self.held = Some(Held { rows_before: self.execution.rows.len(), letters: Vec::new() });
    }

    fn take_back(&mut self) {
        if let Some(held) = self.held.take() {
            self.execution.rows.truncate(held.rows_before);
        }
        (self.rows, self.dead_letters) = (0, 0);
    }

    fn release(&mut self) -> Result<(), Error> {
        for letter in self.held.take().map(|held| held.letters).unwrap_or_default() {
            self.append(&letter.fault, letter.index, letter.offset, letter.length, &letter.raw);
        }
        self.execution.flush()
    }
}
