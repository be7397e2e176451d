//! Tab-separated values without quotes: one row is one line, whatever it holds.

use std::io::{self, Write};

use super::{Head, Sink, separated};

pub(super) struct Tsv<W>(pub(super) W);

impl<W: Write> Sink for Tsv<W> {
    fn begin(&mut self, heads: &[Head]) -> io::Result<()> {
        separated(&mut self.0, "\t", heads.iter().map(|head| escaped(&head.name)))
    }

    fn row(&mut self, cells: &[Option<&str>]) -> io::Result<()> {
        separated(&mut self.0, "\t", cells.iter().map(|cell| cell.map_or_else(String::new, escaped)))
    }

    fn end(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}
