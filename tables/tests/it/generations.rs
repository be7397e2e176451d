//! Files of three schema versions, read as one table: by field id, from a folder and from S3.

use std::sync::Arc;

use arrow::{array::RecordBatch, json::ArrayWriter};
use futures::TryStreamExt;
use lake::{
    ErrorKind,
    clock::Timestamp,
    columns::{Column, ColumnType},
    dead_letter::{ErrorCode, Fault, Reason},
    ids::{BatchId, Fingerprint, StreamName},
    keys::{DataFile, Key},
    ledger::{OutputFile, SchemaRecord},
    settings::LakeUrls,
    store::{
        Created, Lake,
        s3::{Credentials, S3Store},
    },
};
use local_s3::{Config, Server};
use serde_json::{Map, Value, json};
use tables::{
    BatchOrigin, FileWriter, RowBuilder, Table,
    dead_letters::{DeadLetter, DeadLetterBuilder},
};

fn stream() -> StreamName {
    "events".parse().unwrap()
}

fn origin(batch: u64, record: &SchemaRecord) -> BatchOrigin {
    let ingested_at = Timestamp::from_micros(1_795_000_000_000_000).unwrap();
    BatchOrigin { batch: BatchId::new(batch).unwrap(), ingested_at, schema_id: record.id() }
}

fn name(batch: u64) -> DataFile {
    DataFile {
        stream: stream(),
        ingested_date: "2026-11-20".to_owned(),
        batch: BatchId::new(batch).unwrap(),
        task: "00000".parse().unwrap(),
        fingerprint: Fingerprint::of(b"test"),
    }
}

async fn store(lake: &Lake, key: Key, rows: &RecordBatch) -> OutputFile {
    let mut writer = FileWriter::new(rows.schema(), None);
    writer.write(rows).unwrap();
    let file = writer.finish().unwrap().unwrap();
    assert_eq!(lake.create(&key, file.bytes.clone()).await.unwrap(), Created::Ours);
    let (size, sha256) = (file.bytes.len() as u64, lake::ids::sha256_hex(&file.bytes));
    OutputFile { key, size, sha256, rows: file.rows, event_time_min: None, event_time_max: None }
}

/// The three schemas, each derived from the one before: fields come and go, the order changes, and the integers of the first one
/// became numbers under their ids, as earlier versions of the program did it.
fn records() -> [SchemaRecord; 3] {
    let first = json!({"type": "object", "additionalProperties": false, "required": ["id"], "properties": {
        "id": {"type": "integer"},
        "price": {"type": "number"},
        "gone": {"type": "string"},
        "place": {"type": "object", "additionalProperties": false, "properties": {"city": {"type": "string"}, "size": {"type": "number"}}},
        "tags": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"n": {"type": "number"}}}},
        "counts": {"type": "object", "additionalProperties": {"type": "number"}},
        "retyped": {"type": "string"}}});
    let second = json!({"type": "object", "additionalProperties": false, "required": ["id"], "properties": {
        "counts": {"type": "object", "additionalProperties": {"type": "number"}},
        "retyped": {"type": "integer"},
        "place": {"type": "object", "additionalProperties": false, "properties": {"zip": {"type": "string"}, "city": {"type": "string"}, "size": {"type": "number"}}},
        "price": {"type": "number"},
        "id": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"m": {"type": "string"}, "n": {"type": "number"}}}}}});
    let third = json!({"type": "object", "additionalProperties": false, "required": ["id"], "properties": {
        "id": {"type": "integer"},
        "note": {"type": "string"},
        "price": {"type": "number"},
        "place": {"type": "object", "additionalProperties": false, "properties": {"city": {"type": "string"}, "size": {"type": "number"}, "zip": {"type": "string"}, "more": {"type": "boolean"}}},
        "tags": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"n": {"type": "number"}, "m": {"type": "string"}}}},
        "counts": {"type": "object", "additionalProperties": {"type": "number"}},
        "retyped": {"type": "integer"}}});
    let mut first = SchemaRecord::derive(&stream(), &first, None).unwrap();
    let second = SchemaRecord::derive(&stream(), &second, Some(&first)).unwrap();
    first.columns.iter_mut().for_each(of_integers);
    let third = SchemaRecord::derive(&stream(), &third, Some(&second)).unwrap();
    [first, second, third]
}

