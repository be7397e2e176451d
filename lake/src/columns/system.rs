//! The columns that every file has in addition to its stream's own: where a row came from, and why it is a dead letter.
//!
//! The ids below 100 are Sluice's own and are stored in every file: add, never change, never reuse.

use super::{Column, ColumnType};

/// The first field id that a stream's own columns may have.
pub const FIRST_STREAM_COLUMN_ID: i32 = 100;

/// The column that keeps the fields that the schema does not name, as one JSON object.
pub const EXTRA_COLUMN: &str = "_extra";

/// A system column, in a form that can be a constant.
#[derive(Clone, Copy, Debug)]
pub struct SystemColumn {
    /// Its field id.
    pub id: i32,
    /// Its name.
    pub name: &'static str,
    /// Its type, never a nested one.
    pub kind: fn() -> ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
}

impl SystemColumn {
    /// The same as a [`Column`].
    pub fn column(&self) -> Column {
        Column { id: self.id, name: self.name.to_owned(), kind: (self.kind)(), nullable: self.nullable }
    }
}

macro_rules! columns {
    ($($id:literal $name:literal $kind:ident $nullable:literal;)*) => {
        &[$(SystemColumn { id: $id, name: $name, kind: || ColumnType::$kind, nullable: $nullable }),*]
    };
}

/// The columns that bronze adds to every row, after the stream's own columns.
pub const BRONZE_COLUMNS: &[SystemColumn] = columns! {
    1 "_source_key" String false;
    2 "_source_etag" String false;
    3 "_record_index" Int64 false;
    4 "_batch_id" Int64 false;
    5 "_ingested_at" Timestamp false;
    6 "_schema_id" String false;
};

/// The field id of `_dead_letter_id`. Files written before it existed lack the column: its value follows from the others, see
/// [`crate::dead_letter::DeadLetterIds`].
pub const DEAD_LETTER_ID: i32 = 29;

/// The columns of the dead-letter table, the same for all streams.
///
/// `_record_index`, `_byte_offset` and `_byte_length` say where the record is in its object; for a
/// `corrupted_batch` the index is null and the bytes are those of the whole object.
pub const DEAD_LETTER_COLUMNS: &[SystemColumn] = columns! {
    20 "_dead_letter_reason" String false;
    21 "_error_code" String false;
    22 "_error_path" String true;
    23 "_error_message" String false;
    24 "_raw_record" String true;
    25 "_raw_bytes" Binary true;
    26 "_raw_truncated" Boolean false;
    1 "_source_key" String false;
    2 "_source_etag" String false;
    3 "_record_index" Int64 true;
    27 "_byte_offset" Int64 false;
    28 "_byte_length" Int64 false;
    4 "_batch_id" Int64 false;
    5 "_ingested_at" Timestamp false;
    6 "_schema_id" String false;
    29 "_dead_letter_id" String false;
};
