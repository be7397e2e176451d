//! Reads one object as the consumer does, without a ledger or a store.

use std::sync::Arc;

use consumer::execute::{Fetched, Progress, Source, TaskContext, execute};
use lake::{
    clock::Timestamp,
    ids::BatchId,
    keys::Key,
    ledger::{PlannedObject, SchemaRecord},
    stream::ReadSettings,
};
use serde_json::Value;
use tables::BatchOrigin;

/// How many rows and dead letters an object gave, with compiled rules and without.
pub(crate) fn read(schema: &Value, settings: &ReadSettings, bytes: &[u8]) -> Result<(u64, u64), String> {
    let one = read_with(schema, settings, bytes, false)?;
    let other = read_with(schema, settings, bytes, true)?;
    if one == other { Ok(one) } else { Err(format!("rules and judge disagree: {one:?} and {other:?}")) }
}

fn read_with(schema: &Value, settings: &ReadSettings, bytes: &[u8], judges_all: bool) -> Result<(u64, u64), String> {
    let stream = "suite".parse().map_err(|error| format!("{error}"))?;
    let record = SchemaRecord::derive(&stream, schema, None)?;
    let ingested_at = Timestamp::from_micros(0).ok_or("no time")?;
    let origin = BatchOrigin { batch: BatchId::FIRST, ingested_at, schema_id: record.id() };
    let context = Arc::new(TaskContext::new(origin, record, settings.clone(), judges_all)?);
    let key = Key::Raw { stream, rest: "object".to_owned() };
    let object =
        PlannedObject { key, etag: "e".to_owned(), size: bytes.len() as u64, earlier: Vec::new(), last_try: false };
    let fetched = [Ok(Fetched::Object(Source::Whole(bytes.to_vec().into())))];
    let emit = Box::new(|_| Ok(()));
    let executed = execute(&context, &[object], fetched, |_| {}, &Progress::default(), emit);
    let (output, _) = executed.map_err(|error| error.to_string())?;
    output.objects.first().map(|object| (object.rows, object.dead_letters)).ok_or_else(|| "no outcome".to_owned())
}
