//! Feeds the rows of a CSV text (RFC 4180), each cut into cells.
//!
//! Lenient where real files are: a quote within a cell that does not begin with one is an ordinary character, and a row
//! may end with `\n` or `\r\n`. Strict where leniency would guess. Knows no schema. Invariant: a quote that is never
//! closed costs its own line and no other.

mod fields;

use std::borrow::Cow;

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::{CsvSettings, ReadSettings},
};

use super::{
    Content, Record, RecordSink, blank_object,
    input::Input,
    not_utf8,
    record::{reach_of, skip_long, too_long},
};
use crate::error::Error;

pub(crate) use fields::{CellTypes, Header};

/// The fault of a cell whose quote is never closed.
const NEVER_CLOSED: &str = "a quote is opened and never closed";

/// `\r\n`
const LINE_END_BYTES: usize = 2;

/// A cell of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell<'a> {
    /// Its text, without the quotes around it.
    pub(crate) text: Cow<'a, str>,
    /// Whether it is in quotes, and so is text even if it looks like null.
    pub(crate) is_quoted: bool,
}

/// Passes each row that is not blank, except the header, to `sink`. Returns the fault of the object if its first row
/// names no fields.
///
/// # Errors
/// The store's, or those of `sink`.
pub(crate) fn feed<S: RecordSink>(
    input: &mut Input<'_>,
    settings: &ReadSettings,
    types: &CellTypes,
    sink: &mut S,
) -> Result<Result<(), Fault>, Error> {
    let mut header: Option<Result<Header, Fault>> = None;
    rows(input, settings, &mut |row| match &header {
        Some(Ok(header)) => row.feed(header, settings, sink),
        // The header can't be read. That is not a store error.
        Some(Err(_)) => Ok(()),
        None => {
            let read = Header::read(&row, types, settings);
            if let Ok(header) = &read {
                sink.header(&header.names);
            }
            header = Some(read);
            Ok(())
        }
    })?;
    Ok(header.unwrap_or_else(|| Err(blank_object())).map(drop))
}

/// A row's bytes and place, the header included.
pub(super) struct Row<'w> {
    index: u64,
    line: u64,
    offset: u64,
    length: u64,
    raw: &'w [u8],
    /// Why it can't be read, if its bounds alone show that.
    fault: Option<Fault>,
}

impl Row<'_> {
    fn feed<S: RecordSink>(self, header: &Header, settings: &ReadSettings, sink: &mut S) -> Result<(), Error> {
        let Self { index, line, offset, length, raw, fault } = self;
        let mut cells = Vec::with_capacity(header.names.len());
        let fault = fault.or_else(|| read_row(raw, header, settings, &mut cells).err());
        let content = match fault {
            Some(fault) => Content::Fault(fault),
            None => Content::Cells(header, &cells),
        };
        // The header is not a record.
        sink.record(&Record { index: index - 1, offset, length, raw, line: Some(line), content })
    }
}

/// Passes each row that is not blank to `each`, in order.
///
/// # Errors
/// The store's, or those of `each`.
fn rows(
    input: &mut Input<'_>,
    settings: &ReadSettings,
    each: &mut dyn FnMut(Row<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut index, mut line) = (0, 1);
    loop {
        line += skip_line_ends(input)?;
        if input.window().is_empty() {
            return Ok(());
        }
        let offset = input.offset();
        match row_end(input, settings)? {
            RowEnd::At(end) => {
                let row = &input.window()[..end];
                let raw = row.strip_suffix(b"\r").unwrap_or(row);
                let length = raw.len() as u64;
                let fault = (length > settings.record_bytes_max).then(|| too_long(length, settings));
                each(Row { index, line, offset, length, raw, fault })?;
                line += memchr::memchr_iter(b'\n', row).count() as u64;
                input.consume(end);
            }
            RowEnd::Unclosed(end) => {
                let line_read = &input.window()[..end];
                let raw = line_read.strip_suffix(b"\r").unwrap_or(line_read);
                let fault = Some(Fault::new(Reason::CorruptedRecord, ErrorCode::Truncated, NEVER_CLOSED));
                each(Row { index, line, offset, length: raw.len() as u64, raw, fault })?;
                input.consume(end);
            }
            RowEnd::TooFar => {
                let known = reach_of(settings, LINE_END_BYTES);
                let lines = memchr::memchr_iter(b'\n', &input.window()[..known]).count() as u64;
                let (raw, length) = skip_long(input, known, settings)?;
                let fault = Some(too_long(length, settings));
                each(Row { index, line, offset, length, raw: &raw, fault })?;
                line += lines;
            }
        }
        index += 1;
    }
}

/// Cuts a row into as many cells as there are names.
///
/// # Errors
/// The record's fault.
fn read_row<'w>(
    raw: &'w [u8],
    header: &Header,
    settings: &ReadSettings,
    into: &mut Vec<Cell<'w>>,
) -> Result<(), Fault> {
    let text = std::str::from_utf8(raw).map_err(|error| not_utf8(Reason::CorruptedRecord, "row", error))?;
    cells(text, &settings.csv, into).map_err(|what| Fault::new(Reason::CorruptedRecord, ErrorCode::NotCsv, what))?;
    if into.len() == header.names.len() {
        return Ok(());
    }
    let what = format!("the row has {} cells; the header has {} names", into.len(), header.names.len());
    Err(Fault::new(Reason::CorruptedRecord, ErrorCode::RaggedRow, what))
}

