//! Whole objects as input: each is accounted for, whatever its name and content.

use std::{collections::BTreeSet, fs};

use consumer::inspect::{status, verify};
use lake::{
    clock::SystemClock,
    ledger::Outcome,
    stream::{BatchSettings, Format},
};
use serde_json::{Value, json};

use crate::{
    lake_in_a_folder::{FolderLake, definition, with_schema},
    lake_on_s3::S3Lake,
};

fn fault(reason: &str, code: &str, path: &str) -> (String, String, String) {
    (reason.to_owned(), code.to_owned(), path.to_owned())
}

#[tokio::test]
async fn a_corrupt_object_is_one_dead_letter_and_kept_byte_for_byte() {
    let lake = FolderLake::new().await;
    let bodies: [&[u8]; 5] = [b"", b"[{\"id\": 1}, {\"id\"", b"{\"id\": 1}", b"[\"\xff\"]", b"<html>"];
    for (index, body) in bodies.iter().enumerate() {
        lake.land(&format!("{index}.json"), body);
    }
    lake.consume(definition(Format::JsonArray)).await.unwrap();

    let held = lake.holds().await;
    let codes = ["empty", "truncated", "not_an_array", "bad_encoding", "not_json"];
    assert_eq!(held.faults(), codes.map(|code| fault("corrupted_batch", code, "-")));
    for (input, body) in held.commits[0].inputs.iter().zip(bodies) {
        assert_eq!((input.outcome, input.records_read, input.dead_letters), (Outcome::DeadLettered, 1, 1));
        let copy = input.copy.as_ref().unwrap().to_string();
        assert_eq!(fs::read(lake.path(&copy)).unwrap(), body);
    }
}

#[tokio::test]
async fn a_dead_letter_says_where_its_record_is_and_keeps_it() {
    let lake = FolderLake::new().await;
    let body = "[{\"id\": 1},\n  {\"id\": \"é\"} , 7]";
    lake.land("a.json", body);
    lake.consume(definition(Format::JsonArray)).await.unwrap();

    let held = lake.holds().await;
    assert_eq!(
        held.faults(),
        [fault("invalid_schema", "wrong_type", "/id"), fault("invalid_schema", "wrong_type", "")]
    );
    for (letter, (index, raw)) in held.dead_letters.iter().zip([(1, "{\"id\": \"é\"}"), (2, "7")]) {
        let number = |name: &str| letter.get(name).and_then(Value::as_u64).unwrap();
        assert_eq!(letter.get("_raw_record"), Some(&json!(raw)));
        assert_eq!(number("_record_index"), index);
        let (offset, length) = (number("_byte_offset") as usize, number("_byte_length") as usize);
        assert_eq!(&body[offset..offset + length], raw);
        assert_eq!(letter.get("_raw_truncated"), Some(&json!(false)));
        assert_eq!(letter.get("_source_key"), Some(&json!("raw/events/a.json")));
    }
    let row = &held.rows[0];
    assert_eq!(
        (row.get("id"), row.get("_record_index"), row.get("_batch_id")),
        (Some(&json!(1)), Some(&json!(0)), Some(&json!(1)))
    );
}

#[tokio::test]
async fn bytes_that_are_not_text_are_kept_as_bytes_and_a_long_record_is_cut_and_marked() {
    let lake = FolderLake::new().await;
    lake.land("a.ndjson", b"{\"id\": 1}\n\xff\xfe\n{\"id\": \"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}\n");
    let mut definition = definition(Format::Ndjson);
    definition.read.raw_bytes_max = 10;
    lake.consume(definition).await.unwrap();

    let held = lake.holds().await;
    assert_eq!(held.rows.len(), 1);
    let [bytes, cut] = held.dead_letters.as_slice() else { panic!("{:?}", held.dead_letters) };
    assert_eq!((bytes.get("_raw_record"), bytes.get("_raw_bytes")), (None, Some(&json!("fffe"))));
    assert_eq!((cut.get("_raw_record"), cut.get("_raw_truncated")), (Some(&json!("{\"id\": \"é")), Some(&json!(true))));
    assert_eq!(cut.get("_byte_length"), Some(&json!(18)));
}

