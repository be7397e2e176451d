//! Truth files: how they are read, finished or not.

use std::{fs, path::Path};

use lake::stream::Format;
use producer::{
    Error,
    batch::{Batch, Recipe},
    truth::{State, Truth, TruthFile},
};

use crate::support::{batches, recipe};

fn some_batches() -> Vec<Batch> {
    batches(&Recipe { corrupt_batches: 0.5, invalid_records: 0.5, ..recipe(Format::JsonArray, 1) }, 6)
}

/// Records all batches as being sent, and the first `stored` of them as stored.
fn write(path: &Path, batches: &[Batch], stored: usize) {
    let mut file = TruthFile::open(path).unwrap();
    for (index, batch) in batches.iter().enumerate() {
        let said = file.sending(batch.truth()).unwrap();
        if index < stored {
            file.stored(said, Some(format!("\"{index}\""))).unwrap();
        }
    }
}

#[test]
fn what_is_written_is_read_back_with_records_and_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.ndjson");
    let batches = some_batches();
    write(&path, &batches, batches.len());

    let truth = Truth::read(&path).unwrap();

    assert_eq!(truth.unsure, []);
    for (index, (read, batch)) in truth.stored.iter().zip(&batches).enumerate() {
        assert_eq!((read.state, read.etag.clone()), (State::Stored, Some(format!("\"{index}\""))));
        let said = producer::truth::ObjectTruth { state: State::Stored, etag: read.etag.clone(), ..batch.truth() };
        assert_eq!(*read, said);
    }
    assert_eq!(truth.stored.len(), batches.len());
}

#[test]
fn an_object_that_was_being_sent_at_a_crash_is_unsure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.ndjson");
    let batches = some_batches();
    write(&path, &batches, 4);

    let truth = Truth::read(&path).unwrap();

    let numbers = |objects: &[producer::truth::ObjectTruth]| objects.iter().map(|o| o.batch).collect::<Vec<_>>();
    assert_eq!(numbers(&truth.stored), [1, 2, 3, 4]);
    assert_eq!(numbers(&truth.unsure), [5, 6]);
    assert_eq!(truth.unsure[1], batches[5].truth());
}

#[test]
fn an_unfinished_line_is_skipped_and_cut_off_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.ndjson");
    let batches = some_batches();
    write(&path, &batches[..3], 3);
    let whole = fs::read(&path).unwrap();
    // Longer than one step of the search for the last line end.
    let torn = [whole.as_slice(), br#"{"state":"sending","batch":4"#, &[b' '; 200_000]].concat();
    fs::write(&path, torn).unwrap();

    assert_eq!(Truth::read(&path).unwrap().stored.len(), 3);
    write(&path, &batches[3..], 3);

    assert!(fs::read(&path).unwrap().starts_with(&whole));
    assert_eq!(Truth::read(&path).unwrap().stored.len(), 6);
}

#[test]
fn a_file_that_is_not_a_truth_file_is_neither_read_nor_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "buy milk\nand bread").unwrap();

    assert!(matches!(TruthFile::open(&path), Err(Error::Truth { .. })));
    assert!(matches!(Truth::read(&path), Err(Error::Truth { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "buy milk\nand bread");
}

#[test]
fn the_same_run_recorded_twice_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.ndjson");
    let batches = some_batches();
    write(&path, &batches, 2);
    write(&path, &batches, 6);
    let truth = Truth::read(&path).unwrap();
    assert_eq!((truth.stored.len(), truth.unsure.len()), (6, 0));
}

/// A line as the first version wrote it. Never edit it.
#[test]
fn a_line_of_the_first_version_is_still_read() {
    let line = concat!(
        r#"{"state":"sending","batch":1,"key":"raw/events/019b77a2-4fe8-7000-8000-00015ae8e6a3.json","bytes":9,"#,
        r#""sha256":"00","outcome":"ingested","records_read":2,"rows":1,"dead_letters":1,"records":[{"index":0,"row":"#,
        r#"{"event_id":"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed","text":"{}"}},{"index":1,"duplicate":true,"dead_letter":"#,
        r#"{"reason":"invalid_schema","codes":["wrong_type"],"invalid":"not_an_object","text":"42"}}]}"#,
    );
    let object: producer::truth::ObjectTruth = serde_json::from_str(line).unwrap();
    assert_eq!(serde_json::to_string(&object).unwrap(), line);
}
