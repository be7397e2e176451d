//! What a task makes: rows and dead letters in, Parquet files out, each passed on as soon as it is full, and between
//! them the objects of which a copy is kept.
//!
//! Knows when a file is full, and nothing about stores. Invariant: only the written records decide where a file ends,
//! so every execution of a plan ends its files at the same rows.

use std::time::{Duration, Instant};

use lake::stream::ReadSettings;
use tables::{FileWriter, RecordBatch, RowBuilder, SchemaRef, WrittenFile, dead_letters::DeadLetterBuilder};

use crate::{decode::Source, error::Error};

/// Takes what a task makes, as soon as it is made. An error ends the execution.
pub type Emit = Box<dyn FnMut(Made) -> Result<(), Error> + Send>;

/// Something that a task makes and that must be stored.
#[derive(Debug)]
pub enum Made {
    /// A file.
    File(OutputPart),
    /// An object that was set aside as a whole: its bytes are kept as they are.
    DeadObject {
        /// Its place in the task.
        at: usize,
        /// Its bytes.
        source: Source,
    },
}

/// An object whose records are in none of a task's files, for a reason that another execution may not find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// It was gone or changed, or may not be read.
    Unread,
    /// It ends the processes that read it.
    Poison,
}

/// What a file contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// Rows.
    Bronze,
    /// Dead letters.
    DeadLetters,
}

/// One file of a task.
#[derive(Debug)]
pub struct OutputPart {
    /// What it contains.
    pub kind: OutputKind,
    /// Which of the task's files of this kind it is, from 0.
    pub part: u32,
    /// The file.
    pub file: WrittenFile,
    /// The objects left out until it was full, by their place in the task.
    pub left_out: Vec<(usize, LeftOut)>,
}

pub(crate) struct Output {
    bronze: Files,
    dead_letters: Files,
    /// The length of a full file.
    file_bytes: usize,
    emit: Emit,
    left_out: Vec<(usize, LeftOut)>,
    /// How long it took so far to make files of rows, until they were passed on.
    encoding: Duration,
}

impl Output {
    pub(crate) fn new(rows: SchemaRef, letters: SchemaRef, settings: &ReadSettings, emit: Emit) -> Self {
        let bronze = Files::new(OutputKind::Bronze, rows, settings.event_time.clone());
        let dead_letters = Files::new(OutputKind::DeadLetters, letters, None);
        let file_bytes = usize::try_from(settings.file_bytes).unwrap_or(usize::MAX);
        Self { bronze, dead_letters, file_bytes, emit, left_out: Vec::new(), encoding: Duration::ZERO }
    }

    /// Notes that the records of an object, by its place in the task, are in no file from here on.
    pub(crate) fn leave_out(&mut self, at: usize, left_out: LeftOut) {
        self.left_out.push((at, left_out));
    }

    /// Passes on an object of which a copy is kept.
    pub(crate) fn dead_object(&mut self, at: usize, source: Source) -> Result<(), Error> {
        (self.emit)(Made::DeadObject { at, source })
    }

    /// Writes the collected rows.
    pub(crate) fn rows(&mut self, rows: &mut RowBuilder) -> Result<(), Error> {
        let began = Instant::now();
        let batch = rows.take();
        self.bronze.writer.write(&batch)?;
        rows.reuse(batch);
        self.encoding += began.elapsed();
        self.bronze.hand_on_if(self.file_bytes, &self.left_out, &mut self.emit)
    }

    /// Writes the collected dead letters.
    pub(crate) fn dead_letters(&mut self, letters: &mut DeadLetterBuilder) -> Result<(), Error> {
        let began = Instant::now();
        self.dead_letters.writer.write(&letters.take())?;
        self.encoding += began.elapsed();
        self.dead_letters.hand_on_if(self.file_bytes, &self.left_out, &mut self.emit)
    }

    /// Writes what is left, and hands the last files on. Returns how long it took to make all files.
    pub(crate) fn finish(self, rows: &mut RowBuilder, letters: &mut DeadLetterBuilder) -> Result<Duration, Error> {
        let Self { bronze, dead_letters, mut emit, left_out, encoding, .. } = self;
        let began = Instant::now();
        let batch = rows.take();
        bronze.finish_with(&batch, &left_out, &mut emit)?;
        rows.reuse(batch);
        dead_letters.finish_with(&letters.take(), &left_out, &mut emit)?;
        Ok(encoding + began.elapsed())
    }
}

/// The files of one kind.
struct Files {
    kind: OutputKind,
    schema: SchemaRef,
    event_time: Option<String>,
    part: u32,
    writer: FileWriter,
}

impl Files {
    fn new(kind: OutputKind, schema: SchemaRef, event_time: Option<String>) -> Self {
        let writer = FileWriter::new(SchemaRef::clone(&schema), event_time.as_deref());
        Self { kind, schema, event_time, part: 0, writer }
    }

    /// Passes the current file on if it is at least this long and not empty.
    fn hand_on_if(&mut self, bytes: usize, left_out: &[(usize, LeftOut)], emit: &mut Emit) -> Result<(), Error> {
        if self.writer.bytes() < bytes {
            return Ok(());
        }
        let next = FileWriter::new(SchemaRef::clone(&self.schema), self.event_time.as_deref());
        if let Some(file) = std::mem::replace(&mut self.writer, next).finish()? {
            let left_out = left_out.to_vec();
            emit(Made::File(OutputPart { kind: self.kind, part: self.part, file, left_out }))?;
            self.part += 1;
        }
        Ok(())
    }

    /// Hands the current file on with these last rows, if there is anything in it then.
    fn finish_with(self, last: &RecordBatch, left_out: &[(usize, LeftOut)], emit: &mut Emit) -> Result<(), Error> {
        match self.writer.finish_with(last)? {
            Some(file) => {
                let left_out = left_out.to_vec();
                emit(Made::File(OutputPart { kind: self.kind, part: self.part, file, left_out }))
            }
            None => Ok(()),
        }
    }
}
