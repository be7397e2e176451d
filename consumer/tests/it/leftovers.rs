//! What other tools leave among a stream's objects: which names are passed over, and what the settings say.

use std::{collections::BTreeSet, fs};

use lake::{
    clock::SystemClock,
    stream::{Format, InputNames, StreamDefinition},
};

use crate::lake_in_a_folder::{FolderLake, definition, events};

/// What a job of Spark leaves in its folder, and what it writes.
const JOB: [&str; 9] = [
    "_SUCCESS",
    "_committed_123",
    "_temporary/0/_temporary/attempt_1/part-0.json",
    ".hive-staging_hive_1/x",
    "day=1/.part-0.json.crc",
    "._SUCCESS.crc",
    "upload.json._COPYING_",
    "part-0.json",
    "_day=1/a_b.c/part-0.json",
];
const RESULTS: [&str; 2] = ["_day=1/a_b.c/part-0.json", "part-0.json"];

async fn job() -> FolderLake {
    let lake = FolderLake::new().await;
    for name in JOB {
        let file = lake.path(&format!("raw/events/{name}"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "[{\"id\": 1}]").unwrap();
    }
    lake
}

/// The names of inputs as `source` says.
fn inputs(source: &str) -> InputNames {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("events.toml"), format!("[source]\nformat = \"json_array\"\n{source}\n")).unwrap();
    fs::write(folder.path().join("events.schema.json"), "{}").unwrap();
    StreamDefinition::load(folder.path(), &events()).unwrap().inputs
}

/// The names of the objects that rows came from.
async fn sources(lake: &FolderLake) -> BTreeSet<String> {
    let rows = lake.holds().await.rows;
    rows.iter().map(|row| row["_source_key"].as_str().unwrap().replace("raw/events/", "")).collect()
}

async fn consume(lake: &FolderLake, source: &str) -> BTreeSet<String> {
    lake.consume(StreamDefinition { inputs: inputs(source), ..definition(Format::JsonArray) }).await.unwrap();
    sources(lake).await
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn what_jobs_leave_is_passed_over_and_counted() {
    let lake = job().await;
    assert_eq!(consume(&lake, "").await, set(&RESULTS));
    let status = consumer::inspect::status(&lake.ledger(), &SystemClock).await.unwrap();
    assert_eq!((status.objects_pending, status.objects_ignored), (0, 7));
}

#[tokio::test]
async fn include_brings_back_what_is_passed_over_and_ignore_passes_over_more() {
    let source = "include = [\"_temporary/**/*.json\", \"_SUCCESS\"]\nignore = [\"_day=*/**\", \"*_1*\"]";
    let back = ["_SUCCESS", "_temporary/0/_temporary/attempt_1/part-0.json", "part-0.json"];
    assert_eq!(consume(&job().await, source).await, set(&back));
    assert_eq!(consume(&job().await, "ignore = [\"part-*\"]").await, set(&[]));
    // A star matches within one part of a name, and `**` any number of parts.
    assert_eq!(consume(&job().await, "ignore = [\"*/part-*\"]").await, set(&RESULTS));
    assert_eq!(consume(&job().await, "ignore = [\"**/part-*\"]").await, set(&[]));
    // What both match is passed over.
    assert_eq!(consume(&job().await, "ignore = [\"_SUCCESS\"]\ninclude = [\"_SUCCESS\"]").await, set(&RESULTS));
}

#[tokio::test]
async fn what_was_committed_under_other_settings_stays_committed() {
    let lake = job().await;
    consume(&lake, "include = [\"**\"]").await;
    let all = set(&JOB);
    assert_eq!(sources(&lake).await, all);
    assert_eq!(consume(&lake, "").await, all);
    let status = consumer::inspect::status(&lake.ledger(), &SystemClock).await.unwrap();
    assert_eq!((status.batches_committed, status.objects_pending, status.objects_ignored), (1, 0, 0));
}

#[test]
fn names_that_only_look_hidden_are_inputs() {
    let usual = inputs("");
    for name in ["a_b.json", "a/b.c", "./c", "a/../b", "x._COPYING_/y", "a._y"] {
        assert!(usual.has(name), "{name}");
    }
    for name in ["_a", ".a", "a/_b", "a/.b/c", "_a/b", "_a=1", "_", "..."] {
        assert!(!usual.has(name), "{name}");
    }
}
