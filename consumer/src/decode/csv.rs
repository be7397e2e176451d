//! Feeds the rows of a CSV text (RFC 4180), each cut into cells.
//!
//! Lenient where real files are: a row may end with `\n`, `\r\n` or `\r`, and one quote in the middle of an unquoted cell
//! is an ordinary character. Strict where leniency would guess. Knows no schema. Invariant: a quote that is never closed
//! costs its own line and no other, and no part of a bad row is read as another row.

mod fields;
mod header;
mod lines;
mod scan;

use std::borrow::Cow;

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::{CsvQuotes, CsvSettings, ReadSettings},
};

use super::{
    Content, Record, RecordSink, blank_object,
    input::Input,
    looks, not_utf8,
    record::{reach_of, too_long},
};
use crate::error::Error;

pub(crate) use fields::CellTypes;
pub(crate) use header::Header;
use lines::{LineEnds, Lines};
use scan::{RowEnd, Scan, skip_row};

/// The fault of a cell whose quote is never closed.
const NEVER_CLOSED: &str = "a quote is opened and never closed";

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
    let other = looks::other_than_csv(input.window());
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
            header = Some(read.map_err(|fault| other.clone().unwrap_or(fault)));
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
    // A row's end must be within reach, too.
    let reach = reach_of(settings, 1);
    let (mut index, mut lines) = (0, Lines::new());
    loop {
        lines.skip_ends(input)?;
        if input.window().is_empty() {
            return Ok(());
        }
        let (offset, line) = (input.offset(), lines.number());
        let mut scan = Scan::new(&settings.csv, reach);
        match scan.row_end(input)? {
            RowEnd::At(end) => {
                let raw = &input.window()[..end];
                if scan.has_quoted() {
                    lines.pass(raw, &mut LineEnds::default());
                }
                each(Row { index, line, offset, length: end as u64, raw, fault: None })?;
                input.consume(end);
            }
            RowEnd::OutOfReach => {
                let skipped = skip_row(input, &mut scan, &mut lines, settings)?;
                let (raw, length) = (skipped.kept.as_slice(), skipped.length);
                let fault = if length > settings.record_bytes_max {
                    too_long(length, settings)
                } else {
                    Fault::new(Reason::CorruptedRecord, ErrorCode::Truncated, NEVER_CLOSED)
                };
                each(Row { index, line, offset, length, raw, fault: Some(fault) })?;
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

/// Cuts a row into its cells.
///
/// # Errors
/// What is wrong, if something other than a delimiter follows a quoted cell, or an unquoted cell has quotes that
/// `csv.quotes` does not allow.
pub(crate) fn cells<'a>(row: &'a str, csv: &CsvSettings, cells: &mut Vec<Cell<'a>>) -> Result<(), &'static str> {
    let (delimiter, quote) = (csv.delimiter as u8, csv.quote as u8);
    let mut rest = row;
    loop {
        let (cell, after) = match rest.as_bytes().first() {
            Some(first) if *first == quote => quoted(rest, quote)?,
            _ => {
                let end = match memchr::memchr2(delimiter, quote, rest.as_bytes()) {
                    Some(at) if rest.as_bytes()[at] == quote => end_of_cell_with_quotes(rest, csv)?,
                    found => found.unwrap_or(rest.len()),
                };
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

/// Where the unquoted cell that `rest` begins with ends; it has a quote in it.
fn end_of_cell_with_quotes(rest: &str, csv: &CsvSettings) -> Result<usize, &'static str> {
    let end = memchr::memchr(csv.delimiter as u8, rest.as_bytes()).unwrap_or(rest.len());
    match csv.quotes {
        CsvQuotes::Lenient => Ok(end),
        CsvQuotes::Usual if !may_hide_delimiter(&rest[..end], csv.quote) => Ok(end),
        CsvQuotes::Usual => {
            Err("an unquoted cell has a quote where a delimiter may be lost; csv.quotes = \"lenient\" allows it")
        }
        CsvQuotes::Strict => Err("an unquoted cell has a quote, which csv.quotes = \"strict\" does not allow"),
    }
}

/// Whether an unquoted cell can be what is left of a quoted one whose delimiter, or whose first quote, was lost: it ends
/// with a quote, as quoted cells do, or one quote may begin a quoted part and another one end it. Quotes in pairs do
/// neither.
fn may_hide_delimiter(cell: &str, quote: char) -> bool {
    let mut single = 0;
    let mut rest = cell;
    while let Some(at) = rest.find(quote) {
        let after = rest[at..].trim_start_matches(quote);
        single += (rest.len() - at - after.len()) % 2;
        rest = after;
    }
    single > 1 || cell.ends_with(quote)
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
