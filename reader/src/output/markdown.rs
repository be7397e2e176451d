//! A Markdown table; numbers are right-aligned.

use std::io::{self, Write};

use super::{Cell, Head, Sink, visible};

pub(super) struct Markdown<W>(pub(super) W);

impl<W: Write> Sink for Markdown<W> {
    fn begin(&mut self, heads: &[Head]) -> io::Result<()> {
        let rule = |head: &Head| if head.cell == Cell::Number { "--:" } else { "---" };
        self.line(heads.iter().map(|head| escaped(&head.name)))?;
        self.line(heads.iter().map(|head| rule(head).to_owned()))
    }

    fn row(&mut self, cells: &[Option<&str>]) -> io::Result<()> {
        self.line(cells.iter().map(|cell| cell.map_or_else(|| "NULL".to_owned(), escaped)))
    }

    fn end(&mut self) -> io::Result<()> {
        // Without an empty line, the next table would continue this one.
        writeln!(self.0)?;
        self.0.flush()
    }
}

impl<W: Write> Markdown<W> {
    fn line(&mut self, cells: impl Iterator<Item = String>) -> io::Result<()> {
        writeln!(self.0, "| {} |", cells.collect::<Vec<_>>().join(" | "))
    }
}

fn escaped(text: &str) -> String {
    visible(text).replace('|', "\\|")
}
