//! Compares the compiled enforcer with parser and judge: both must write the same files for an object, byte for byte.
//!
//! An input selects one of 2048 schemas and a format. The object is either the rest of the input as it is, or one
//! generated for the schema and edited as the rest says, so that most of it stays nearly valid.

#![no_main]

#[path = "../../../consumer/tests/it/agreement/cases.rs"]
mod cases;

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::{Arc, Mutex},
};

use consumer::execute::{Fetched, Made, Progress, Source, TaskContext, execute};
use fastrand::Rng;
use lake::{
    clock::Timestamp,
    ids::{BatchId, StreamName},
    keys::Key,
    ledger::{PlannedObject, SchemaRecord},
    stream::Format,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tables::BatchOrigin;

/// A schema, with one context that reads by its rules and one that reads by the judge alone.
struct Case {
    schema: Value,
    by_rules: Arc<TaskContext>,
    by_judge: Arc<TaskContext>,
}

type Cases = HashMap<(u16, u8), Option<Rc<Case>>>;

thread_local! {
    static CASES: RefCell<Cases> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    let [first, second, format, rest @ ..] = data else { return };
    let number = u16::from_le_bytes([*first, *second]) % 2048;
    let (format, is_raw) = (format % 3, format & 0x80 != 0);
    let case =
        CASES.with_borrow_mut(|cases| cases.entry((number, format)).or_insert_with(|| case(number, format)).clone());
    let Some(case) = case else { return };
    let bytes = if is_raw { rest.to_vec() } else { changed(&case.schema, format_of(format), rest) };
    let (by_rules, by_judge) = (given(&case.by_rules, &bytes), given(&case.by_judge, &bytes));
    assert!(by_rules == by_judge, "schema {number}: {}\n{:?}", case.schema, String::from_utf8_lossy(&bytes));
});

fn stream() -> StreamName {
    "events".parse().expect("a valid name")
}

fn format_of(number: u8) -> Format {
    [Format::JsonArray, Format::Ndjson, Format::Csv][usize::from(number)]
}

fn case(number: u16, format: u8) -> Option<Rc<Case>> {
    let schema = cases::record_schema(&mut Rng::with_seed(u64::from(number)));
    let record = SchemaRecord::derive(&stream(), &schema, None).ok()?;
    let [by_rules, by_judge] = [false, true].map(|judges_all| {
        let ingested_at = Timestamp::from_micros(0).expect("a valid timestamp");
        let origin = BatchOrigin { batch: BatchId::FIRST, ingested_at, schema_id: record.id() };
        TaskContext::new(origin, record.clone(), cases::settings(format_of(format)), judges_all).map(Arc::new)
    });
    Some(Rc::new(Case { schema, by_rules: by_rules.ok()?, by_judge: by_judge.ok()? }))
}

/// An object generated for the schema from a seed, then edited in a few places.
fn changed(schema: &Value, format: Format, rest: &[u8]) -> Vec<u8> {
    let (seed, edits) = rest.split_at(rest.len().min(4));
    let seed = seed.iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    let mut bytes = cases::object(&mut Rng::with_seed(seed), schema, format);
    for edit in edits.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % (bytes.len() + 1);
        match edit[2] % 3 {
            0 => bytes.insert(at, edit[3]),
            1 if at < bytes.len() => bytes[at] = edit[3],
            _ if at < bytes.len() => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}

/// Everything that an object results in: its outcome, and its files byte for byte.
fn given(context: &Arc<TaskContext>, bytes: &[u8]) -> (String, Vec<Vec<u8>>) {
    let object = PlannedObject {
        key: Key::Raw { stream: stream(), rest: "a".to_owned() },
        etag: "e".to_owned(),
        size: bytes.len() as u64,
        earlier: Vec::new(),
        last_try: false,
    };
    let files: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let emitted = Arc::clone(&files);
    let emit = Box::new(move |made: Made| {
        if let Made::File(part) = made {
            emitted.lock().expect("no thread panics here").push(part.file.bytes.to_vec());
        }
        Ok(())
    });
    let fetched = [Ok(Fetched::Object(Source::Whole(bytes.to_vec().into())))];
    let (output, _) =
        execute(context, &[object], fetched, |_| {}, &Progress::default(), emit).expect("no store to fail");
    let files = std::mem::take(&mut *files.lock().expect("no thread panics here"));
    (format!("{output:?}"), files)
}
