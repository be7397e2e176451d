//! The SQL of a stream's two views: which columns they have, and how they read any number of files as one table.
//!
//! Pure: from columns to SQL text. Columns are found in files by Parquet field id, so that files of every schema
//! version read as one table without opening their footers first. Nested fields are found by name: see
//! `docs/decisions/0004`.

use std::collections::BTreeSet;

use lake::{
    columns::{BRONZE_COLUMNS, Column, ColumnType, DEAD_LETTER_COLUMNS, DEAD_LETTER_ID},
    ids::StreamName,
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
    /// The schema it is in: `bronze` or `dead_letters`.
    pub schema: &'static str,
    /// Its name.
    pub name: String,
    /// The session variable with the paths of its files.
    pub variable: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// What a view reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The files that its variable names.
    Files,
    /// The same, except the resolved dead letters of this stream.
    OpenDeadLetters(StreamName),
    /// No file yet: DuckDB can't read an empty list.
    Nothing,
    /// Something that can't be read, and why.
    Unreadable(String),
}

/// The id of a dead letter from its origin, by the rule of [`lake::dead_letter::DeadLetterIds`].
const DEAD_LETTER_ID_SQL: &str =
    "left(sha256(concat(_source_etag, ' ', _source_key, ' ', coalesce(_record_index::VARCHAR, '-'))), 16)";

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
            Body::OpenDeadLetters(stream) => {
                let resolved =
                    "SELECT batch AS _batch_id, dead_letter_id AS _dead_letter_id FROM memory.internal.resolved";
                let stream = literal(stream.as_str());
                let of_stream = format!("{resolved} WHERE stream = {stream}");
                format!("FROM ({}) ANTI JOIN ({of_stream}) USING (_batch_id, _dead_letter_id)", self.over_files())
            }
            Body::Nothing => format!("SELECT {} WHERE false", self.columns_from("NULL")),
            // Reading the view fails with this message; its columns can still be described. DuckDB must not conclude
            // from a filter or a join that it need not be read: so the columns are not constants, and nothing is
            // pushed down into a materialized part.
            Body::Unreadable(words) => {
                let error = format!("error({})", literal(words));
                let fault = format!("SELECT CAST({error} AS VARCHAR) AS words WHERE {error} IS NULL");
                format!("WITH fault AS MATERIALIZED ({fault}) SELECT {} FROM fault", self.columns_from("words"))
            }
        };
        format!("CREATE OR REPLACE VIEW {} AS {body}", self.full_name())
    }

    /// The most columns of a view, with those within others: DuckDB needs about 50 KB of memory for each.
    pub const WIDTH_MAX: usize = 40_000;

    /// How many columns it has, with those within others.
    pub fn width(&self) -> usize {
        self.columns.iter().map(width).sum()
    }

    /// The same view with a single column, for when DuckDB refuses the names of its columns.
    pub fn without_columns(&self) -> Self {
        Self { columns: vec![Column::unnumbered("unreadable", ColumnType::Boolean, true)], ..self.clone() }
    }

    fn over_files(&self) -> String {
        let column = |column: &Column| {
            let (name, kind) = (literal(&column.name), literal(&sql_type(&column.kind)));
            format!("{}: {{name: {name}, type: {kind}, default_value: NULL}}", column.id)
        };
        let columns = self.columns.iter().map(column).collect::<Vec<_>>().join(", ");
        let files = literal(&self.variable);
        let shown = match self.columns.iter().find(|column| column.id == DEAD_LETTER_ID) {
            // Files from before there was an id get the same one.
            Some(_) => {
                format!("SELECT * REPLACE (coalesce(_dead_letter_id, {DEAD_LETTER_ID_SQL}) AS _dead_letter_id) ")
            }
            None => String::new(),
        };
        format!("{shown}FROM read_parquet(getvariable({files}), schema = MAP {{{columns}}}, hive_partitioning = false)")
    }

    /// The view's columns, all made of one value.
    fn columns_from(&self, value: &str) -> String {
        let column =
            |column: &Column| format!("CAST({value} AS {}) AS {}", sql_type(&column.kind), identifier(&column.name));
        self.columns.iter().map(column).collect::<Vec<_>>().join(", ")
    }
}

fn width(column: &Column) -> usize {
    match &column.kind {
        ColumnType::Struct(fields) => 1 + fields.iter().map(width).sum::<usize>(),
        ColumnType::List(element) => 1 + width(element),
        ColumnType::Map { key, value } => 1 + width(key) + width(value),
        _ => 1,
    }
}

/// The columns of `bronze.<stream>`: the stream's columns, those of earlier versions, then Sluice's own.
pub fn bronze_columns(record: Option<&SchemaRecord>) -> Vec<Column> {
    let own = BRONZE_COLUMNS.iter().map(|column| column.column());
    let Some(record) = record else { return own.collect() };
    let mut taken: BTreeSet<String> = record.columns.iter().map(|column| folded(&column.name)).collect();
    taken.extend(BRONZE_COLUMNS.iter().map(|column| folded(column.name)));
    let former =
        record.former_columns.iter().map(|column| Column { name: free_name(column, &mut taken), ..column.clone() });
    record.columns.iter().cloned().chain(former).chain(own).collect()
}

/// The columns of `dead_letters.<stream>`, the same for all streams.
pub fn dead_letter_columns() -> Vec<Column> {
    DEAD_LETTER_COLUMNS.iter().map(|column| column.column()).collect()
}

/// A former column's name, followed by its id if another column has that name, as SQL compares names.
fn free_name(column: &Column, taken: &mut BTreeSet<String>) -> String {
    let mut name = column.name.clone();
    while !taken.insert(folded(&name)) {
        name = format!("{name}_{}", column.id);
    }
    name
}
