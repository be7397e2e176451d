//! Writer: Arrow columns in, the bytes of one Parquet file out.
//!
//! Knows Parquet and nothing of stores or keys. Invariant: equal rows in equal batches give equal bytes.

use std::collections::HashSet;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute,
    datatypes::{DataType, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType},
};
use lake::clock::Timestamp;
use parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

/// The version of how rows become bytes: raise it whenever a file of equal rows could come out otherwise.
///
/// A part of every output file's fingerprint, so that files of two versions never pass for one another.
pub const WRITER_VERSION: u32 = 3;

/// One Parquet file, complete, in memory: a store can create it in a single request only.
#[derive(Debug)]
pub struct WrittenFile {
    /// The file.
    pub bytes: bytes::Bytes,
    /// Its rows; at least one.
    pub rows: u64,
    /// The earliest and the latest value of the column that was watched.
    pub event_times: Option<(Timestamp, Timestamp)>,
}

/// Writes one Parquet file; makes none where there is no row.
pub struct FileWriter {
    schema: SchemaRef,
    writer: Option<ArrowWriter<Vec<u8>>>,
    rows: u64,
    watched: Option<usize>,
    event_micros: Option<(i64, i64)>,
}

impl FileWriter {
    /// A writer of files with this schema, noting the range of the timestamp column `event_time`, if there is one.
    pub fn new(schema: SchemaRef, event_time: Option<&str>) -> Self {
        let watched = event_time.and_then(|name| schema.index_of(name).ok());
        let is_time = |at: &usize| matches!(schema.field(*at).data_type(), DataType::Timestamp(..));
        let watched = watched.filter(is_time);
        Self { schema, writer: None, rows: 0, watched, event_micros: None }
    }

    /// Appends rows to the file.
    ///
    /// # Errors
    /// What the Parquet library refuses: a bug, since the rows have the file's schema.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows() as u64;
        self.watch(batch);
        match &mut self.writer {
            Some(writer) => writer.write(batch),
            None => {
                let properties = properties(batch);
                let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
                let schema = SchemaRef::clone(&self.schema);
                let writer = self.writer.insert(ArrowWriter::try_new_with_options(Vec::new(), schema, options)?);
                writer.write(batch)
            }
        }
    }

    /// About how long the file would be if it ended here, in bytes.
    pub fn bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, |writer| writer.bytes_written() + writer.in_progress_size())
    }

    /// The finished file; `None` when no row was written.
    ///
    /// # Errors
    /// As [`FileWriter::write`].
    pub fn finish(self) -> Result<Option<WrittenFile>, ParquetError> {
        let Some(writer) = self.writer else { return Ok(None) };
        let bytes = writer.into_inner()?.into();
        let event_times =
            self.event_micros.and_then(|(min, max)| Some((Timestamp::from_micros(min)?, Timestamp::from_micros(max)?)));
        Ok(Some(WrittenFile { bytes, rows: self.rows, event_times }))
    }

    fn watch(&mut self, batch: &RecordBatch) {
        let Some(at) = self.watched else { return };
        let column = batch.column(at).as_primitive::<TimestampMicrosecondType>();
        if let (Some(min), Some(max)) = (compute::min(column), compute::max(column)) {
            let (low, high) = self.event_micros.unwrap_or((min, max));
            self.event_micros = Some((low.min(min), high.max(max)));
        }
    }
}

/// How many of a column's first values are looked at to see whether a dictionary pays.
const SAMPLED_ROWS: usize = 1_000;

fn properties(first: &RecordBatch) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        // For a row group and column as a whole: readers skip by these, and hardly any by those of pages.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(format!("sluice writer {WRITER_VERSION}"));
    for (field, column) in first.schema().fields().iter().zip(first.columns()) {
        let path = ColumnPath::from(field.name().as_str());
        if !repeats_itself(column) {
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
            if is_of_short_texts(column) {
                properties = properties
                    .set_column_bloom_filter_ndv(path.clone(), bloom_values(first.num_rows()))
                    .set_column_bloom_filter_fpp(path, BLOOM_FALSE_POSITIVES);
            }
        }
    }
    properties.build()
}

/// How often a bloom filter sends a reader into a file for nothing; its size is about a byte for each value then.
const BLOOM_FALSE_POSITIVES: f64 = 0.02;

/// For how many values a filter has room at first; what it does not need is folded away in the end. A file has some dozens of
/// times as many rows as are written first, or just those.
fn bloom_values(first_rows: usize) -> u64 {
    (first_rows as u64 * 64).min(1 << 20)
}

/// Up to here a text is likely an id or a name, which people look for by its whole value.
const ID_BYTES_MAX: usize = 64;

/// Whether a column holds what one looks up in it: a filter pays then, as its smallest and largest value say nothing.
fn is_of_short_texts(column: &ArrayRef) -> bool {
    let Some(texts) = column.as_string_opt::<i32>() else { return false };
    let texts = texts.slice(0, texts.len().min(SAMPLED_ROWS));
    let bytes: usize = texts.iter().flatten().map(str::len).sum();
    bytes <= ID_BYTES_MAX * texts.len()
}

/// Whether values come again so often that a dictionary of them pays; where that is not known, it is tried.
fn repeats_itself(column: &ArrayRef) -> bool {
    let sample = column.slice(0, column.len().min(SAMPLED_ROWS));
    let distinct = match sample.data_type() {
        DataType::Utf8 => sample.as_string::<i32>().iter().flatten().collect::<HashSet<_>>().len(),
        DataType::Int64 => sample.as_primitive::<Int64Type>().values().iter().collect::<HashSet<_>>().len(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            sample.as_primitive::<TimestampMicrosecondType>().values().iter().collect::<HashSet<_>>().len()
        }
        _ => return true,
    };
    distinct * 2 <= sample.len()
}
