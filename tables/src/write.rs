//! Writer: Arrow columns in, the bytes of one Parquet file out.
//!
//! Knows Parquet, and nothing about stores or keys. Invariant: equal rows in equal batches give equal bytes, as long as
//! [`WRITER_VERSION`] and [`library_versions`] are the same.

use std::collections::HashSet;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute,
    datatypes::{DataType, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType},
};
use lake::clock::Timestamp;
use parquet::{
    arrow::{ArrowSchemaConverter, ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, ZstdLevel},
    file::properties::{DEFAULT_CREATED_BY, EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use crate::error::Error;

/// The version of how rows become bytes: raise it whenever a file of equal rows could have other bytes.
///
/// Part of every output file's fingerprint, so that files of two versions are never mistaken for each other.
pub const WRITER_VERSION: u32 = 5;

/// The versions of the libraries that turn rows into bytes, such as `parquet-rs version 58.4.1, zstd 1.5.7`.
///
/// Part of every output file's fingerprint: an update of a library may change bytes, and must not stop a batch that was
/// started before it.
pub fn library_versions() -> String {
    format!("{DEFAULT_CREATED_BY}, zstd {}", zstd::zstd_safe::version_string())
}

/// One complete Parquet file in memory: only then can a store create it in a single request.
#[derive(Debug)]
pub struct WrittenFile {
    /// The file.
    pub bytes: bytes::Bytes,
    /// Its rows; at least one.
    pub rows: u64,
    /// The earliest and the latest value of the event-time column.
    pub event_times: Option<(Timestamp, Timestamp)>,
}

/// Writes one Parquet file, or none if it gets no rows.
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
    /// [`Error::Write`]: a bug, since the rows have the file's schema.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.append(batch, false)
    }

    /// Appends the last rows of the file, and closes it; `None` when no row was written.
    ///
    /// # Errors
    /// As [`FileWriter::write`].
    pub fn finish_with(mut self, last: &RecordBatch) -> Result<Option<WrittenFile>, Error> {
        self.append(last, true)?;
        self.finish()
    }

    fn append(&mut self, batch: &RecordBatch, is_last: bool) -> Result<(), Error> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows() as u64;
        self.watch(batch);
        match &mut self.writer {
            Some(writer) => writer.write(batch).map_err(Error::Write),
            None => {
                let properties = properties(batch, is_last);
                let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
                let schema = SchemaRef::clone(&self.schema);
                let writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options).map_err(Error::Write)?;
                self.writer.insert(writer).write(batch).map_err(Error::Write)
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
    pub fn finish(self) -> Result<Option<WrittenFile>, Error> {
        let Some(writer) = self.writer else { return Ok(None) };
        let bytes = writer.into_inner().map_err(Error::Write)?.into();
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

/// How many of a column's first values are checked to see whether a dictionary pays.
const SAMPLED_ROWS: usize = 1_000;

fn properties(first: &RecordBatch, is_all: bool) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        // For a whole row group and column: readers skip by these, and hardly ever by those of pages.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(format!("sluice writer {WRITER_VERSION}"));
    for (field, column) in first.schema().fields().iter().zip(first.columns()) {
        let path = ColumnPath::from(field.name().as_str());
        if WITHOUT_STATISTICS.contains(&field.name().as_str()) {
            properties = properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        if !repeats_itself(column) {
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
            if is_of_short_texts(column) {
                properties = properties
                    .set_column_bloom_filter_ndv(path.clone(), bloom_values(first.num_rows(), is_all))
                    .set_column_bloom_filter_fpp(path, BLOOM_FALSE_POSITIVES);
            }
        }
    }
    for path in of_many_values(&first.schema()) {
        properties = properties.set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    properties.build()
}

/// The parts of lists and maps. A row has many values there, so no reader skips by the smallest and the largest, and to
/// find these takes as long as for all other columns together where a map has most of the values.
fn of_many_values(schema: &SchemaRef) -> Vec<ColumnPath> {
    let Ok(converted) = ArrowSchemaConverter::new().convert(schema) else { return Vec::new() };
    let many = converted.columns().iter().filter(|column| column.max_rep_level() > 0);
    many.map(|column| column.path().clone()).collect()
}

/// How often a bloom filter sends a reader into a file in vain; at this rate it takes about a byte per value.
const BLOOM_FALSE_POSITIVES: f64 = 0.02;

/// System columns whose smallest and largest text no reader skips by: they cost more than they save.
const WITHOUT_STATISTICS: [&str; 6] =
    ["_source_etag", "_schema_id", "_dead_letter_id", "_error_message", "_raw_record", "_raw_bytes"];

/// How many values a filter has room for at first: as many as the file has rows where that is known. Else a few dozen times
/// as many as are written first; unneeded room is folded away at the end.
fn bloom_values(first_rows: usize, is_all: bool) -> u64 {
    if is_all { first_rows as u64 } else { (first_rows as u64 * 64).min(1 << 20) }
}

/// Up to this length a text is probably an id or a name, which people look up by its whole value.
const ID_BYTES_MAX: usize = 64;

/// Whether people look up single values of a column: then a filter pays, as its smallest and largest value show
/// nothing.
fn is_of_short_texts(column: &ArrayRef) -> bool {
    let Some(texts) = column.as_string_opt::<i32>() else { return false };
    let texts = texts.slice(0, texts.len().min(SAMPLED_ROWS));
    let bytes: usize = texts.iter().flatten().map(str::len).sum();
    bytes <= ID_BYTES_MAX * texts.len()
}

/// Whether values repeat so often that a dictionary pays; if that is unknown, it is tried.
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
