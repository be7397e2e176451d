//! Reads committed files of any schema version as one stream of record batches.
//!
//! Finds columns by their Parquet field ids, nested ones too: a column that a file does not have is null, and one that
//! was widened since is widened. Reads only the bytes of the wanted columns, from any store. Invariant: every batch has
//! the table's schema.

mod adapt;

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, new_null_array},
    datatypes::{Field, FieldRef, Int64Type, SchemaRef},
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use lake::{
    columns::{BRONZE_COLUMNS, Column, DEAD_LETTER_COLUMNS, DEAD_LETTER_ID},
    dead_letter::DeadLetterIds,
    ledger::{OutputFile, SchemaRecord},
    store::Lake,
};
use parquet::{
    arrow::{
        ParquetRecordBatchStreamBuilder, ProjectionMask,
        async_reader::{ParquetObjectReader, ParquetRecordBatchStream},
    },
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
};

use crate::{
    error::Error,
    schema::{arrow_schema, field_id},
};

/// How many files are opened ahead of the one being read: enough to hide a store's latency.
const OPENED_AHEAD: usize = 4;

/// A table over committed files: a stream's rows or its dead letters, with one schema.
#[derive(Clone, Debug)]
pub struct Table {
    lake: Lake,
    columns: Vec<Column>,
    schema: SchemaRef,
}

impl Table {
    /// The rows of a stream as `record` describes them: its columns, then the system columns.
    ///
    /// Columns of earlier schema versions are not shown; add them with [`Table::of`].
    pub fn bronze(lake: Lake, record: &SchemaRecord) -> Self {
        let own = record.columns.iter().cloned().map(nullable);
        let system = BRONZE_COLUMNS.iter().map(|column| column.column());
        Self::of(lake, own.chain(system).collect())
    }

    /// The dead letters of a stream: the same columns for all streams.
    pub fn dead_letters(lake: Lake) -> Self {
        Self::of(lake, DEAD_LETTER_COLUMNS.iter().map(|column| column.column()).collect())
    }

    /// A table of these columns, by their field ids. A column that some file may lack must be nullable, nested ones too.
    pub fn of(lake: Lake, columns: Vec<Column>) -> Self {
        let schema = arrow_schema(&columns);
        Self { lake, columns, schema }
    }

    /// The same table with only the columns of these names, in this order; unknown names are left out.
    #[must_use]
    pub fn project(self, names: &[&str]) -> Self {
        let named = |name: &&str| self.columns.iter().find(|column| column.name == *name).cloned();
        let columns = names.iter().filter_map(named).collect();
        Self::of(self.lake, columns)
    }

    /// The schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// Reads these files, in order. They must belong to this table: name those that commits add and do not remove.
    ///
    /// # Errors
    /// Each item may be an [`Error::Read`] or [`Error::Damaged`] that names the file; nothing follows it.
    pub fn read(&self, files: Vec<OutputFile>) -> BoxStream<'static, Result<RecordBatch, Error>> {
        let open = {
            let table = self.clone();
            move |file| {
                let table = table.clone();
                async move { table.open(file).await }
            }
        };
        stream::iter(files).map(open).buffered(OPENED_AHEAD).try_flatten().boxed()
    }

    async fn open(self, file: OutputFile) -> Result<BoxStream<'static, Result<RecordBatch, Error>>, Error> {
        let key = file.key.to_string();
        let failed = |source| Error::Read { key: key.clone(), source };
        let store = Arc::clone(self.lake.store(&file.key));
        let object = ParquetObjectReader::new(store, self.lake.path(&file.key)).with_file_size(file.size);
        let builder = ParquetRecordBatchStreamBuilder::new(object).await.map_err(failed)?;
        let layout = Layout::of(&self.columns, builder.schema());
        let mask = ProjectionMask::roots(builder.parquet_schema(), layout.roots.iter().copied());
        let batches: ParquetRecordBatchStream<_> = builder.with_projection(mask).build().map_err(failed)?;
        let failed = move |source| Error::Read { key: file.key.to_string(), source };
        Ok(batches
            .map_err(failed)
            .and_then(move |batch| futures::future::ready(self.fit(&layout, &batch, &key)))
            .boxed())
    }

    /// A file's batch in the table's schema.
    fn fit(&self, layout: &Layout, batch: &RecordBatch, key: &str) -> Result<RecordBatch, Error> {
        let damaged = |what: String| Error::Damaged { key: key.to_owned(), what };
        let mut arrays = Vec::with_capacity(layout.sources.len());
        for (source, wanted) in layout.sources.iter().zip(self.schema.fields()) {
            arrays.push(match source {
                Source::Column(at) => {
                    adapt::adapt(batch.column(*at), batch.schema_ref().field(*at), wanted).map_err(&damaged)?
                }
                Source::Absent if wanted.is_nullable() => new_null_array(wanted.data_type(), batch.num_rows()),
                Source::Absent => return Err(damaged(format!("has no column {:?}", wanted.name()))),
                Source::DeadLetterId(origin) => dead_letter_ids(batch, origin)
                    .ok_or_else(|| damaged("does not say where its dead letters are from".to_owned()))?,
            });
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema(), arrays, &options)
            .map_err(|error| damaged(format!("can't be read: {error}")))
    }
}

