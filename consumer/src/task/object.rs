//! One object of a task: its text opened, its records read as its format says.
//!
//! Each record goes to the compiled enforcer first, and to parser and judge where that is in doubt.

use std::sync::Arc;

use lake::{
    dead_letter::Fault,
    ledger::{Outcome, PlannedObject},
    stream::Format,
};
use serde_json::Value;

use super::{Execution, ObjectResult, TaskContext, array};
use crate::{
    compiled::CellPlaces,
    dead_letters::DeadLetter,
    decode::{
        self, Framed, Input, Opened, Source, Text,
        csv::{self, Header},
        ndjson,
    },
    error::Error,
    failpoint,
};

impl Execution {
    /// Reads an object that is there.
    pub(super) fn readable_object(&mut self, object: &PlannedObject, source: &Source) -> Result<ObjectResult, Error> {
        let context = Arc::clone(&self.context);
        let Opened { text, content } = decode::open(source, object.size, &context.read, &self.progress)?;
        // What a dead letter of the whole object keeps of it.
        let raw = if let Source::Whole(bytes) = source { bytes.as_ref() } else { &[] };
        let read = match text {
            Ok(text) => self.records(object, text)?,
            Err(fault) => Err(fault),
        };
        let result = read.unwrap_or_else(|fault| self.corrupt_object(object, raw, &fault));
        Ok(ObjectResult { content: content.map(|content| content.id()), ..result })
    }

    /// Reads a text's records; what is wrong with the object as a whole, where none can be read.
    fn records(&mut self, object: &PlannedObject, text: Text<'_>) -> Result<Result<ObjectResult, Fault>, Error> {
        let context = Arc::clone(&self.context);
        let mut input = Input::new(text, &self.progress);
        input.reach(4)?;
        if input.window().is_empty() {
            return Ok(Err(decode::empty_object()));
        }
        match decode::skip_mark(input.window()) {
            Ok(mark) => input.consume(mark),
            Err(fault) => return Ok(Err(fault)),
        }
        let key = object.key.to_string();
        self.rows.begin_object(&key, &object.etag);
        if context.read.format == Format::JsonArray {
            return array::read(self, &key, &object.etag, &mut input);
        }
        let mut reading =
            Reading { execution: self, context: &context, key: &key, etag: &object.etag, rows: 0, dead_letters: 0 };
        if context.read.format == Format::Ndjson {
            ndjson::lines(&mut input, &context.read, &mut |line| reading.line(line))?;
        } else if let Err(fault) = reading.table(&mut input)? {
            return Ok(Err(fault));
        }
        let (rows, dead_letters) = (reading.rows, reading.dead_letters);
        Ok(Ok(ObjectResult { outcome: Outcome::Ingested, rows, dead_letters, content: None }))
    }

    /// Makes a row of a record's value, or tells its fault.
    pub(super) fn judge(&mut self, value: Result<Value, Fault>, index: u64, raw_bytes: usize) -> Result<(), Fault> {
        let value = value?;
        failpoint::judge_as_other_version(&value)?;
        match &self.context.compiled {
            Some(_) => self.context.enforcer.enforce_doubtful(&value)?,
            None => self.context.enforcer.enforce(&value)?,
        }
        self.rows.append(&value, index, raw_bytes)
    }
}

/// One object whose records are cut out of its text one by one.
struct Reading<'a> {
    execution: &'a mut Execution,
    context: &'a TaskContext,
    key: &'a str,
    etag: &'a str,
    rows: u64,
    dead_letters: u64,
}

impl Reading<'_> {
    /// Reads a line of NDJSON.
    fn line(&mut self, mut line: Framed<'_>) -> Result<(), Error> {
        let settings = &self.context.read;
        let compiled = self.context.compiled.as_ref().filter(|_| line.fault.is_none());
        let text = compiled.and_then(|compiled| Some((compiled, std::str::from_utf8(line.raw).ok()?)));
        let is_row =
            text.is_some_and(|(compiled, text)| compiled.record(text, line.index, settings, &mut self.execution.rows));
        if is_row {
            self.rows += 1;
            return self.execution.flush();
        }
        let value = line.fault.take().map_or_else(|| decode::value(line.raw, settings), Err);
        let judged = self.execution.judge(value, line.index, line.raw.len());
        self.judged(judged, &line)
    }

    /// Reads the rows of a CSV object; what is wrong with it as a whole where its first row names no fields.
    fn table(&mut self, input: &mut Input<'_>) -> Result<Result<(), Fault>, Error> {
        let context = self.context;
        let mut header: Option<Result<(Header, Option<CellPlaces>), Fault>> = None;
        csv::rows(input, &context.read, &mut |line, row| match &header {
            Some(Ok((header, places))) => self.row(header, places.as_ref(), line, row),
            // What follows can't be read, and is none of the reader's errors.
            Some(Err(_)) => Ok(()),
            None => {
                let read = Header::read(&row, line, &context.cells, &context.read);
                let places = |header: &Header| context.compiled.as_ref().map(|compiled| compiled.places(&header.names));
                header = Some(read.map(|header| {
                    let places = places(&header);
                    (header, places)
                }));
                Ok(())
            }
        })?;
        Ok(header.unwrap_or_else(|| Err(decode::empty_object())).map(drop))
    }

    fn row(
        &mut self,
        header: &Header,
        places: Option<&CellPlaces>,
        line: u64,
        mut row: Framed<'_>,
    ) -> Result<(), Error> {
        let settings = &self.context.read;
        // The row of names is no record.
        row.index -= 1;
        let mut cells = Vec::with_capacity(header.names.len());
        if row.fault.is_none() {
            row.fault = csv::read_row(&row, header, settings, &mut cells).err();
        }
        if let (None, Some(places), Some(compiled)) = (&row.fault, places, &self.context.compiled)
            && compiled.cells(places, &cells, row.raw.len(), row.index, settings, &mut self.execution.rows)
        {
            self.rows += 1;
            return self.execution.flush();
        }
        let value = row.fault.take().map_or_else(|| header.record(&cells, settings), Err);
        let judged = self.execution.judge(value, row.index, row.raw.len());
        self.judged(judged.map_err(|fault| csv::in_line(line, fault)), &row)
    }

    fn judged(&mut self, judged: Result<(), Fault>, framed: &Framed<'_>) -> Result<(), Error> {
        match judged {
            Ok(()) => self.rows += 1,
            Err(fault) => {
                self.dead_letters += 1;
                let Framed { index, offset, raw, length, .. } = *framed;
                let (fault, key, etag, index) = (&fault, self.key, self.etag, Some(index));
                self.execution.letters.append(&DeadLetter { fault, raw, key, etag, index, offset, length });
            }
        }
        self.execution.flush()
    }
}