/// Moves to the next byte that is not a line end, and counts the line ends before it.
fn skip_line_ends(input: &mut Input<'_>) -> Result<u64, Error> {
    let mut lines = 0;
    loop {
        // A carriage return at the end of the window may belong to a line end that is not read yet.
        input.reach(2)?;
        let ends = match input.window() {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return Ok(lines),
        };
        lines += 1;
        input.consume(ends);
    }
}

/// Where a row ends.
enum RowEnd {
    /// After this many bytes, before its line end.
    At(usize),
    /// Nowhere: a quote is not closed within reach. The first line ends after this many bytes.
    Unclosed(usize),
    /// After the longest record that is allowed.
    TooFar,
}

fn row_end(input: &mut Input<'_>, settings: &ReadSettings) -> Result<RowEnd, Error> {
    let reach = reach_of(settings, LINE_END_BYTES);
    let mut scan = Scan::new(&settings.csv);
    loop {
        let window = input.window();
        let within = &window[..window.len().min(reach)];
        if let Some(at) = scan.line_end(within) {
            return Ok(RowEnd::At(at));
        }
        let is_end = within.len() < window.len() || within.len() == reach;
        if !is_end && !input.is_last() {
            input.grow()?;
            continue;
        }
        if scan.is_within_quotes() {
            return Ok(RowEnd::Unclosed(memchr::memchr(b'\n', within).unwrap_or(within.len())));
        }
        return Ok(if is_end { RowEnd::TooFar } else { RowEnd::At(within.len()) });
    }
}

/// Searches for a row's end in a window that grows.
struct Scan {
    delimiter: u8,
    quote: u8,
    /// How far it has searched.
    at: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    CellBegins,
    Plain,
    Quoted,
    /// After a quote within quotes: a second quote belongs to the text, anything else follows the cell.
    QuoteInQuotes,
}

impl Scan {
    fn new(csv: &CsvSettings) -> Self {
        Self { delimiter: csv.delimiter as u8, quote: csv.quote as u8, at: 0, state: State::CellBegins }
    }

    fn is_within_quotes(&self) -> bool {
        self.state == State::Quoted
    }

    /// The line end that ends the row, if it is within the window.
    fn line_end(&mut self, window: &[u8]) -> Option<usize> {
        while let Some(byte) = window.get(self.at).copied() {
            match self.state {
                State::CellBegins if byte == self.quote => {
                    self.state = State::Quoted;
                    self.at += 1;
                }
                State::QuoteInQuotes if byte == self.quote => {
                    self.state = State::Quoted;
                    self.at += 1;
                }
                State::CellBegins | State::Plain | State::QuoteInQuotes => {
                    self.state = State::Plain;
                    match memchr::memchr2(self.delimiter, b'\n', &window[self.at..]) {
                        Some(found) if window[self.at + found] == b'\n' => return Some(self.at + found),
                        Some(found) => {
                            self.at += found + 1;
                            self.state = State::CellBegins;
                        }
                        None => self.at = window.len(),
                    }
                }
                State::Quoted => match memchr::memchr(self.quote, &window[self.at..]) {
                    Some(found) => {
                        self.at += found + 1;
                        self.state = State::QuoteInQuotes;
                    }
                    None => self.at = window.len(),
                },
            }
        }
        None
    }
}

/// Cuts a row into its cells.
///
/// # Errors
/// What is wrong, if something other than a delimiter follows a quoted cell.
pub(crate) fn cells<'a>(row: &'a str, csv: &CsvSettings, cells: &mut Vec<Cell<'a>>) -> Result<(), &'static str> {
    let (delimiter, quote) = (csv.delimiter as u8, csv.quote as u8);
    let mut rest = row;
    loop {
        let (cell, after) = match rest.as_bytes().first() {
            Some(first) if *first == quote => quoted(rest, quote)?,
            _ => {
                let end = memchr::memchr(delimiter, rest.as_bytes()).unwrap_or(rest.len());
                (Cell { text: Cow::Borrowed(&rest[..end]), is_quoted: false }, &rest[end..])
            }
        };
        cells.push(cell);
        match after.as_bytes().first() {
            None => return Ok(()),
            Some(next) if *next == delimiter => rest = &after[1..],
            Some(_) => return Err("something other than a delimiter follows the quote that closes a cell"),
        }
    }
}

/// The quoted cell that `text` begins with, and what follows it.
fn quoted(text: &str, quote: u8) -> Result<(Cell<'_>, &str), &'static str> {
    let inner = &text[1..];
    let mut at = 0;
    let mut doubled = false;
    loop {
        let Some(found) = memchr::memchr(quote, &inner.as_bytes()[at..]) else {
            return Err(NEVER_CLOSED);
        };
        at += found + 1;
        if inner.as_bytes().get(at) != Some(&quote) {
            break;
        }
        doubled = true;
        at += 1;
    }
    let text = &inner[..at - 1];
    let text = if doubled {
        let quote = char::from(quote).to_string();
        Cow::Owned(text.replace(&quote.repeat(2), &quote))
    } else {
        Cow::Borrowed(text)
    };
    Ok((Cell { text, is_quoted: true }, &inner[at..]))
}
