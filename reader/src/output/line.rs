//! One value per line, each row a block, for rows too wide for a table.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::{Head, Sink, draw, visible};

pub(super) struct Line<W> {
    out: W,
    names: Vec<String>,
    rows: u64,
}

impl<W: Write> Line<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, names: Vec::new(), rows: 0 }
    }
}

impl<W: Write> Sink for Line<W> {
    fn draws(&self) -> bool {
        true
    }

    fn drawing(&mut self, text: &str) -> io::Result<()> {
        draw(&mut self.out, text)
    }

    fn begin(&mut self, heads: &[Head]) -> io::Result<()> {
        let names: Vec<String> = heads.iter().map(|head| visible(&head.name)).collect();
        let widest = names.iter().map(|name| name.width()).max().unwrap_or(0);
        self.names = names.into_iter().map(|name| format!("{}{name}", " ".repeat(widest - name.width()))).collect();
        Ok(())
    }

    fn row(&mut self, cells: &[Option<&str>]) -> io::Result<()> {
        let mut block = String::from(if self.rows > 0 { "\n" } else { "" });
        for (name, cell) in self.names.iter().zip(cells) {
            let value = cell.map_or_else(|| "NULL".to_owned(), visible);
            block.push_str(&format!("{name} = {value}\n"));
        }
        self.rows += 1;
        self.out.write_all(block.as_bytes())
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
