//! Maps the lake's column types to DuckDB's. No other place does.

use lake::columns::{Column, ColumnType};

use crate::quote::identifier;

/// The SQL type of a column.
pub fn sql_type(kind: &ColumnType) -> String {
    match kind {
        // The JSON type would validate every text at each read; the JSON functions also accept plain text.
        ColumnType::String | ColumnType::Json => "VARCHAR".to_owned(),
        ColumnType::Int64 => "BIGINT".to_owned(),
        ColumnType::Float64 => "DOUBLE".to_owned(),
        ColumnType::Boolean => "BOOLEAN".to_owned(),
        ColumnType::Timestamp => "TIMESTAMP WITH TIME ZONE".to_owned(),
        ColumnType::Date => "DATE".to_owned(),
        ColumnType::Binary => "BLOB".to_owned(),
        ColumnType::List(element) => format!("{}[]", sql_type(&element.kind)),
        ColumnType::Struct(fields) => {
            let field = |field: &Column| format!("{} {}", identifier(&field.name), sql_type(&field.kind));
            format!("STRUCT({})", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        ColumnType::Map { key, value } => format!("MAP({}, {})", sql_type(&key.kind), sql_type(&value.kind)),
    }
}
