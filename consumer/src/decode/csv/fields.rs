//! Turns the cells of a CSV row into a record's fields, typed by the stream's schema.
//!
//! Knows the columns of the schema, and does not judge. Invariant: a cell that is not a value of its column's type
//! stays text, so that the judge reports what is wrong with it.

use std::collections::HashMap;

use lake::{
    columns::{Column, ColumnType, EXTRA_COLUMN, nullable_properties},
    dead_letter::{ErrorCode, Fault, Reason},
    stream::{CsvSettings, ReadSettings},
};
use serde_json::{Map, Number, Value};

use super::{Cell, Row, cells};
use crate::decode::{
    json::{Limits, parse},
    not_utf8,
};

/// How a cell is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellKind {
    Text,
    Number,
    Boolean,
    /// JSON if it parses as that, and otherwise text.
    Json,
}

/// How the cells of a stream's fields are read.
#[derive(Debug, Default)]
pub(crate) struct CellTypes(HashMap<String, (CellKind, bool)>);

impl CellTypes {
    /// Derived from a schema and its columns.
    pub(crate) fn of(schema: &Value, columns: &[Column]) -> Self {
        let nullable = nullable_properties(schema);
        let kind = |column: &Column| match column.kind {
            ColumnType::String | ColumnType::Timestamp | ColumnType::Date | ColumnType::Binary => CellKind::Text,
            ColumnType::Int64 | ColumnType::Float64 => CellKind::Number,
            ColumnType::Boolean => CellKind::Boolean,
            ColumnType::Json | ColumnType::List(_) | ColumnType::Struct(_) | ColumnType::Map { .. } => CellKind::Json,
        };
        // The extra column names its fields itself; an object's header does not have it.
        let own = columns.iter().filter(|column| column.name != EXTRA_COLUMN);
        let typed = own.map(|column| {
            let name = column.name.as_str();
            (name.to_owned(), (kind(column), nullable.contains(&name)))
        });
        Self(typed.collect())
    }
}

/// The names in a CSV object's first row.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) names: Vec<String>,
    kinds: Vec<(CellKind, bool)>,
}

impl Header {
    /// Reads the first row.
    ///
    /// # Errors
    /// The fault of the object as a whole: without names, no row can be read.
    pub(super) fn read(row: &Row<'_>, types: &CellTypes, settings: &ReadSettings) -> Result<Self, Fault> {
        let corrupted = |code, message: String| Fault::new(Reason::CorruptedBatch, code, message);
        if let Some(fault) = &row.fault {
            return Err(corrupted(fault.code, format!("the header can't be read: {}", fault.message)));
        }
        let text = std::str::from_utf8(row.raw).map_err(|error| not_utf8(Reason::CorruptedBatch, "header", error))?;
        let mut read = Vec::new();
        cells(text, &settings.csv, &mut read)
            .map_err(|what| corrupted(ErrorCode::NotCsv, format!("line {}, the header: {what}", row.line)))?;
        if read.len() as u64 > settings.fields_max {
            let message = format!("the header has {} names; limits.fields allows {}", read.len(), settings.fields_max);
            return Err(corrupted(ErrorCode::TooManyFields, message));
        }
        let names: Vec<String> = read.into_iter().map(|cell| cell.text.into_owned()).collect();
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(corrupted(ErrorCode::DuplicateKey, format!("the header has the name {twice:?} twice")));
        }
        // A name that is not in the schema is text.
        let kinds = names.iter().map(|name| types.0.get(name).copied().unwrap_or((CellKind::Text, false)));
        Ok(Self { kinds: kinds.collect(), names })
    }

    /// The record of a row's cells; there are as many cells as names.
    ///
    /// # Errors
    /// The record's fault, if a cell of JSON breaks a limit.
    pub(crate) fn record(&self, cells: &[Cell<'_>], settings: &ReadSettings) -> Result<Value, Fault> {
        let mut fields = Map::new();
        for ((name, (kind, nullable)), cell) in self.names.iter().zip(&self.kinds).zip(cells) {
            if is_null(cell, *kind, &settings.csv) {
                // An empty field is null if it may be, and otherwise absent.
                if *nullable {
                    fields.insert(name.clone(), Value::Null);
                }
                continue;
            }
            fields.insert(name.clone(), value(&cell.text, *kind, settings)?);
        }
        Ok(Value::Object(fields))
    }
}

/// A quoted cell of a text column is text even if it looks like null. In other columns, quotes make no difference.
fn is_null(cell: &Cell<'_>, kind: CellKind, csv: &CsvSettings) -> bool {
    let can_be_text = matches!(kind, CellKind::Text | CellKind::Json);
    cell.text == csv.null && !(cell.is_quoted && can_be_text)
}

fn value(cell: &str, kind: CellKind, settings: &ReadSettings) -> Result<Value, Fault> {
    let text = || Value::String(cell.to_owned());
    let limits = Limits { depth: settings.depth_max, fields: settings.fields_max };
    Ok(match kind {
        CellKind::Text => text(),
        CellKind::Number if is_number(cell) => Value::Number(Number::from_string_unchecked(cell.to_owned())),
        // Python and spreadsheets write it in other cases.
        CellKind::Boolean if cell.eq_ignore_ascii_case("true") => Value::Bool(true),
        CellKind::Boolean if cell.eq_ignore_ascii_case("false") => Value::Bool(false),
        CellKind::Number | CellKind::Boolean => text(),
        CellKind::Json => match parse(cell, limits) {
            Ok(value) => value,
            Err(fault) if matches!(fault.code, ErrorCode::NotJson | ErrorCode::Truncated) => text(),
            Err(fault) => return Err(fault),
        },
    })
}

/// Whether a cell is exactly a JSON number.
fn is_number(cell: &str) -> bool {
    let begins = cell.bytes().next().is_some_and(|byte| byte == b'-' || byte.is_ascii_digit());
    let ends = cell.bytes().last().is_some_and(|byte| byte.is_ascii_digit());
    begins && ends && parse(cell, Limits { depth: 0, fields: 0 }).is_ok()
}
