//! The SQL of a stream's two views: which columns they have, and how they read any number of files as one table.
//!
//! Pure: from columns to SQL text. Columns are found in files by Parquet field id, so that files of every generation
//! read as one table without a look at their footers. Nested fields are found by name: see `docs/decisions/0004`.

use std::collections::BTreeSet;

use lake::{
    columns::{BRONZE_COLUMNS, Column, DEAD_LETTER_COLUMNS},
    ledger::SchemaRecord,
};

use crate::{
    names::folded,
    quote::{identifier, literal},
    sql_types::sql_type,
};

/// A view over the files that a session variable names.
#[derive(Clone, Debug)]
pub struct View {
    /// The schema it stands in: `bronze` or `dead_letters`.
    pub schema: &'static str,
    /// Its name.
    pub name: String,
    /// The session variable that holds the paths of its files.
    pub variable: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// What a view is made over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The files that its variable names.
    Files,
    /// No file yet: DuckDB reads no empty list.
    Nothing,
    /// Something that can't be read, and why.
    Unreadable(String),
}

impl View {
    /// The view's name as SQL writes it.
    pub fn full_name(&self) -> String {
        format!("memory.{}.{}", self.schema, identifier(&self.name))
    }

    /// The view's name as people read it.
    pub fn shown_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// The statement that makes the view.
    pub fn create(&self, body: &Body) -> String {
        let body = match body {
            Body::Files => self.over_files(),
            Body::Nothing => self.over_nothing("false"),
            // What is read of it fails with these words, and its columns are there to be described.
            Body::Unreadable(words) => self.over_nothing(&format!("error({}) IS NULL", literal(words))),
        };
        format!("CREATE OR REPLACE VIEW {} AS {body}", self.full_name())
    }

    fn over_files(&self) -> String {
        let column = |column: &Column| {
            let (name, kind) = (literal(&column.name), literal(&sql_type(&column.kind)));
            format!("{}: {{name: {name}, type: {kind}, default_value: NULL}}", column.id)
        };
        let columns = self.columns.iter().map(column).collect::<Vec<_>>().join(", ");
        let files = literal(&self.variable);
        format!("FROM read_parquet(getvariable({files}), schema = MAP {{{columns}}}, hive_partitioning = false)")
    }

    fn over_nothing(&self, condition: &str) -> String {
        let column =
            |column: &Column| format!("CAST(NULL AS {}) AS {}", sql_type(&column.kind), identifier(&column.name));
        let columns = self.columns.iter().map(column).collect::<Vec<_>>().join(", ");
        format!("SELECT {columns} WHERE {condition}")
    }
}

/// What `bronze.<stream>` shows: the stream's columns, those of earlier versions, then Sluice's own.
pub fn bronze_columns(record: Option<&SchemaRecord>) -> Vec<Column> {
    let own = BRONZE_COLUMNS.iter().map(|column| column.column());
    let Some(record) = record else { return own.collect() };
    let mut taken: BTreeSet<String> = record.columns.iter().map(|column| folded(&column.name)).collect();
    taken.extend(BRONZE_COLUMNS.iter().map(|column| folded(column.name)));
    let former =
        record.former_columns.iter().map(|column| Column { name: free_name(column, &mut taken), ..column.clone() });
    record.columns.iter().cloned().chain(former).chain(own).collect()
}

/// What `dead_letters.<stream>` shows, the same for all streams.
pub fn dead_letter_columns() -> Vec<Column> {
    DEAD_LETTER_COLUMNS.iter().map(|column| column.column()).collect()
}

/// A former column's name; with its id behind it where another column has the name, as SQL compares names.
fn free_name(column: &Column, taken: &mut BTreeSet<String>) -> String {
    let mut name = column.name.clone();
    while !taken.insert(folded(&name)) {
        name = format!("{name}_{}", column.id);
    }
    name
}
