//! JSON: an array of objects, or one object per line. Numbers as DuckDB writes them, nested values as JSON.
//!
//! JSON has no NaN and no infinity: they become null.

use std::io::{self, Write};

use super::{Cell, Head, Sink};

pub(super) struct Json<W> {
    out: W,
    is_array: bool,
    heads: Vec<(String, Cell)>,
    rows: u64,
}

impl<W: Write> Json<W> {
    pub(super) fn array(out: W) -> Self {
        Self { out, is_array: true, heads: Vec::new(), rows: 0 }
    }

    pub(super) fn lines(out: W) -> Self {
        Self { is_array: false, ..Self::array(out) }
    }
}

impl<W: Write> Sink for Json<W> {
    fn wants_json(&self) -> bool {
        true
    }

    fn begin(&mut self, heads: &[Head]) -> io::Result<()> {
        self.heads = heads.iter().map(|head| (string(&head.name), head.cell)).collect();
        if self.is_array { self.out.write_all(b"[") } else { Ok(()) }
    }

    fn row(&mut self, cells: &[Option<&str>]) -> io::Result<()> {
        let mut row = String::from(if self.is_array && self.rows > 0 { ",\n{" } else { "{" });
        for (index, ((name, kind), cell)) in self.heads.iter().zip(cells).enumerate() {
            row.push_str(if index > 0 { "," } else { "" });
            row.push_str(name);
            row.push(':');
            row.push_str(&value(*kind, *cell));
        }
        row.push_str(if self.is_array { "}" } else { "}\n" });
        self.rows += 1;
        self.out.write_all(row.as_bytes())
    }

    fn end(&mut self) -> io::Result<()> {
        if self.is_array {
            self.out.write_all(b"]\n")?;
        }
        self.out.flush()
    }
}

fn value(kind: Cell, cell: Option<&str>) -> String {
    match (kind, cell) {
        (_, None) => "null".to_owned(),
        (Cell::Text, Some(text)) => string(text),
        (Cell::Number, Some(number)) if number.ends_with(|c: char| c.is_ascii_digit()) => number.to_owned(),
        (Cell::Number, Some(_)) => "null".to_owned(),
        (Cell::Json, Some(json)) => finite(json),
    }
}

/// A text as a JSON string.
fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if u32::from(c) < 0x20 => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// DuckDB's JSON, with null for the numbers that JSON does not have.
fn finite(json: &str) -> String {
    if !json.contains("NaN") && !json.contains("Infinity") {
        return json.to_owned();
    }
    let mut result = String::with_capacity(json.len());
    let mut in_string = false;
    let mut rest = json;
    while let Some(c) = rest.chars().next() {
        let not_a_number =
            ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| !in_string && rest.starts_with(word));
        if let Some(word) = not_a_number {
            result.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        let escapes = in_string && c == '\\';
        in_string ^= c == '"';
        let taken = if escapes { rest.chars().take(2).map(char::len_utf8).sum() } else { c.len_utf8() };
        in_string |= escapes;
        result.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    result
}
