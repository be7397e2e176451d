//! The data for the benchmarks of the consumer's stages: events of the producer, always the same.
//!
//! `run.py` compares whole programs.

use lake::{
    clock::Timestamp,
    ids::{BatchId, StreamName},
    ledger::SchemaRecord,
    stream::{Format, ReadSettings},
};
use producer::batch::{Earlier, Recipe};
use tables::BatchOrigin;

/// Events as lines of JSON, and the schema they are validated against.
#[derive(Debug)]
pub struct Events {
    /// One event per line.
    pub lines: String,
    /// The schema of the stream `events`, with its columns.
    pub schema: SchemaRecord,
    /// How to read them.
    pub settings: ReadSettings,
}

impl Events {
    /// `count` events, always the same; a share of `invalid` breaks the schema.
    ///
    /// # Panics
    /// If the files of the stream have changed.
    pub fn new(count: usize, invalid: f64) -> Self {
        let stream: StreamName = "events".parse().expect("a valid name");
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
        let at = Timestamp::from_micros(1_767_225_600_000_000).expect("a valid timestamp");
        let bytes = recipe.batch(1, at, &mut Earlier::default()).bytes;
        let schema = include_str!("../../../streams/events.schema.json");
        let schema = serde_json::from_str(schema).expect("the stream's schema is JSON");
        Self {
            lines: String::from_utf8(bytes.to_vec()).expect("events are text"),
            schema: SchemaRecord::derive(&stream, &schema, None).expect("the stream's schema has columns"),
            settings: ReadSettings::of(Format::Ndjson),
        }
    }

    /// The origin that the rows name.
    ///
    /// # Panics
    /// Never: the timestamp is valid.
    pub fn origin(&self) -> BatchOrigin {
        let ingested_at = Timestamp::from_micros(0).expect("a valid timestamp");
        BatchOrigin { batch: BatchId::FIRST, ingested_at, schema_id: self.schema.id() }
    }
}
