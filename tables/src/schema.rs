//! The lake's columns as Arrow fields, each with its Parquet field id; and the field ids of files that are read.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use lake::columns::{Column, ColumnType};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

/// The Arrow schema of these columns, in order.
pub fn arrow_schema<'a>(columns: impl IntoIterator<Item = &'a Column>) -> SchemaRef {
    Arc::new(Schema::new(columns.into_iter().map(arrow_field).collect::<Vec<_>>()))
}

/// A column as an Arrow field with its Parquet field id.
pub fn arrow_field(column: &Column) -> Field {
    let id = [(PARQUET_FIELD_ID_META_KEY.to_owned(), column.id.to_string())];
    Field::new(&column.name, arrow_type(&column.kind), column.nullable).with_metadata(id.into())
}

/// The Parquet field id of a field; `None` if it has none.
pub fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

fn arrow_type(kind: &ColumnType) -> DataType {
    match kind {
        ColumnType::String | ColumnType::Json => DataType::Utf8,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Date => DataType::Date32,
        ColumnType::Binary => DataType::Binary,
        ColumnType::List(element) => DataType::List(Arc::new(arrow_field(element))),
        ColumnType::Struct(fields) => DataType::Struct(fields.iter().map(arrow_field).collect()),
        ColumnType::Map { key, value } => DataType::Map(Arc::new(entries_field(key, value)), false),
    }
}

/// The field of a map's entries.
pub(crate) fn entries_field(key: &Column, value: &Column) -> Field {
    let fields = vec![arrow_field(key), arrow_field(value)];
    Field::new("key_value", DataType::Struct(fields.into()), false)
}
