//! Comma-separated values, as RFC 4180 has them but for the line ends; NULL is empty, an empty text is `""`.

use std::io::{self, Write};

use super::{Head, Sink, separated};

pub(super) struct Csv<W>(pub(super) W);

impl<W: Write> Sink for Csv<W> {
    fn begin(&mut self, heads: &[Head]) -> io::Result<()> {
        separated(&mut self.0, ",", heads.iter().map(|head| quoted(&head.name)))
    }

    fn row(&mut self, cells: &[Option<&str>]) -> io::Result<()> {
        separated(&mut self.0, ",", cells.iter().map(|cell| cell.map_or_else(String::new, quoted)))
    }

    fn end(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && !text.contains([',', '"', '\n', '\r']) && text.trim() == text;
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}
