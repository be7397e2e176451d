//! The lake's tables as Arrow and Parquet: columns under construction, the files that are written, and the reader of
//! committed files of any schema version.
//!
//! The only crate that uses arrow and parquet. Knows the lake's columns and storage. Knows nothing about JSON Schema,
//! formats or plans. Invariant: a column is found by its field id, never by its place or name.

pub mod column;
pub mod dead_letters;
mod error;
mod read;
pub mod rows;
pub mod schema;
mod write;

pub use arrow::{array::RecordBatch, datatypes::SchemaRef};
pub use error::Error;
pub use read::{Table, row_count};
pub use rows::{BatchOrigin, RowBuilder};
pub use write::{FileWriter, WRITER_VERSION, WrittenFile, library_versions};
