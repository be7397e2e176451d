//! What the benchmarks of the consumer's stages work on: the producer's events, always the same.
//!
//! The measurements of whole programs beside others are `run.py`'s.

use consumer::rows::BatchOrigin;
use lake::{
    clock::Timestamp,
    ids::{BatchId, StreamName},
    ledger::SchemaRecord,
    stream::{Format, ReadSettings},
};
use producer::batch::{Earlier, Recipe};

/// Events as lines of JSON, and what they are held to.
#[derive(Debug)]
pub struct Events {
    /// One event in each line.
    pub lines: String,
    /// The schema of the stream `events`, with its columns.
    pub schema: SchemaRecord,
    /// How they are read.
    pub settings: ReadSettings,
}

impl Events {
    /// So many events, the share `invalid` of which breaks the schema; the same ones each time.
    ///
    /// # Panics
    /// Where the stream's own files are not what they were.
    pub fn new(count: usize, invalid: f64) -> Self {
        let stream: StreamName = "events".parse().expect("a name");
        let recipe = Recipe {
            stream: stream.clone(),
            format: Format::Ndjson,
            batch_size: count,
            corrupt_batches: 0.0,
            invalid_records: invalid,
            duplicates: 0.0,
            seed: 1,
            compression: producer::Compression::None,
        };
        let at = Timestamp::from_micros(1_767_225_600_000_000).expect("a moment");
        let bytes = recipe.batch(1, at, &mut Earlier::default()).bytes;
        let schema = include_str!("../../../streams/events.schema.json");
        let schema = serde_json::from_str(schema).expect("the stream's schema is JSON");
        Self {
            lines: String::from_utf8(bytes.to_vec()).expect("events are text"),
            schema: SchemaRecord::derive(&stream, &schema, None).expect("the stream's schema has columns"),
            settings: ReadSettings::of(Format::Ndjson),
        }
    }

    /// Where the rows say they are from.
    ///
    /// # Panics
    /// Never: the moment is one.
    pub fn origin(&self) -> BatchOrigin {
        let ingested_at = Timestamp::from_micros(0).expect("a moment");
        BatchOrigin { batch: BatchId::FIRST, ingested_at, schema_id: self.schema.id() }
    }
}
