//! Reads one object as its own task, without a ledger or a store.

use std::{
    io::{self, Read},
    sync::{Arc, Mutex},
};

use consumer::execute::{
    self, Fetched, Made, ObjectResult, OutputKind, OutputPart, Progress, Source, Streamed, TaskContext,
};
use lake::{
    clock::Timestamp,
    dead_letter::Fault,
    ids::BatchId,
    keys::Key,
    ledger::{PlannedObject, SchemaRecord},
    stream::ReadSettings,
};
use serde_json::{Map, Value};
use tables::BatchOrigin;

use crate::lake_in_a_folder::{events, parquet_rows};

/// What one object gave.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) result: ObjectResult,
    pub(crate) rows: Vec<Map<String, Value>>,
    pub(crate) dead_letters: Vec<Map<String, Value>>,
}

impl Given {
    /// The code of each dead letter.
    pub(crate) fn codes(&self) -> Vec<&str> {
        self.dead_letters.iter().map(|letter| letter["_error_code"].as_str().unwrap()).collect()
    }

    /// The message of each dead letter.
    pub(crate) fn messages(&self) -> Vec<&str> {
        self.dead_letters.iter().map(|letter| letter["_error_message"].as_str().unwrap()).collect()
    }
}

/// Everything that decides what an object gives.
pub(crate) fn context(schema: &Value, read: ReadSettings, compiled: bool) -> Arc<TaskContext> {
    context_of(&SchemaRecord::derive(&events(), schema, None).unwrap(), read, compiled)
}

pub(crate) fn context_of(record: &SchemaRecord, read: ReadSettings, compiled: bool) -> Arc<TaskContext> {
    let origin =
        BatchOrigin { batch: BatchId::FIRST, ingested_at: Timestamp::from_micros(0).unwrap(), schema_id: record.id() };
    Arc::new(TaskContext::new(origin, record.clone(), read, !compiled).unwrap())
}

/// Reads an object of these bytes from memory.
pub(crate) fn read(context: &Arc<TaskContext>, bytes: &[u8]) -> Given {
    read_source(context, Source::Whole(bytes.to_vec().into()), bytes.len())
}

/// Reads an object of these bytes in pieces of this length.
pub(crate) fn read_in_pieces(context: &Arc<TaskContext>, bytes: &[u8], piece: usize) -> Given {
    let streamed = InPieces { bytes: bytes.to_vec().into(), piece };
    read_source(context, Source::Streamed(Arc::new(streamed)), bytes.len())
}

pub(crate) fn read_source(context: &Arc<TaskContext>, source: Source, size: usize) -> Given {
    let object = PlannedObject {
        key: Key::Raw { stream: events(), rest: "a".to_owned() },
        etag: "e".to_owned(),
        size: size as u64,
        earlier: Vec::new(),
        last_try: false,
    };
    let parts: Arc<Mutex<Vec<OutputPart>>> = Arc::default();
    let emitted = Arc::clone(&parts);
    let emit = Box::new(move |made| {
        if let Made::File(part) = made {
            emitted.lock().unwrap().push(part);
        }
        Ok(())
    });
    let fetched = [Ok(Fetched::Object(source))];
    let (output, _) = execute::execute(context, &[object], fetched, |_| {}, &Progress::default(), emit).unwrap();
    let [result] = output.objects.try_into().unwrap();
    let (mut rows, mut dead_letters) = (Vec::new(), Vec::new());
    for OutputPart { kind, file, .. } in parts.lock().unwrap().drain(..) {
        match kind {
            OutputKind::Bronze => rows.extend(parquet_rows(file.bytes)),
            OutputKind::DeadLetters => dead_letters.extend(parquet_rows(file.bytes)),
        }
    }
    assert_eq!((result.rows, result.dead_letters), (rows.len() as u64, dead_letters.len() as u64));
    Given { result, rows, dead_letters }
}

/// Reason and code of the object's only dead letter, which is for the whole object.
pub(crate) fn fault_of_object(given: &Given) -> (&str, &str) {
    let [letter] = given.dead_letters.as_slice() else { panic!("{given:?}") };
    assert!(letter.get("_record_index").is_none(), "{letter:?}");
    (letter["_dead_letter_reason"].as_str().unwrap(), letter["_error_code"].as_str().unwrap())
}

/// What the consumer's parser makes of a text.
pub(crate) fn parse(text: &str, depth: u64) -> Result<Value, Fault> {
    consumer::enforce::parse(text, consumer::enforce::Limits { depth, fields: 1_000 })
}

#[derive(Debug)]
struct InPieces {
    bytes: Arc<[u8]>,
    piece: usize,
}

impl Streamed for InPieces {
    fn open(&self) -> Box<dyn Read + Send> {
        Box::new(Pieces { bytes: Arc::clone(&self.bytes), at: 0, piece: self.piece })
    }
}

struct Pieces {
    bytes: Arc<[u8]>,
    at: usize,
    piece: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.bytes[self.at..];
        let length = rest.len().min(self.piece).min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}
