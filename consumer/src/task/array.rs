//! A JSON array of a task, read whole or not at all.
//!
//! Whether an array is JSON to its end shows at its end: until then its rows can be taken back, and its dead letters
//! wait. A large one is looked through first instead, so that what it gives need not wait in memory.

use std::sync::Arc;

use lake::{dead_letter::Fault, ledger::Outcome, stream::ReadSettings};

use super::{Execution, ObjectResult};
use crate::{
    compiled::{Compiled, Left, Records, is_array},
    dead_letters::DeadLetter,
    decode::{self, Input},
    error::Error,
    rows::RowBuilder,
};

/// Arrays larger than this are looked through before they are read.
const AT_ONCE_BYTES_MAX: usize = 32 << 20;

/// Reads an array; the fault of the object where it is none.
pub(super) fn read(
    execution: &mut Execution,
    key: &str,
    etag: &str,
    input: &mut Input<'_>,
) -> Result<Result<ObjectResult, Fault>, Error> {
    input.reach(usize::MAX)?;
    let (bytes, mark) = (input.window(), input.offset());
    let context = Arc::clone(&execution.context);
    let mut reading = Reading::new(execution, key, etag, &context.read);
    if let (Some(compiled), Ok(text)) = (&context.compiled, simdutf8::basic::from_utf8(bytes))
        && reading.compiled(compiled, text, mark)?
    {
        return reading.finish().map(Ok);
    }
    let elements = match decode::elements(bytes) {
        Ok(elements) => elements,
        Err(fault) => return Ok(Err(fault)),
    };
    for (index, (at, element)) in elements.enumerate() {
        reading.left(Left { index: index as u64, offset: mark + at as u64, raw: element.as_bytes() })?;
        reading.record_done()?;
    }
    reading.finish().map(Ok)
}

/// What one array has given so far.
struct Reading<'e, 'a> {
    execution: &'e mut Execution,
    key: &'a str,
    etag: &'a str,
    settings: &'a ReadSettings,
    /// Dead letters that wait for the end of the array.
    letters: Vec<(Fault, Left<'a>)>,
    waits: bool,
    records: u64,
    dead_letters: u64,
}

impl<'e, 'a> Reading<'e, 'a> {
    fn new(execution: &'e mut Execution, key: &'a str, etag: &'a str, settings: &'a ReadSettings) -> Self {
        Self { execution, key, etag, settings, letters: Vec::new(), waits: false, records: 0, dead_letters: 0 }
    }

    /// Whether the compiled enforcer read the array to its end; if not, nothing was taken over.
    fn compiled(&mut self, compiled: &Compiled, text: &'a str, mark: u64) -> Result<bool, Error> {
        let at_once = text.len() <= AT_ONCE_BYTES_MAX;
        if !at_once && !is_array(text) {
            return Ok(false);
        }
        let rows_before = self.execution.rows.len();
        self.waits = at_once;
        let is_read = compiled.array(text, mark, self.settings, self)?;
        if !is_read {
            self.execution.rows.truncate(rows_before);
            self.letters.clear();
            (self.records, self.dead_letters) = (0, 0);
        }
        self.waits = false;
        Ok(is_read)
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

    fn rows(&mut self) -> &mut RowBuilder {
        &mut self.execution.rows
    }

    fn left(&mut self, left: Left<'a>) -> Result<(), Error> {
        let value = decode::value(left.raw, self.settings);
        if let Err(fault) = self.execution.judge(value, left.index, left.raw.len()) {
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
