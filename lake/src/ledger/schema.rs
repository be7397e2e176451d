//! A schema as the ledger keeps it: the JSON Schema and the columns derived from it, with their field ids.
//!
//! One record is enough for a reader to open the files of every earlier version too. Stored: golden files contain its
//! shape.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{StoredFormat, encode};
use crate::{
    columns::{Column, ColumnIds, columns_of},
    ids::{SchemaId, StreamName},
};

/// `checkpoints/<stream>/schemas/<schema id>.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRecord {
    /// The stream.
    pub stream: StreamName,
    /// The JSON Schema, as the user wrote it.
    pub json_schema: Value,
    /// The columns that bronze files of this version have, before the system columns.
    pub columns: Vec<Column>,
    /// Columns of earlier versions that this one does not have.
    pub former_columns: Vec<Column>,
    /// The next free field id.
    pub next_column_id: i32,
}

impl SchemaRecord {
    /// The record of `json_schema` after `previous`; equal to `previous` if nothing changed.
    ///
    /// # Errors
    /// A message for the user when the schema does not describe objects.
    pub fn derive(stream: &StreamName, json_schema: &Value, previous: Option<&Self>) -> Result<Self, String> {
        let ids = previous.map_or_else(ColumnIds::default, |previous| ColumnIds {
            current: previous.columns.clone(),
            former: previous.former_columns.clone(),
            next: previous.next_column_id,
        });
        let ids = ids.advance(columns_of(json_schema)?);
        Ok(Self {
            stream: stream.clone(),
            json_schema: json_schema.clone(),
            columns: ids.current,
            former_columns: ids.former,
            next_column_id: ids.next,
        })
    }

    /// The schema's id, derived from everything in the record.
    pub fn id(&self) -> SchemaId {
        match encode(self) {
            Ok(bytes) => SchemaId::of(&bytes),
            // Every part of a record came from JSON or can always be written as JSON.
            Err(error) => unreachable!("a schema record has no JSON form: {error}"),
        }
    }
}

impl StoredFormat for SchemaRecord {
    const VERSION: u32 = 1;
}
