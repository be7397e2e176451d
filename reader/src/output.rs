//! How results are written: the formats, and what they share.
//!
//! Knows texts and nothing about DuckDB. Invariant: no control character of the data reaches a terminal.

mod boxes;
mod json;
mod line;
mod markdown;
mod screen;
mod separated;

use std::io::{self, IsTerminal, Write};

use program::output::is_obeyed;
use screen::Screen;
use separated::Separated;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table drawn with lines, with column types
    Box,
    /// Comma-separated, with a header; NULL is empty, an empty string is ""
    Csv,
    /// Tab-separated, with a header; tabs, line ends and backslashes become \t, \n, \r, \\; NULL is empty
    Tsv,
    /// One JSON array of objects per statement
    Json,
    /// One JSON object per row
    #[value(alias = "ndjson", alias = "jsonl")]
    Jsonlines,
    /// A Markdown table
    Markdown,
    /// One value per line, each row a block
    Line,
}

/// The kind of cells in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Text.
    Text,
    /// A number as text, including `nan` and `inf`.
    Number,
    /// JSON text.
    Json,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub name: String,
    /// Its SQL type; empty if unknown.
    pub sql_type: String,
    /// The kind of its cells.
    pub cell: Cell,
}

/// Takes one result: its columns, its rows in order, its end.
pub trait Sink {
    /// Whether cells that are not numbers are wanted as JSON text.
    fn wants_json(&self) -> bool {
        false
    }

    /// Whether a drawing over several lines, such as a query plan, goes to [`Sink::drawing`].
    fn draws(&self) -> bool {
        false
    }

    /// Takes a drawing.
    ///
    /// # Errors
    /// As [`Sink::begin`].
    fn drawing(&mut self, _text: &str) -> io::Result<()> {
        Ok(())
    }

    /// Takes the columns.
    ///
    /// # Errors
    /// The system's error when the result can't be written.
    fn begin(&mut self, heads: &[Head]) -> io::Result<()>;

    /// Takes one row; `None` is NULL.
    ///
    /// # Errors
    /// As [`Sink::begin`].
    fn row(&mut self, cells: &[Option<&str>]) -> io::Result<()>;

    /// Writes the rest.
    ///
    /// # Errors
    /// As [`Sink::begin`].
    fn end(&mut self) -> io::Result<()>;
}

/// The limits of a box on a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The most rows that are shown: the first and the last.
    pub rows_max: usize,
    /// The maximum width.
    pub width: Option<usize>,
    /// Whether a NULL has its own colour.
    pub colors: bool,
}

impl Layout {
    /// Nothing is left out.
    pub const WHOLE: Self = Self { rows_max: usize::MAX, width: None, colors: false };
}

impl Format {
    /// A sink that writes to stdout, for one result.
    pub fn to_stdout(self, layout: Layout) -> Box<dyn Sink> {
        let stdout = io::stdout();
        match self {
            _ if !stdout.is_terminal() => self.to(io::BufWriter::with_capacity(1 << 16, stdout.lock()), layout),
            // These escape the data themselves, and may use colours.
            Self::Box | Self::Line | Self::Markdown => self.to(io::BufWriter::new(stdout.lock()), layout),
            _ => self.to(Screen(stdout.lock()), layout),
        }
    }

    /// A sink that writes to `out`, for one result.
    pub fn to<'a>(self, out: impl Write + 'a, layout: Layout) -> Box<dyn Sink + 'a> {
        match self {
            Self::Box => Box::new(boxes::Boxes::new(out, layout)),
            Self::Csv => Box::new(Separated::by_commas(out)),
            Self::Tsv => Box::new(Separated::by_tabs(out)),
            Self::Json => Box::new(json::Json::array(out)),
            Self::Jsonlines => Box::new(json::Json::lines(out)),
            Self::Markdown => Box::new(markdown::Markdown(out)),
            Self::Line => Box::new(line::Line::new(out)),
        }
    }
}

/// A text on one line, with everything escaped that a terminal would act on.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => visible.extend(c.escape_default()),
            c if is_obeyed(c) => visible.extend(c.escape_unicode()),
            c => visible.push(c),
        }
    }
    visible
}

/// Writes a drawing, line by line.
fn draw(out: &mut dyn Write, text: &str) -> io::Result<()> {
    text.lines().try_for_each(|line| writeln!(out, "{}", visible(line)))?;
    out.flush()
}
