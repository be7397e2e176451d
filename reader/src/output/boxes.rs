//! A table drawn with lines: names, types, rows, and the number of rows.
//!
//! Rows are kept until the end, because columns are as wide as their widest cell. On a screen, long values are
//! shortened, and columns and rows in the middle are left out. A `…` replaces them, and the last line says so.
//! Invariant: without limits on width and rows, nothing is left out.

mod fit;

use std::{
    collections::VecDeque,
    io::{self, Write},
};

use unicode_width::UnicodeWidthStr;

use super::{Cell, Head, Layout, Sink, draw, visible};
use fit::{LEFT_OUT, fit, shortened};

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

pub(super) struct Boxes<W> {
    out: W,
    layout: Layout,
    heads: Vec<Head>,
    first: Vec<Row>,
    last: VecDeque<Row>,
    rows_seen: usize,
}

/// The cells of a row; `None` is NULL.
type Row = Vec<Option<String>>;

impl<W: Write> Boxes<W> {
    pub(super) fn new(out: W, layout: Layout) -> Self {
        Self { out, layout, heads: Vec::new(), first: Vec::new(), last: VecDeque::new(), rows_seen: 0 }
    }

    fn widths(&self) -> Vec<usize> {
        let rows = || self.first.iter().chain(&self.last);
        let width = |(index, head): (usize, &Head)| {
            let cells = rows().map(|row| row[index].as_deref().unwrap_or("NULL").width());
            cells.chain([visible(&head.name).width(), head.sql_type.width()]).max().unwrap_or(0)
        };
        self.heads.iter().enumerate().map(width).collect()
    }

    /// One line of the table. `columns` are the shown columns (`None` for those left out) and their widths.
    fn line(&self, columns: &[(Option<usize>, usize)], cell: impl Fn(usize) -> Option<String>) -> String {
        let cells = columns.iter().map(|(column, width)| {
            let Some(column) = *column else { return format!(" {LEFT_OUT} ") };
            let cell = cell(column);
            let text = shortened(cell.as_deref().unwrap_or("NULL"), *width);
            let space = " ".repeat(width - text.width());
            let text = if cell.is_none() && self.layout.colors { format!("{DIM}{text}{PLAIN}") } else { text };
            let is_number = self.heads[column].cell == Cell::Number;
            if is_number { format!(" {space}{text} ") } else { format!(" {text}{space} ") }
        });
        format!("│{}│\n", cells.collect::<Vec<_>>().join("│"))
    }

    /// How many rows and columns the table has, and how many are shown.
    fn summary(&self, columns_shown: usize) -> String {
        let rows = if self.rows_seen == 1 { "1 row".to_owned() } else { format!("{} rows", self.rows_seen) };
        let (first, last) = (self.first.len(), self.last.len());
        let rows_shown = match self.rows_seen {
            seen if seen == first + last => String::new(),
            _ if last == 0 => format!(", the first {first} are shown"),
            _ => format!(", the first {first} and the last {last} are shown"),
        };
        let columns = match self.heads.len() {
            columns if columns == columns_shown => String::new(),
            columns => format!("; {columns} columns, {columns_shown} are shown (.mode line shows all)"),
        };
        format!("{rows}{rows_shown}{columns}\n")
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
        let width_max = self.layout.width.unwrap_or(usize::MAX);
        let shown = |cell: &Option<&str>| cell.map(|cell| shortened(&visible(cell), width_max));
        let last_max = self.layout.rows_max / 2;
        if self.first.len() < self.layout.rows_max - last_max {
            self.first.push(cells.iter().map(shown).collect());
        } else if last_max > 0 {
            if self.last.len() == last_max {
                self.last.pop_front();
            }
            self.last.push_back(cells.iter().map(shown).collect());
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let columns = fit(&self.widths(), self.layout.width);
        let rule = |left: &str, middle: &str, right: &str| {
            let lines = columns.iter().map(|(_, width)| "─".repeat(width + 2)).collect::<Vec<_>>();
            format!("{left}{}{right}\n", lines.join(middle))
        };
        let mut text = rule("┌", "┬", "┐");
        text += &self.line(&columns, |column| Some(visible(&self.heads[column].name)));
        if self.heads.iter().any(|head| !head.sql_type.is_empty()) {
            text += &self.line(&columns, |column| Some(visible(&self.heads[column].sql_type).to_lowercase()));
        }
        text += &rule("├", "┼", "┤");
        self.out.write_all(text.as_bytes())?;
        for row in &self.first {
            self.out.write_all(self.line(&columns, |column| row[column].clone()).as_bytes())?;
        }
        if self.rows_seen > self.first.len() + self.last.len() {
            self.out.write_all(self.line(&columns, |_| Some(LEFT_OUT.to_owned())).as_bytes())?;
        }
        for row in &self.last {
            self.out.write_all(self.line(&columns, |column| row[column].clone()).as_bytes())?;
        }
        self.out.write_all(rule("└", "┴", "┘").as_bytes())?;
        let shown = columns.iter().filter(|(column, _)| column.is_some()).count();
        self.out.write_all(self.summary(shown).as_bytes())?;
        self.out.flush()
    }
}
