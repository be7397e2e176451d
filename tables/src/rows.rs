//! Rows: values that passed, as Arrow columns, each with its origin.
//!
//! Knows Arrow and the lake's columns. Knows nothing about schemas, formats or files. Invariant: a value is appended
//! completely or not at all, and is never changed.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, Int64Array, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder},
    datatypes::{Schema, SchemaRef},
};
use lake::{
    clock::Timestamp,
    columns::{BRONZE_COLUMNS, Column},
    dead_letter::Fault,
    ids::{BatchId, SchemaId},
};
use serde_json::Value;

use crate::{
    column::{self, ColumnBuilder, FieldNames},
    schema::arrow_field,
};

/// The approximate bytes per row of the system columns, without texts.
const ROW_OVERHEAD_BYTES: usize = 64;

/// What all rows and dead letters of one batch have in common.
#[derive(Clone, Debug)]
pub struct BatchOrigin {
    /// The batch.
    pub batch: BatchId,
    /// When it was planned.
    pub ingested_at: Timestamp,
    /// The schema that its records were validated against.
    pub schema_id: SchemaId,
}

/// Collects rows into Arrow columns.
pub struct RowBuilder {
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    names: FieldNames,
    extra: Option<usize>,
    /// The objects that the rows came from, each with its number of rows.
    objects: Vec<(String, String, usize)>,
    indexes: Vec<i64>,
    origin: BatchOrigin,
    rows: usize,
    bytes: usize,
    row_overhead: usize,
}

impl RowBuilder {
    /// A builder of a stream's columns followed by the system columns.
    pub fn new(columns: &[Column], origin: BatchOrigin) -> Self {
        let own = columns.iter().map(arrow_field);
        let system = BRONZE_COLUMNS.iter().map(|column| arrow_field(&column.column()));
        Self {
            schema: Arc::new(Schema::new(own.chain(system).collect::<Vec<_>>())),
            columns: columns.iter().map(ColumnBuilder::new).collect(),
            names: FieldNames::of(columns),
            extra: column::extra_field(columns),
            objects: Vec::new(),
            indexes: Vec::new(),
            origin,
            rows: 0,
            bytes: 0,
            row_overhead: ROW_OVERHEAD_BYTES,
        }
    }

    /// The Arrow schema, with Parquet field ids, of what [`RowBuilder::take`] returns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Sets the object and version of the rows that follow.
    pub fn begin_object(&mut self, key: &str, etag: &str) {
        self.objects.push((key.to_owned(), etag.to_owned(), 0));
        // For short records with long keys, the repeated values count as well.
        self.row_overhead = key.len() + etag.len() + ROW_OVERHEAD_BYTES;
    }

    /// Appends a record that its schema accepts, the `index`th of its object; `raw_bytes` is its size as text.
    ///
    /// # Errors
    /// The record's fault (`unrepresentable`) when a column can't store a value unchanged; then nothing was appended.
    pub fn append(&mut self, record: &Value, index: u64, raw_bytes: usize) -> Result<(), Fault> {
        let fields = column::object_fields(record)?;
        column::check_fields(&self.columns, &self.names, self.extra, fields)?;
        column::append_fields(&mut self.columns, &self.names, self.extra, fields);
        self.close_row(index, raw_bytes);
        Ok(())
    }

    /// Appends a record that `read` puts into the columns, one value into each; if it fails, nothing is appended.
    pub fn append_by<E>(
        &mut self,
        index: u64,
        read: impl FnOnce(&mut [ColumnBuilder]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        match read(&mut self.columns) {
            Ok(raw_bytes) => {
                self.close_row(index, raw_bytes);
                Ok(raw_bytes)
            }
            Err(error) => {
                self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
                Err(error)
            }
        }
    }

    #[inline]
    fn close_row(&mut self, index: u64, raw_bytes: usize) {
        if let Some((_, _, rows)) = self.objects.last_mut() {
            *rows += 1;
        }
        self.indexes.push(index as i64);
        self.rows += 1;
        self.bytes += raw_bytes + self.row_overhead;
    }

    /// How many rows are collected.
    #[inline]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Drops all collected rows after the first `rows`.
    pub fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
        self.indexes.truncate(rows);
        let mut surplus = self.rows - rows;
        for (_, _, of_object) in self.objects.iter_mut().rev() {
            let taken = surplus.min(*of_object);
            *of_object -= taken;
            surplus -= taken;
        }
        self.rows = rows;
    }

    /// About how much memory the collected rows take, in bytes.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows collected since the last call; the builder is then empty.
    pub fn take(&mut self) -> RecordBatch {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let mut arrays: Vec<ArrayRef> = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let (mut keys, mut etags) = (StringBuilder::new(), StringBuilder::new());
        for (key, etag, rows) in &mut self.objects {
            let rows = std::mem::take(rows);
            keys.append_value_n(key, rows);
            etags.append_value_n(etag, rows);
        }
        // More rows of the last object may follow.
        self.objects.drain(..self.objects.len().saturating_sub(1));
        let indexes = Int64Array::from(std::mem::take(&mut self.indexes));
        arrays.extend([Arc::new(keys.finish()) as ArrayRef, Arc::new(etags.finish()), Arc::new(indexes)]);
        arrays.extend(origin_arrays(&self.origin, rows));
        RecordBatch::try_new(self.schema(), arrays).expect("each builder got one value per row, of its column's type")
    }

    /// Reuses the memory of rows that [`RowBuilder::take`] returned and that are not used any more. So the next rows
    /// need no new memory from the system, and no moves while it grows. The builder must be empty.
    pub fn reuse(&mut self, rows: RecordBatch) {
        let (_, arrays, _) = rows.into_parts();
        for (column, array) in self.columns.iter_mut().zip(arrays) {
            let data = array.to_data();
            drop(array);
            column.reuse(data);
        }
    }

    /// Prepares the empty builder for another task's rows, so that it can continue with the same memory.
    pub fn begin_task(&mut self, origin: BatchOrigin) {
        self.objects.clear();
        self.origin = origin;
    }
}

/// The columns `_batch_id`, `_ingested_at` and `_schema_id`: one value, `rows` times.
pub(crate) fn origin_arrays(origin: &BatchOrigin, rows: usize) -> [ArrayRef; 3] {
    let mut batches = Int64Builder::with_capacity(rows);
    batches.append_value_n(origin.batch.number() as i64, rows);
    let mut times = TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC");
    times.append_value_n(origin.ingested_at.micros(), rows);
    let mut schemas = StringBuilder::new();
    schemas.append_value_n(origin.schema_id.as_str(), rows);
    [Arc::new(batches.finish()), Arc::new(times.finish()), Arc::new(schemas.finish())]
}
