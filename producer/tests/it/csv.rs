//! A CSV reader, to check rows against.

use lake::dead_letter::ErrorCode;
use serde_json::{Map, Value};

/// A cell's text, and whether it is quoted.
type Cell = (String, bool);

/// Splits a row into its cells.
fn cells(row: &str) -> Result<Vec<Cell>, ErrorCode> {
    let mut cells = Vec::new();
    let mut rest = row;
    loop {
        let (cell, behind) = match rest.strip_prefix('"') {
            Some(inner) => quoted(inner)?,
            None => {
                let (text, _) = rest.split_once(',').unwrap_or((rest, ""));
                ((text.to_owned(), false), &rest[text.len()..])
            }
        };
        cells.push(cell);
        if behind.is_empty() {
            return Ok(cells);
        }
        // If a quote is not closed in the rest of the row, that error takes precedence.
        rest = match behind.strip_prefix(',') {
            Some(rest) => rest,
            None => {
                let next = behind.split_once(',').map_or(Ok(Vec::new()), |(_, rest)| self::cells(rest));
                return Err(next.err().filter(|code| *code == ErrorCode::Truncated).unwrap_or(ErrorCode::NotCsv));
            }
        };
    }
}

fn quoted(inner: &str) -> Result<(Cell, &str), ErrorCode> {
    let (mut text, mut rest) = (String::new(), inner);
    loop {
        let (part, behind) = rest.split_once('"').ok_or(ErrorCode::Truncated)?;
        text.push_str(part);
        match behind.strip_prefix('"') {
            Some(after) => (text, rest) = (text + "\"", after),
            None => return Ok(((text, true), behind)),
        }
    }
}

/// What a reader must report for an event's row; `None` if it can be read.
pub(crate) fn code_of_row(row: &[u8]) -> Option<ErrorCode> {
    let Ok(text) = std::str::from_utf8(row) else { return Some(ErrorCode::BadEncoding) };
    match cells(text) {
        Ok(cells) => (cells.len() != 6).then_some(ErrorCode::RaggedRow),
        Err(code) => Some(code),
    }
}

/// The event in a row.
pub(crate) fn event(row: &str) -> Value {
    let names = ["user_id", "event_id", "event_timestamp", "event_type", "product_id", "properties"];
    let cells = cells(row).unwrap();
    assert_eq!(cells.len(), names.len(), "{row}");
    let mut event = Map::new();
    for (name, (text, is_quoted)) in names.into_iter().zip(cells) {
        if text.is_empty() && !is_quoted {
            continue;
        }
        let json = if name == "properties" { serde_json::from_str(&text).ok() } else { None };
        event.insert(name.to_owned(), json.unwrap_or(Value::String(text)));
    }
    Value::Object(event)
}