/// Makes every column of numbers one of integers.
fn of_integers(column: &mut Column) {
    match &mut column.kind {
        ColumnType::Float64 => column.kind = ColumnType::Int64,
        ColumnType::List(element) => of_integers(element),
        ColumnType::Struct(fields) => fields.iter_mut().for_each(of_integers),
        ColumnType::Map { value, .. } => of_integers(value),
        _ => {}
    }
}

fn values() -> [Value; 3] {
    [
        json!({"id": 1, "price": 10, "gone": "g", "place": {"city": "c1", "size": 7}, "tags": [{"n": 1}, {}], "counts": {"a": 1}, "retyped": "text"}),
        json!({"id": 2, "price": 2.5, "place": {"city": "c2", "size": 0.5, "zip": "z"}, "tags": [{"n": 1.5, "m": "m"}], "counts": {"a": 1.5}, "retyped": 5}),
        json!({"id": 3, "note": "n", "place": null, "tags": [], "counts": {}, "retyped": null}),
    ]
}

/// One file for each schema version.
async fn files(lake: &Lake) -> Vec<OutputFile> {
    let mut files = Vec::new();
    for ((batch, record), value) in (1..).zip(&records()).zip(values()) {
        let mut rows = RowBuilder::new(&record.columns, origin(batch, record));
        rows.begin_object(&format!("raw/events/{batch}.json"), "e");
        rows.append(&value, 0, 10).unwrap();
        files.push(store(lake, Key::Bronze(name(batch)), &rows.take()).await);
    }
    files
}

fn rows(batches: &[RecordBatch]) -> Vec<Map<String, Value>> {
    let mut json = ArrayWriter::new(Vec::new());
    json.write_batches(&batches.iter().collect::<Vec<_>>()).unwrap();
    json.finish().unwrap();
    serde_json::from_slice(&json.into_inner()).unwrap()
}

/// The rows as the third schema version has them, without the system columns.
fn expected() -> Vec<Value> {
    vec![
        json!({"id": 1, "price": 10.0, "place": {"city": "c1", "size": 7.0}, "tags": [{"n": 1.0}, {}], "counts": {"a": 1.0}}),
        json!({"id": 2, "price": 2.5, "place": {"city": "c2", "size": 0.5, "zip": "z"}, "tags": [{"n": 1.5, "m": "m"}], "counts": {"a": 1.5}, "retyped": 5}),
        json!({"id": 3, "note": "n", "tags": [], "counts": {}}),
    ]
}

async fn read_as_one_table(lake: Lake) {
    let files = files(&lake).await;
    let newest = &records()[2];
    let table = Table::bronze(lake.clone(), newest);
    let batches: Vec<RecordBatch> = table.read(files.clone()).try_collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.schema() == table.schema()));
    let own: Vec<&str> = newest.columns.iter().map(|column| column.name.as_str()).collect();
    let mut read = rows(&batches);
    for (batch, row) in (1..).zip(&read) {
        assert_eq!(
            (row["_batch_id"].as_i64(), row["_source_key"].as_str()),
            (Some(batch), Some(&*format!("raw/events/{batch}.json")))
        );
    }
    read.iter_mut().for_each(|row| row.retain(|name, _| own.contains(&name.as_str())));
    assert_eq!(read.into_iter().map(Value::Object).collect::<Vec<_>>(), expected());

    // A column of an earlier version can still be read.
    let gone = newest.former_columns.iter().find(|column| column.name == "gone").unwrap().clone();
    let batches: Vec<_> = Table::of(lake.clone(), vec![gone]).read(files.clone()).try_collect().await.unwrap();
    assert_eq!(
        rows(&batches).into_iter().map(Value::Object).collect::<Vec<_>>(),
        [json!({"gone": "g"}), json!({}), json!({})]
    );

    // Columns and files in any order; without columns, the number of rows stays.
    let some = Table::bronze(lake.clone(), newest).project(&["retyped", "id"]);
    let batches: Vec<_> = some.read(files.iter().rev().cloned().collect()).try_collect().await.unwrap();
    assert_eq!(
        rows(&batches).into_iter().map(Value::Object).collect::<Vec<_>>(),
        [json!({"id": 3}), json!({"id": 2, "retyped": 5}), json!({"id": 1})]
    );
    let none = Table::of(lake, Vec::new());
    let batches: Vec<RecordBatch> = none.read(files).try_collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
}