#[tokio::test]
async fn markers_and_empty_folders_are_not_inputs_and_an_empty_array_is_one() {
    let lake = FolderLake::new().await;
    lake.land("day=1/_SUCCESS", "");
    lake.land("day=1/empty.json", "[]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let held = lake.holds().await;
    assert_eq!(held.commits.len(), 1);
    let input = &held.commits[0].inputs[0];
    assert_eq!((held.commits[0].inputs.len(), input.outcome, input.records_read), (1, Outcome::Ingested, 0));
    assert!(held.commits[0].files.is_empty());
}

#[tokio::test]
async fn a_strange_name_is_only_a_name() {
    let lake = FolderLake::new().await;
    let long = "x".repeat(200);
    let names =
        ["a b.json", "q\"uo'te.json", "per%2Fcent.json", "ünïcode-日本.json", "deep/er/still.json", "#7.json x", &long];
    for name in names {
        lake.land(name, "[{\"id\": 1}]");
    }
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let held = lake.holds().await;
    let sources: BTreeSet<_> = held.rows.iter().filter_map(|row| row.get("_source_key")?.as_str()).collect();
    let expected: BTreeSet<_> = names.iter().map(|name| format!("raw/events/{name}")).collect();
    assert_eq!(sources, expected.iter().map(String::as_str).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_that_s3_allows_is_read_and_shown_as_it_is() {
    let lake = S3Lake::new().await;
    let longest = "x".repeat(1_024 - "raw/events/".len());
    let names = [
        "a b.json",
        "q\"uo'te",
        "per%2Fcent",
        "ünï-日本",
        "a//b",
        "a/../b",
        "./c",
        "%~d",
        "tab\tline\n",
        "e/",
        &longest,
    ];
    for name in names {
        lake.land(name, "[{\"id\": 1}]").await;
    }
    lake.land("folder/", "").await;
    lake.land("folder/_SUCCESS", "").await;
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let held = lake.holds().await;
    let sources: BTreeSet<_> = held.rows.iter().filter_map(|row| row.get("_source_key")?.as_str()).collect();
    let expected: BTreeSet<_> = names.iter().map(|name| format!("raw/events/{name}")).collect();
    assert_eq!(sources, expected.iter().map(String::as_str).collect());
    let status = status(&lake.ledger(), &SystemClock).await.unwrap();
    assert_eq!((status.objects_pending, status.objects_ignored), (0, 2));
}

#[tokio::test]
async fn nesting_and_size_beyond_the_limits_are_dead_letters() {
    let lake = FolderLake::new().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    lake.land("deep.json", format!("[{{\"id\": {deep}}}, {{\"id\": 1}}]"));
    lake.land("large.json", format!("[{{\"id\": 2, \"text\": \"{}\"}}]", "x".repeat(1 << 20)));
    lake.land("vast.json", vec![b' '; 3 << 20]);
    let mut definition = definition(Format::JsonArray);
    definition.read.object_bytes_max = 2 << 20;
    lake.consume(definition).await.unwrap();
    let held = lake.holds().await;
    assert_eq!(held.rows.len(), 1);
    let faults = [
        fault("corrupted_record", "too_deep", "-"),
        fault("oversized", "too_large", "-"),
        fault("oversized", "too_large", "-"),
    ];
    assert_eq!(held.faults(), faults);
    let vast = held.commits[0].inputs.iter().find(|input| input.size == 3 << 20).unwrap();
    let copy = vast.copy.as_ref().unwrap().to_string();
    assert_eq!(
        fs::metadata(lake.path(&copy)).unwrap().len(),
        3 << 20,
        "an object that is too large for memory is kept too"
    );
}

#[tokio::test]
async fn a_backlog_becomes_batches_within_their_bounds() {
    let lake = FolderLake::new().await;
    for index in 0..25 {
        lake.land(&format!("{index:02}.json"), format!("[{{\"id\": {index}}}]"));
    }
    let mut definition = definition(Format::JsonArray);
    definition.batch = BatchSettings { objects_max: 10, bytes_max: 1_000, task_bytes: 30 };
    lake.consume(definition).await.unwrap();
    let held = lake.holds().await;
    assert_eq!(held.commits.iter().map(|commit| commit.inputs.len()).collect::<Vec<_>>(), [10, 10, 5]);
    assert!(held.commits[0].files.len() > 1, "several tasks");
    let ids: BTreeSet<_> = held.rows.iter().filter_map(|row| row.get("id")?.as_i64()).collect();
    assert_eq!((ids.len(), held.rows.len()), (25, 25));
}

#[tokio::test]
async fn a_value_that_does_not_fit_its_column_is_a_dead_letter() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 9223372036854775808}, {\"id\": 9223372036854775807}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let held = lake.holds().await;
    assert_eq!(held.faults(), [fault("invalid_schema", "unrepresentable", "/id")]);
    assert_eq!(held.rows[0].get("id"), Some(&json!(9_223_372_036_854_775_807_i64)));
}

#[tokio::test]
async fn a_commit_records_the_event_time_range_of_each_file() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"at\": \"2026-11-20T08:00:00Z\"}, {}, {\"at\": \"2026-11-19T08:00:00+01:00\"}]");
    let schema = json!({"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}});
    let mut definition = with_schema(Format::JsonArray, schema);
    definition.read.event_time = Some("at".to_owned());
    lake.consume(definition).await.unwrap();
    let held = lake.holds().await;
    let file = &held.commits[0].files[0];
    let range = [file.event_time_min, file.event_time_max].map(|time| time.unwrap().to_string());
    assert_eq!(range, ["2026-11-19T07:00:00.000000Z", "2026-11-20T08:00:00.000000Z"]);
}

#[tokio::test]
async fn real_events_come_through_whole_and_a_damaged_line_affects_no_other() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/wikimedia-recentchange.ndjson");
    let records = fs::read_to_string(data).unwrap();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../streams/wikimedia.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();

    let lake = FolderLake::new().await;
    lake.land("all.ndjson", &records);
    let damaged = records.lines().take(3).map(|line| &line[..line.len() - 1]).next().unwrap();
    lake.land("damaged.ndjson", records.replacen(records.lines().next().unwrap(), damaged, 1));
    lake.consume(with_schema(Format::Ndjson, schema)).await.unwrap();

    let held = lake.holds().await;
    assert_eq!((held.rows.len(), held.dead_letters.len()), (199, 1));
    assert_eq!(held.faults(), [fault("corrupted_record", "truncated", "-")]);
    let of_all = held.rows.iter().filter(|row| row.get("_source_key") == Some(&json!("raw/events/all.ndjson")));
    for (row, line) in of_all.zip(records.lines()) {
        let record: Value = serde_json::from_str(line).unwrap();
        for name in ["title", "id", "timestamp", "bot", "wiki", "user"] {
            assert_eq!(row.get(name), record.get(name), "{name}");
        }
        let meta = |name: &str| row.get("meta").and_then(|meta| meta.get(name)).cloned();
        assert_eq!(meta("stream"), record.pointer("/meta/stream").cloned());
        let extra: Value = serde_json::from_str(row.get("_extra").unwrap().as_str().unwrap()).unwrap();
        assert_eq!(extra.get("notify_url"), record.get("notify_url"), "an unknown field is kept");
        let meta_extra: Value = serde_json::from_str(meta("_extra").unwrap().as_str().unwrap()).unwrap();
        assert_eq!(meta_extra.get("offset"), record.pointer("/meta/offset"), "in a struct as well");
    }
}

/// The reader's answer to a script over a lake in a folder, as CSV.
fn ask_reader(lake: &FolderLake, script: &str) -> String {
    let reader = std::path::Path::new(env!("CARGO_BIN_EXE_consumer")).with_file_name("reader");
    let url = format!("file://{}", lake.folder.path().display());
    let mut command = std::process::Command::new(&reader);
    command.args(["--format", "csv", "-c", script]).env_clear().env("LAKE_URL", url).current_dir(lake.folder.path());
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}; build the workspace", reader.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Fails when the ledger holds a time that its readers refuse: one valid record then stops the stream for good.
#[tokio::test]
async fn an_event_time_at_either_end_of_the_calendar_harms_nothing() {
    let schema = json!({"type": "object", "properties": {"id": {"type": "integer"}, "ts": {"type": "string", "format": "date-time"}}});
    let mut definition = with_schema(Format::Ndjson, schema);
    definition.read.event_time = Some("ts".to_owned());
    let lake = FolderLake::new().await;
    let times = [
        "9999-12-31T23:59:59-05:00",
        "9999-12-31T23:59:59.999999-23:59",
        "0001-01-01T00:00:00+23:59",
        "0000-01-01T00:00:00+10:00",
    ];
    for (id, time) in times.iter().enumerate() {
        lake.land(&format!("{id}.json"), format!("{{\"id\": {id}, \"ts\": \"{time}\"}}"));
        lake.consume(definition.clone()).await.unwrap();
    }
    lake.consume(definition).await.unwrap();
    let held = lake.holds().await;
    assert_eq!(held.commits.len(), 4);
    assert!(held.rows.len() >= 3, "{:?}", held.faults());
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
    assert_eq!(status(&lake.ledger(), &SystemClock).await.unwrap().batches_committed, 4);
    let first = ask_reader(&lake, "SELECT epoch_us(event_time_max) AS us FROM checkpoints.files WHERE batch = 1");
    assert_eq!(first, "us\n253402318799000000\n");
    let all = ask_reader(
        &lake,
        "SELECT count(*) AS n, max(ts) > '9999-12-31' AS later FROM bronze.events; FROM checkpoints.files; FROM checkpoints.batches",
    );
    assert!(all.starts_with(&format!("n,later\n{},true\n", held.rows.len())), "{all}");
}

/// Fails when a file's time reaches DuckDB as text. Needs a file system that knows such times: Linux's in memory does.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_from_the_far_future_is_shown_as_pending() {
    let lake = FolderLake::in_folder(tempfile::tempdir_in("/dev/shm").unwrap()).await;
    lake.land("first.json", "[{\"id\": 1}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    lake.land("future.json", "[{\"id\": 2}]");
    // The year 36812.
    let far = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_099_511_627_776);
    let file = fs::File::options().write(true).open(lake.path("raw/events/future.json")).unwrap();
    file.set_modified(far).unwrap();
    assert_eq!(file.metadata().unwrap().modified().unwrap(), far);
    let lag = ask_reader(&lake, ".lag");
    assert!(lag.contains("events,1,"), "{lag}");
    let status = status(&lake.ledger(), &SystemClock).await.unwrap();
    assert_eq!((status.objects_pending, status.lag_seconds), (1, 0.0));
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    assert_eq!(lake.holds().await.rows.len(), 2);
}
