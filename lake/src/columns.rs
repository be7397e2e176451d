//! Columns as the ledger, the writer and the reader know them: a name, a type, and an id that outlives versions.
//!
//! Knows nothing about Arrow or SQL: the crates that do convert from here. Stored in the ledger: add, never change.

mod assign;
mod from_schema;
mod sure;
mod system;

use serde::{Deserialize, Serialize};

pub use assign::ColumnIds;
pub use from_schema::{check_count, columns_of, nullable_properties};
pub use sure::SureProperties;
pub use system::{
    BRONZE_COLUMNS, DEAD_LETTER_COLUMNS, DEAD_LETTER_ID, EXTRA_COLUMN, FIRST_STREAM_COLUMN_ID, SystemColumn,
};

/// One column, or one field of a struct, or the element of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The Parquet field id: stays with the column as long as its name and type mean the same.
    pub id: i32,
    /// The name, as the JSON Schema spells it.
    pub name: String,
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether a row may have no value there.
    pub nullable: bool,
}

/// The type of a column's values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// A whole number from -2^63 to 2^63-1.
    Int64,
    /// An IEEE 754 double.
    Float64,
    /// True or false.
    Boolean,
    /// A moment in UTC, to the microsecond.
    Timestamp,
    /// A calendar day.
    Date,
    /// Bytes.
    Binary,
    /// The text of a JSON value of any kind, as received.
    Json,
    /// Values of one type in order.
    List(Box<Column>),
    /// Named fields.
    Struct(Vec<Column>),
    /// String keys, each with a value.
    Map {
        /// Always a non-null string.
        key: Box<Column>,
        /// The value.
        value: Box<Column>,
    },
}

impl Column {
    /// A column whose id is assigned later, by [`ColumnIds`].
    pub fn unnumbered(name: impl Into<String>, kind: ColumnType, nullable: bool) -> Self {
        Self { id: 0, name: name.into(), kind, nullable }
    }
}
