//! Finds where rows end, and skips rows that can't be read.
//!
//! Knows quotes, delimiters and line ends, and nothing about the cells. Invariant: where a row ends depends on the text
//! alone, not on the windows in which it is read.

use lake::stream::{CsvSettings, ReadSettings};

use super::lines::{LineEnds, Lines};
use crate::{decode::input::Input, error::Error};

/// Where a row ends.
pub(super) enum RowEnd {
    /// After this many bytes, before its line end.
    At(usize),
    /// Beyond the longest record, or nowhere, because a quote is never closed: see [`skip_row`].
    OutOfReach,
}

/// Searches for a row's end in a window that grows.
pub(super) struct Scan {
    delimiter: u8,
    quote: u8,
    /// How long a row or a quoted cell may be, its end included.
    reach: usize,
    /// How far it has searched.
    at: usize,
    /// Where the last quoted cell begins, if there was one.
    opened: Option<usize>,
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

/// The result of searching a window.
enum Searched {
    /// The row ends after this many bytes.
    End(usize),
    /// The window has no end.
    More,
    /// A quote is not closed within reach.
    Unclosed,
}

impl Scan {
    pub(super) fn new(csv: &CsvSettings, reach: usize) -> Self {
        let (delimiter, quote) = (csv.delimiter as u8, csv.quote as u8);
        Self { delimiter, quote, reach, at: 0, opened: None, state: State::CellBegins }
    }

    /// Whether the row has a quoted cell, and so may have line ends within it.
    pub(super) fn has_quoted(&self) -> bool {
        self.opened.is_some()
    }

    /// Where the row at the input's position ends.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn row_end(&mut self, input: &mut Input<'_>) -> Result<RowEnd, Error> {
        loop {
            let window = input.window();
            let within = &window[..window.len().min(self.reach)];
            match self.search(within) {
                Searched::End(at) => return Ok(RowEnd::At(at)),
                Searched::Unclosed => return Ok(RowEnd::OutOfReach),
                Searched::More if within.len() == self.reach => return Ok(RowEnd::OutOfReach),
                Searched::More if input.is_last() && self.state == State::Quoted => return Ok(RowEnd::OutOfReach),
                Searched::More if input.is_last() => return Ok(RowEnd::At(within.len())),
                Searched::More => input.grow()?,
            }
        }
    }

    fn search(&mut self, window: &[u8]) -> Searched {
        while let Some(byte) = window.get(self.at).copied() {
            match self.state {
                State::CellBegins if byte == self.quote => {
                    self.state = State::Quoted;
                    self.opened = Some(self.at);
                    self.at += 1;
                }
                State::QuoteInQuotes if byte == self.quote => {
                    self.state = State::Quoted;
                    self.at += 1;
                }
                State::CellBegins | State::Plain | State::QuoteInQuotes => {
                    self.state = State::Plain;
                    match memchr::memchr3(self.delimiter, b'\n', b'\r', &window[self.at..]) {
                        Some(found) if window[self.at + found] == self.delimiter => {
                            self.at += found + 1;
                            self.state = State::CellBegins;
                        }
                        Some(found) => return Searched::End(self.at + found),
                        None => self.at = window.len(),
                    }
                }
                State::Quoted => {
                    let until = self.opened.unwrap_or(0).saturating_add(self.reach);
                    if self.at >= until {
                        return Searched::Unclosed;
                    }
                    let until = until.min(window.len());
                    match memchr::memchr(self.quote, &window[self.at..until]) {
                        Some(found) => {
                            self.at += found + 1;
                            self.state = State::QuoteInQuotes;
                        }
                        None => self.at = until,
                    }
                }
            }
        }
        Searched::More
    }

    /// From where on the window must be kept: a quoted cell must be looked at again if it has no end.
    fn needed(&self) -> usize {
        match (self.state, self.opened) {
            (State::Quoted | State::QuoteInQuotes, Some(opened)) => opened,
            _ => self.at,
        }
    }

    /// Forgets this many bytes at the window's start.
    fn pass(&mut self, bytes: usize) {
        self.at -= bytes;
        self.opened = self.opened.map(|opened| opened.saturating_sub(bytes));
    }
}

/// What was skipped of a row.
pub(super) struct Skipped {
    /// Its first bytes, as many as a dead letter keeps, and one more.
    pub(super) kept: Vec<u8>,
    /// Its length.
    pub(super) length: u64,
    kept_max: usize,
    ends: LineEnds,
}

impl Skipped {
    fn new(settings: &ReadSettings) -> Self {
        let kept_max = usize::try_from(settings.raw_bytes_max).unwrap_or(usize::MAX).saturating_add(1);
        Self { kept: Vec::new(), length: 0, kept_max, ends: LineEnds::default() }
    }

    /// Moves past bytes that belong to the row.
    fn take(&mut self, input: &mut Input<'_>, bytes: usize, lines: &mut Lines) {
        let part = &input.window()[..bytes];
        let kept = part.len().min(self.kept_max - self.kept.len());
        self.kept.extend_from_slice(&part[..kept]);
        self.length += bytes as u64;
        lines.pass(part, &mut self.ends);
        input.consume(bytes);
    }
}

/// Moves past a row whose end is out of reach, up to its line end, however far that is. Quotes count; but if one is not
/// closed within reach, the row ends with the line that the quote is in.
///
/// # Errors
/// The store's.
pub(super) fn skip_row(
    input: &mut Input<'_>,
    scan: &mut Scan,
    lines: &mut Lines,
    settings: &ReadSettings,
) -> Result<Skipped, Error> {
    let mut skipped = Skipped::new(settings);
    loop {
        match scan.search(input.window()) {
            Searched::End(end) => {
                skipped.take(input, end, lines);
                return Ok(skipped);
            }
            Searched::More if !input.is_last() => {
                let passed = scan.needed();
                skipped.take(input, passed, lines);
                scan.pass(passed);
                input.grow()?;
            }
            Searched::More if scan.state != State::Quoted => {
                let rest = input.window().len();
                skipped.take(input, rest, lines);
                return Ok(skipped);
            }
            Searched::More | Searched::Unclosed => {
                skipped.take(input, scan.needed(), lines);
                skip_line(input, &mut skipped, lines)?;
                return Ok(skipped);
            }
        }
    }
}

/// Moves to the end of a line, whatever quotes are in it.
fn skip_line(input: &mut Input<'_>, skipped: &mut Skipped, lines: &mut Lines) -> Result<(), Error> {
    loop {
        let (bytes, is_through) = lines.rest_of_line(input.window());
        skipped.take(input, bytes, lines);
        if is_through || input.is_last() {
            return Ok(());
        }
        input.grow()?;
    }
}
