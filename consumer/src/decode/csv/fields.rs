//! Turns the cells of a CSV row into a record's fields, typed by the stream's schema.
//!
//! Knows the columns of the schema, and does not judge. Invariant: a cell that is not a value of its column's type
//! stays text, so that the judge reports what is wrong with it.

use std::collections::{HashMap, HashSet};

use lake::{
    columns::{Column, ColumnType, EXTRA_COLUMN, SureProperties, nullable_properties},
    dead_letter::{ErrorCode, Fault},
    stream::{CsvSettings, ReadSettings},
};
use serde_json::{Map, Number, Value};

use super::{Cell, Header};
use crate::decode::json::{Limits, parse};

/// How a cell is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellKind {
    Text,
    Number,
    Boolean,
    /// JSON if it parses as that, and otherwise text.
    Json,
}

/// What a stream's schema says about the fields of its rows.
#[derive(Debug, Default)]
pub(crate) struct CellTypes {
    /// How the cells of each field are read, and whether it may be null.
    kinds: HashMap<String, (CellKind, bool)>,
    /// The fields without which no record is valid.
    pub(super) required: Vec<String>,
    /// All fields that have a description, unless it is open which have one.
    pub(super) described: Option<HashSet<String>>,
}

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
        let SureProperties { required, described } = SureProperties::of(schema);
        let described = described.map(|names| names.into_iter().map(str::to_owned).collect());
        Self { kinds: typed.collect(), required: required.into_iter().map(str::to_owned).collect(), described }
    }

    /// How the cells of a field are read, and whether it may be null. One that is not in the schema is text.
    pub(super) fn kind(&self, name: &str) -> (CellKind, bool) {
        self.kinds.get(name).copied().unwrap_or((CellKind::Text, false))
    }

    /// Whether the schema has exactly this name.
    pub(super) fn names(&self, name: &str) -> bool {
        self.kinds.contains_key(name)
            || self.required.iter().any(|required| required == name)
            || self.described.as_ref().is_some_and(|described| described.contains(name))
    }
}

impl Header {
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