/// The same column, nullable, and its fields too: an older file may lack them.
fn nullable(column: Column) -> Column {
    use lake::columns::ColumnType;
    let kind = match column.kind {
        ColumnType::Struct(fields) => ColumnType::Struct(fields.into_iter().map(nullable).collect()),
        ColumnType::List(element) => ColumnType::List(Box::new(nullable(*element))),
        ColumnType::Map { key, value } => ColumnType::Map { key, value: Box::new(nullable(*value)) },
        flat => flat,
    };
    Column { kind, nullable: true, ..column }
}

/// Where a table's columns are in one file.
#[derive(Debug)]
struct Layout {
    /// The columns that are read from the file, in the file's order.
    roots: Vec<usize>,
    /// For each column of the table.
    sources: Vec<Source>,
}

#[derive(Debug)]
enum Source {
    /// The file's column, by its place among those that are read.
    Column(usize),
    /// The file is older than the column.
    Absent,
    /// The file is older than `_dead_letter_id`, which is derived from key, ETag and index: their places.
    DeadLetterId([usize; 3]),
}

impl Layout {
    fn of(columns: &[Column], file: &SchemaRef) -> Self {
        let root = |id: i32| file.fields().iter().position(|field| field_id(field) == Some(id));
        let origin = || ORIGIN_IDS.map(root).into_iter().collect::<Option<Vec<_>>>();
        let mut roots: Vec<usize> = columns.iter().filter_map(|column| root(column.id)).collect();
        let derives_id = columns.iter().any(|column| column.id == DEAD_LETTER_ID) && root(DEAD_LETTER_ID).is_none();
        if derives_id {
            roots.extend(origin().into_iter().flatten());
        }
        roots.sort_unstable();
        roots.dedup();
        let read = |at: usize| roots.iter().position(|root| *root == at);
        let source = |column: &Column| match (root(column.id).and_then(read), origin()) {
            (Some(at), _) => Source::Column(at),
            (None, Some(origin)) if column.id == DEAD_LETTER_ID => {
                let places: Vec<usize> = origin.into_iter().filter_map(read).collect();
                <[usize; 3]>::try_from(places).map_or(Source::Absent, Source::DeadLetterId)
            }
            (None, _) => Source::Absent,
        };
        Self { sources: columns.iter().map(source).collect(), roots }
    }
}

/// `_source_key`, `_source_etag` and `_record_index`.
const ORIGIN_IDS: [i32; 3] = [1, 2, 3];

/// The ids of dead letters in files without them.
fn dead_letter_ids(batch: &RecordBatch, [key, etag, index]: &[usize; 3]) -> Option<ArrayRef> {
    let text = |at: &usize| batch.column(*at).as_string_opt::<i32>();
    let (keys, etags) = (text(key)?, text(etag)?);
    let indexes = batch.column(*index).as_primitive_opt::<Int64Type>()?;
    let id = |row| {
        let index = indexes.is_valid(row).then(|| indexes.value(row).unsigned_abs());
        DeadLetterIds::of(keys.value(row), etags.value(row)).id(index).to_string()
    };
    Some(Arc::new((0..batch.num_rows()).map(|row| Some(id(row))).collect::<StringArray>()))
}

/// How many rows a Parquet file has, by its footer.
///
/// # Errors
/// Parquet's error if the bytes are not a Parquet file.
pub fn row_count(file: Bytes) -> Result<i64, ParquetError> {
    Ok(SerializedFileReader::new(file)?.metadata().file_metadata().num_rows())
}

/// The field of a struct that matches `wanted`: by field id, or by name if the file has no ids.
fn counterpart<'a>(fields: &'a [FieldRef], wanted: &Field) -> Option<(usize, &'a FieldRef)> {
    let is_it = |field: &FieldRef| match (field_id(field), field_id(wanted)) {
        (Some(found), Some(id)) => found == id,
        _ => field.name() == wanted.name(),
    };
    fields.iter().enumerate().find(|(_, field)| is_it(field))
}
