//! One object read by the compiled enforcer, whole or not at all.
//!
//! Whether an array is JSON to its end shows at its end: until then its rows can be taken back, and its dead letters
//! wait. A large one is looked through first instead, so that what it gives need not wait in memory.

use lake::{
    dead_letter::Fault,
    ledger::{Outcome, PlannedObject},
    stream::{Format, ReadSettings},
};

use super::{Execution, ObjectResult};
use crate::{
    compiled::{Compiled, Left, Records, is_array},
    dead_letters::DeadLetter,
    decode,
    error::Error,
    rows::{Origin, RowBuilder},
};

/// Arrays larger than this are looked through before they are read.
const AT_ONCE_BYTES_MAX: usize = 32 << 20;

impl Execution {
    /// Reads an object by the compiled enforcer; `None`, with nothing taken over, where the object is not what it reads.
    pub(super) fn compiled_object(
        &mut self,
        object: &PlannedObject,
        bytes: &[u8],
    ) -> Result<Option<ObjectResult>, Error> {
        let context = std::sync::Arc::clone(&self.context);
        let Some(compiled) = &context.compiled else { return Ok(None) };
        let (mark, bytes) = match bytes.strip_prefix(b"\xef\xbb\xbf") {
            Some(text) => (3, text),
            None => (0, bytes),
        };
        let is_empty = bytes.is_empty() || bytes.len() as u64 > context.read.object_bytes_max;
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| !is_empty) else { return Ok(None) };
        let at_once = bytes.len() <= AT_ONCE_BYTES_MAX;
        if context.read.format == Format::JsonArray && !at_once && !is_array(text) {
            return Ok(None);
        }
        let key = object.key.to_string();
        let rows_before = self.rows.len();
        let mut reading = Reading::new(self, &key, &object.etag, &context.read);
        reading.waits = context.read.format == Format::JsonArray && at_once;
        let is_read = reading.read(compiled, text, mark)?;
        if is_read {
            return reading.finish().map(Some);
        }
        self.rows.truncate(rows_before);
        Ok(None)
    }
}

/// What one object has given so far.
struct Reading<'e, 'a> {
    execution: &'e mut Execution,
    key: &'a str,
    etag: &'a str,
    settings: &'a ReadSettings,
    /// Dead letters that wait for the end of the object.
    letters: Vec<(Fault, Left<'a>)>,
    waits: bool,
    records: u64,
    dead_letters: u64,
}

impl<'e, 'a> Reading<'e, 'a> {
    fn new(execution: &'e mut Execution, key: &'a str, etag: &'a str, settings: &'a ReadSettings) -> Self {
        Self { execution, key, etag, settings, letters: Vec::new(), waits: false, records: 0, dead_letters: 0 }
    }

    fn read(&mut self, compiled: &Compiled, text: &'a str, mark: u64) -> Result<bool, Error> {
        match self.settings.format {
            Format::JsonArray => compiled.array(text, mark, self.settings, self),
            Format::Ndjson => compiled.lines(text, mark, self.settings, self).map(|()| true),
        }
    }

    fn finish(mut self) -> Result<ObjectResult, Error> {
        self.hand_on()?;
        let (rows, dead_letters) = (self.records - self.dead_letters, self.dead_letters);
        Ok(ObjectResult { outcome: Outcome::Ingested, rows, dead_letters, content: None })
    }

    /// Hands the dead letters on that have waited, and rows if many have come together.
    fn hand_on(&mut self) -> Result<(), Error> {
        let (key, etag) = (self.key, self.etag);
        for (fault, Left { index, offset, raw }) in self.letters.drain(..) {
            let (index, length) = (Some(index), raw.len() as u64);
            self.execution.letters.append(&DeadLetter { fault: &fault, raw, key, etag, index, offset, length });
        }
        self.execution.flush()
    }
}

impl<'a> Records<'a> for Reading<'_, 'a> {
    type Error = Error;

    fn rows(&mut self) -> (&mut RowBuilder, &str, &str) {
        (&mut self.execution.rows, self.key, self.etag)
    }

    fn left(&mut self, left: Left<'a>) -> Result<(), Error> {
        let Left { index, offset, raw } = left;
        let origin = Origin { key: self.key, etag: self.etag, index };
        if let Err(fault) = self.execution.judge(decode::record(index, offset, raw, self.settings), origin) {
            self.dead_letters += 1;
            self.letters.push((fault, left));
        }
        Ok(())
    }

    fn record_done(&mut self) -> Result<(), Error> {
        self.records += 1;
        if self.waits { Ok(()) } else { self.hand_on() }
    }
}