async fn folder_lake() -> (Lake, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let urls = LakeUrls::below(&format!("file://{}", folder.path().display())).unwrap();
    (Lake::open(&urls).await.unwrap(), folder)
}

/// Fails when columns or nested fields are found by name or position, when an absent column is an error, or when a
/// widened type is read as it was before.
#[tokio::test]
async fn files_of_three_schema_versions_in_a_folder_are_one_table() {
    let (lake, _folder) = folder_lake().await;
    read_as_one_table(lake).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_three_schema_versions_on_s3_are_one_table() {
    let root = tempfile::tempdir().unwrap();
    let config = Config::new(root.path(), local_s3::Credentials::new("tester", "test-secret")).bucket("lake");
    let server = Server::start(config).await.unwrap();
    let credentials = Credentials::new("tester", "test-secret", None, None, "test");
    let lake = Lake::on_bucket(S3Store::at("lake", &server.endpoint(), credentials).unwrap());
    read_as_one_table(lake).await;
    server.shutdown().await;
}

/// Fails when `_dead_letter_id` is only read from files: those of earlier versions do not have it.
#[tokio::test]
async fn a_projection_of_dead_letters_without_their_origin_still_has_their_ids() {
    let (lake, _folder) = folder_lake().await;
    let record = &records()[0];
    let mut letters = DeadLetterBuilder::new(origin(1, record), 100);
    let fault = Fault::new(Reason::InvalidSchema, ErrorCode::BadValue, "a test");
    for index in [Some(4), None] {
        let (raw, key, etag) = (&b"{}"[..], "raw/events/a.json", "e");
        letters.append(&DeadLetter { fault: &fault, raw, key, etag, index, offset: 0, length: 2 });
    }
    let new = letters.take();
    let id = new.schema().index_of("_dead_letter_id").unwrap();
    let mut old = new.clone();
    old.remove_column(id);
    let files =
        vec![store(&lake, Key::DeadLetters(name(1)), &old).await, store(&lake, Key::DeadLetters(name(2)), &new).await];
    let table = Table::dead_letters(lake).project(&["_error_code", "_dead_letter_id"]);
    let batches: Vec<RecordBatch> = table.read(files).try_collect().await.unwrap();
    let read = rows(&batches);
    assert_eq!(read.len(), 4);
    assert_eq!((&read[0], &read[1]), (&read[2], &read[3]));
    assert_eq!(read[0]["_error_code"], "bad_value");
    assert_ne!(read[0]["_dead_letter_id"], read[1]["_dead_letter_id"]);
}

#[tokio::test]
async fn a_file_that_is_gone_damaged_or_of_another_type_is_named() {
    let (lake, folder) = folder_lake().await;
    let files = files(&lake).await;
    let newest = &records()[2];
    let read = async |columns: Option<Vec<Column>>| {
        let table = match columns {
            None => Table::bronze(lake.clone(), newest),
            Some(columns) => Table::of(lake.clone(), columns),
        };
        table.read(files.clone()).try_collect::<Vec<_>>().await.unwrap_err()
    };
    let id = newest.columns.iter().find(|column| column.name == "id").unwrap();
    let text = read(Some(vec![Column { kind: ColumnType::String, ..id.clone() }])).await;
    assert_eq!(text.kind(), ErrorKind::Corrupt);
    assert!(text.to_string().contains("has a column \"id\" of type"), "{text}");
    let absent = Column { id: 77, name: "must".to_owned(), kind: ColumnType::Int64, nullable: false };
    assert!(read(Some(vec![absent])).await.to_string().contains("has no column \"must\""));
    let second = folder.path().join(files[1].key.to_string());
    std::fs::write(&second, vec![0; files[1].size as usize]).unwrap();
    let damaged = read(None).await;
    assert_eq!(damaged.kind(), ErrorKind::Corrupt);
    assert!(damaged.to_string().contains(&files[1].key.to_string()), "{damaged}");
    std::fs::remove_file(second).unwrap();
    let missing = Arc::new(read(None).await);
    assert_eq!(missing.kind(), ErrorKind::Corrupt);
    assert!(missing.to_string().contains(&files[1].key.to_string()), "{missing}");
}
