//! A table drawn with lines: names, types, rows, and how many there are.
//!
//! Columns are as wide as their widest cell, so the rows are kept until the end; beyond a number of rows they are
//! counted and not shown.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::{Cell, Head, Sink, draw, visible};

pub(super) struct Boxes<W> {
    out: W,
    rows_max: usize,
    heads: Vec<Head>,
    rows: Vec<Vec<String>>,
    rows_seen: usize,
}

impl<W: Write> Boxes<W> {
    pub(super) fn new(out: W, rows_max: usize) -> Self {
        Self { out, rows_max, heads: Vec::new(), rows: Vec::new(), rows_seen: 0 }
    }

    fn widths(&self) -> Vec<usize> {
        let width = |(index, head): (usize, &Head)| {
            let cells = self.rows.iter().map(|row| row[index].width());
            cells.chain([visible(&head.name).width(), head.sql_type.width()]).max().unwrap_or(0)
        };
        self.heads.iter().enumerate().map(width).collect()
    }
}

impl<W: Write> Sink for Boxes<W> {
    fn draws(&self) -> bool {
        true
    }

    fn drawing(&mut self, text: &str) -> io::Result<()> {
        draw(&mut self.out, text)
    }

    fn begin(&mut self, heads: &[Head]) -> io::Result<()> {
        self.heads = heads.to_vec();
        Ok(())
    }

    fn row(&mut self, cells: &[Option<&str>]) -> io::Result<()> {
        self.rows_seen += 1;
        if self.rows.len() < self.rows_max {
            self.rows.push(cells.iter().map(|cell| cell.map_or_else(|| "NULL".to_owned(), visible)).collect());
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let widths = self.widths();
        let rule = |left: &str, middle: &str, right: &str| {
            let lines = widths.iter().map(|width| "─".repeat(width + 2)).collect::<Vec<_>>();
            format!("{left}{}{right}\n", lines.join(middle))
        };
        let line = |cells: &mut dyn Iterator<Item = (String, bool)>| {
            let cells = cells.zip(&widths).map(|((cell, right), width)| {
                let space = " ".repeat(width - cell.width());
                if right { format!(" {space}{cell} ") } else { format!(" {cell}{space} ") }
            });
            format!("│{}│\n", cells.collect::<Vec<_>>().join("│"))
        };
        let numbers: Vec<bool> = self.heads.iter().map(|head| head.cell == Cell::Number).collect();
        let mut text = rule("┌", "┬", "┐");
        text += &line(&mut self.heads.iter().map(|head| (visible(&head.name), head.cell == Cell::Number)));
        if self.heads.iter().any(|head| !head.sql_type.is_empty()) {
            text += &line(
                &mut self.heads.iter().map(|head| (visible(&head.sql_type).to_lowercase(), head.cell == Cell::Number)),
            );
        }
        text += &rule("├", "┼", "┤");
        self.out.write_all(text.as_bytes())?;
        for row in &self.rows {
            let row = line(&mut row.iter().cloned().zip(numbers.iter().copied()));
            self.out.write_all(row.as_bytes())?;
        }
        self.out.write_all(rule("└", "┴", "┘").as_bytes())?;
        let shown = self.rows.len();
        let count = match self.rows_seen {
            1 => "1 row\n".to_owned(),
            seen if seen == shown => format!("{seen} rows\n"),
            seen => format!("{seen} rows, the first {shown} are shown\n"),
        };
        self.out.write_all(count.as_bytes())?;
        self.out.flush()
    }
}
