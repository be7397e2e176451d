//! Cuts a text into CSV rows (RFC 4180), and a row into cells.
//!
//! Lenient where files in the wild are: a quote within a cell that does not begin with one is only a character, and a row may
//! end with `\n` or `\r\n`. Strict where leniency would guess. Knows no schema. Invariant: a quote that is never closed
//! costs its line and no other.

mod fields;

use std::borrow::Cow;

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::{CsvSettings, ReadSettings},
};

use super::{
    framed::{Framed, reach_of, skip_long, too_long},
    input::Input,
    not_utf8,
};
use crate::error::Error;

pub use fields::CellTypes;
pub(crate) use fields::Header;

/// `\r\n`
const LINE_END_BYTES: usize = 2;

/// A cell of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// What it says, without the quotes around it.
    pub text: Cow<'a, str>,
    /// Whether it stands in quotes, and so is a text even where it looks like no value.
    pub is_quoted: bool,
}

/// Hands each row that is not blank to `each`, in order, the first one included, with the line that it begins in, from 1.
///
/// # Errors
/// The store's, or those of `each`.
pub(crate) fn rows(
    input: &mut Input<'_>,
    settings: &ReadSettings,
    each: &mut dyn FnMut(u64, Framed<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut index, mut line) = (0, 1);
    loop {
        line += skip_line_ends(input)?;
        if input.window().is_empty() {
            return Ok(());
        }
        let offset = input.offset();
        match row_end(input, settings)? {
            RowEnd::At(length) => {
                let row = &input.window()[..length];
                let raw = row.strip_suffix(b"\r").unwrap_or(row);
                let bytes = raw.len() as u64;
                let fault = (bytes > settings.record_bytes_max).then(|| too_long(bytes, settings));
                each(line, Framed { index, offset, raw, length: bytes, fault })?;
                line += memchr::memchr_iter(b'\n', row).count() as u64;
                input.consume(length);
            }
            RowEnd::Unclosed(length) => {
                let line_read = &input.window()[..length];
                let raw = line_read.strip_suffix(b"\r").unwrap_or(line_read);
                let what = "a quote that is opened there is never closed";
                let fault = Some(Fault::new(Reason::CorruptedRecord, ErrorCode::Truncated, what));
                each(line, Framed { index, offset, raw, length: raw.len() as u64, fault })?;
                input.consume(length);
            }
            RowEnd::TooFar => {
                let known = reach_of(settings, LINE_END_BYTES);
                let lines = memchr::memchr_iter(b'\n', &input.window()[..known]).count() as u64;
                let (raw, length) = skip_long(input, known, settings)?;
                let fault = Some(too_long(length, settings));
                each(line, Framed { index, offset, raw: &raw, length, fault })?;
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
pub(crate) fn read_row<'w>(
    row: &Framed<'w>,
    header: &Header,
    settings: &ReadSettings,
    into: &mut Vec<Cell<'w>>,
) -> Result<(), Fault> {
    let text = std::str::from_utf8(row.raw).map_err(|error| not_utf8(Reason::CorruptedRecord, "row", error))?;
    cells(text, &settings.csv, into).map_err(|what| Fault::new(Reason::CorruptedRecord, ErrorCode::NotCsv, what))?;
    if into.len() == header.names.len() {
        return Ok(());
    }
    let what = format!("the row has {} cells; the first row names {} fields", into.len(), header.names.len());
    Err(Fault::new(Reason::CorruptedRecord, ErrorCode::RaggedRow, what))
}

/// A row's fault, with the line that the row begins in.
pub(crate) fn in_line(line: u64, fault: Fault) -> Fault {
    let message = format!("line {line}: {}", fault.message);
    Fault { message, ..fault }
}

/// Moves on to the next byte that ends no line, and counts the line ends before it.
fn skip_line_ends(input: &mut Input<'_>) -> Result<u64, Error> {
    let mut lines = 0;
    loop {
        // A carriage return that ends the window may belong to a line end that is not there yet.
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
    /// Nowhere: a quote is not closed within reach. Its first line ends after this many bytes.
    Unclosed(usize),
    /// Beyond the longest record.
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

/// Looks for a row's end in a window that grows.
struct Scan {
    delimiter: u8,
    quote: u8,
    /// How far it has looked.
    at: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    CellBegins,
    Plain,
    Quoted,
    /// Behind a quote within quotes: a second one belongs to the text, anything else is behind the cell.
    QuoteInQuotes,
}

impl Scan {
    fn new(csv: &CsvSettings) -> Self {
        Self { delimiter: csv.delimiter as u8, quote: csv.quote as u8, at: 0, state: State::CellBegins }
    }

    fn is_within_quotes(&self) -> bool {
        self.state == State::Quoted
    }

    /// The line end that ends the row, where it is within the window.
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
/// What is wrong, where something other than a delimiter follows a cell in quotes.
pub(crate) fn cells<'a>(row: &'a str, csv: &CsvSettings, cells: &mut Vec<Cell<'a>>) -> Result<(), &'static str> {
    let (delimiter, quote) = (csv.delimiter as u8, csv.quote as u8);
    let mut rest = row;
    loop {
        let (cell, behind) = match rest.as_bytes().first() {
            Some(first) if *first == quote => quoted(rest, quote)?,
            _ => {
                let end = memchr::memchr(delimiter, rest.as_bytes()).unwrap_or(rest.len());
                (Cell { text: Cow::Borrowed(&rest[..end]), is_quoted: false }, &rest[end..])
            }
        };
        cells.push(cell);
        match behind.as_bytes().first() {
            None => return Ok(()),
            Some(next) if *next == delimiter => rest = &behind[1..],
            Some(_) => return Err("something other than a delimiter follows the quote that closes a cell"),
        }
    }
}

/// The cell in quotes that `text` begins with, and what is behind it.
fn quoted(text: &str, quote: u8) -> Result<(Cell<'_>, &str), &'static str> {
    let inner = &text[1..];
    let mut at = 0;
    let mut doubled = false;
    loop {
        let Some(found) = memchr::memchr(quote, &inner.as_bytes()[at..]) else {
            return Err("a quote that is opened there is never closed");
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
