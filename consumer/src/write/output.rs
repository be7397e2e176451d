//! A task's files: rows and dead letters in, Parquet files out, each passed on as soon as it is full.
//!
//! Knows when a file is full, and nothing about stores. Invariant: only the written records decide where a file ends,
//! so every execution of a plan ends its files at the same rows.

use std::time::{Duration, Instant};

use lake::stream::ReadSettings;
use tables::{FileWriter, RecordBatch, RowBuilder, SchemaRef, WrittenFile, dead_letters::DeadLetterBuilder};

use crate::error::Error;

/// Takes each file of a task when it is full. An error ends the execution.
pub type Emit = Box<dyn FnMut(OutputPart) -> Result<(), Error> + Send>;

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
}

pub(crate) struct Output {
    bronze: Files,
    dead_letters: Files,
    /// The length of a full file.
    file_bytes: usize,
    emit: Emit,
    /// How long it took so far to make files of rows, until they were passed on.
    encoding: Duration,
}

impl Output {
    pub(crate) fn new(rows: SchemaRef, letters: SchemaRef, settings: &ReadSettings, emit: Emit) -> Self {
        let bronze = Files::new(OutputKind::Bronze, rows, settings.event_time.clone());
        let dead_letters = Files::new(OutputKind::DeadLetters, letters, None);
        let file_bytes = usize::try_from(settings.file_bytes).unwrap_or(usize::MAX);
        Self { bronze, dead_letters, file_bytes, emit, encoding: Duration::ZERO }
    }

    /// Writes the collected rows.
    pub(crate) fn rows(&mut self, rows: &mut RowBuilder) -> Result<(), Error> {
        let began = Instant::now();
        let batch = rows.take();
        self.bronze.writer.write(&batch)?;
        rows.reuse(batch);
        self.encoding += began.elapsed();
        self.bronze.hand_on_if(self.file_bytes, &mut self.emit)
    }

    /// Writes the collected dead letters.
    pub(crate) fn dead_letters(&mut self, letters: &mut DeadLetterBuilder) -> Result<(), Error> {
        let began = Instant::now();
        self.dead_letters.writer.write(&letters.take())?;
        self.encoding += began.elapsed();
        self.dead_letters.hand_on_if(self.file_bytes, &mut self.emit)
    }

    /// Writes what is left, and hands the last files on. Returns how long it took to make all files.
    pub(crate) fn finish(self, rows: &mut RowBuilder, letters: &mut DeadLetterBuilder) -> Result<Duration, Error> {
        let Self { bronze, dead_letters, mut emit, encoding, .. } = self;
        let began = Instant::now();
        let batch = rows.take();
        bronze.finish_with(&batch, &mut emit)?;
        rows.reuse(batch);
        dead_letters.finish_with(&letters.take(), &mut emit)?;
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
    fn hand_on_if(&mut self, bytes: usize, emit: &mut Emit) -> Result<(), Error> {
        if self.writer.bytes() < bytes {
            return Ok(());
        }
        let next = FileWriter::new(SchemaRef::clone(&self.schema), self.event_time.as_deref());
        if let Some(file) = std::mem::replace(&mut self.writer, next).finish()? {
            emit(OutputPart { kind: self.kind, part: self.part, file })?;
            self.part += 1;
        }
        Ok(())
    }

    /// Hands the current file on with these last rows, if there is anything in it then.
    fn finish_with(self, last: &RecordBatch, emit: &mut Emit) -> Result<(), Error> {
        match self.writer.finish_with(last)? {
            Some(file) => emit(OutputPart { kind: self.kind, part: self.part, file }),
            None => Ok(()),
        }
    }
}
