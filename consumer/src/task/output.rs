//! A task's files: rows and dead letters in, Parquet files out, each handed on as soon as it is full.
//!
//! Knows when a file is full and nothing of stores. Invariant: where a file ends follows from what was written alone, so that
//! every execution of a plan ends its files at the same rows.

use arrow::datatypes::SchemaRef;
use lake::stream::ReadSettings;

use super::Emit;
use crate::{
    dead_letters::DeadLetterBuilder,
    error::Error,
    parquet_file::{FileWriter, WrittenFile},
    rows::RowBuilder,
};

/// What a file holds.
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
    /// What it holds.
    pub kind: OutputKind,
    /// Which of the task's files of this kind it is, from 0.
    pub part: u32,
    /// The file.
    pub file: WrittenFile,
}

pub(super) struct Output {
    bronze: Files,
    dead_letters: Files,
    /// How long a full file is.
    file_bytes: usize,
    emit: Emit,
}

impl Output {
    pub(super) fn new(rows: SchemaRef, letters: SchemaRef, settings: &ReadSettings, emit: Emit) -> Self {
        let bronze = Files::new(OutputKind::Bronze, rows, settings.event_time.clone());
        let dead_letters = Files::new(OutputKind::DeadLetters, letters, None);
        let file_bytes = usize::try_from(settings.file_bytes).unwrap_or(usize::MAX);
        Self { bronze, dead_letters, file_bytes, emit }
    }

    /// Writes the rows that have come together.
    pub(super) fn rows(&mut self, rows: &mut RowBuilder) -> Result<(), Error> {
        let batch = rows.take();
        self.bronze.writer.write(&batch)?;
        rows.reuse(batch);
        self.bronze.hand_on_if(self.file_bytes, &mut self.emit)
    }

    /// Writes the dead letters that have come together.
    pub(super) fn dead_letters(&mut self, letters: &mut DeadLetterBuilder) -> Result<(), Error> {
        self.dead_letters.writer.write(&letters.take())?;
        self.dead_letters.hand_on_if(self.file_bytes, &mut self.emit)
    }

    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.bronze.hand_on_if(0, &mut self.emit)?;
        self.dead_letters.hand_on_if(0, &mut self.emit)
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

    /// Hands the file in hand on where it is at least this long, if there is anything in it.
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
}
