//! Values with a separator between them, after a header: CSV and TSV. NULL is empty in both.
//!
//! CSV follows RFC 4180 except for the line ends; an empty string is `""`. TSV has no quotes: each row is one line,
//! whatever it contains. Invariant: what was written can be read back unchanged, including control characters.

use std::io::{self, Write};

use super::{Head, Sink};

pub(super) struct Separated<W> {
    out: W,
    separator: &'static str,
    written: fn(&str) -> String,
}

impl<W: Write> Separated<W> {
    pub(super) fn by_commas(out: W) -> Self {
        Self { out, separator: ",", written: quoted }
    }

    pub(super) fn by_tabs(out: W) -> Self {
        Self { out, separator: "\t", written: escaped }
    }

    fn line(&mut self, cells: impl Iterator<Item = String>) -> io::Result<()> {
        let mut line = cells.collect::<Vec<_>>().join(self.separator);
        line.push('\n');
        self.out.write_all(line.as_bytes())
    }
}

impl<W: Write> Sink for Separated<W> {
    fn begin(&mut self, heads: &[Head]) -> io::Result<()> {
        let written = self.written;
        self.line(heads.iter().map(|head| written(&head.name)))
    }

    fn row(&mut self, cells: &[Option<&str>]) -> io::Result<()> {
        let written = self.written;
        self.line(cells.iter().map(|cell| cell.map_or_else(String::new, written)))
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty() && !text.contains([',', '"']) && !text.contains(char::is_control);
    if is_plain && text.trim() == text { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}
