//! The ledger's files: their stored shapes, and the errors when they are damaged.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use lake::{
    ErrorKind,
    clock::Timestamp,
    dead_letter::{DeadLetterId, DeadLetterIds, Reason},
    ids::{BatchId, ContentId, Fingerprint, SchemaId, StreamName},
    keys::{DataFile, Key},
    ledger::{
        Attempt, AttemptEnd, ChosenDeadLetters, Claimed, Commit, Discard, Ingest, InputIndex, InputOutcome, Ledger,
        Outcome, OutputFile, Plan, PlannedObject, PlannedTask, RemovedFile, Replay, ResolvedDeadLetters, Rewrite,
        SchemaRecord, Segment, Snapshot, StoredFormat, Totals, Work, decode, encode,
    },
    store::{Created, Lake},
    stream::{CsvQuotes, CsvSettings, Format, ReadSettings},
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use uuid::Uuid;

pub(crate) fn stream() -> StreamName {
    "events".parse().unwrap()
}

pub(crate) fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_795_000_000_000_000 + seconds * 1_000_000).unwrap()
}

fn raw(name: &str) -> Key {
    Key::Raw { stream: stream(), rest: name.to_owned() }
}

fn schema() -> SchemaRecord {
    let schema = json!({"type": "object", "required": ["id"], "properties": {
        "id": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "place": {"type": "object", "additionalProperties": false, "properties": {"city": {"type": "string"}}},
        "labels": {"type": "object", "additionalProperties": {"type": "number"}},
    }});
    SchemaRecord::derive(&stream(), &schema, None).unwrap()
}

fn plan(batch: u64) -> Plan {
    let object = |name: &str, size| PlannedObject {
        key: raw(name),
        etag: format!("\"{name}\""),
        size,
        earlier: Vec::new(),
        last_try: false,
    };
    Plan {
        stream: stream(),
        batch: BatchId::new(batch).unwrap(),
        plan_id: Uuid::from_u128(0x11),
        planned_at: moment(0),
        work: Work::Ingest(Ingest {
            schema_id: SchemaId::of(b"schema"),
            read: ReadSettings {
                event_time: Some("at".to_owned()),
                object_bytes_max: 512 << 20,
                ..ReadSettings::of(Format::JsonArray)
            },
            tasks: vec![
                PlannedTask { objects: vec![object("a.json", 10), object("b \"%2F\" é.json", 20)] },
                PlannedTask { objects: vec![object("c.json", 30)] },
            ],
        }),
    }
}

fn ingest(plan: &mut Plan) -> &mut Ingest {
    let Work::Ingest(ingest) = &mut plan.work else { panic!("the plan is not an ingest") };
    ingest
}

pub(crate) fn commit(batch: u64) -> Commit {
    let input = |name: &str, outcome, rows, dead_letters| InputOutcome {
        key: raw(name),
        etag: format!("\"{name}\""),
        size: 10,
        outcome,
        records_read: rows + dead_letters,
        rows,
        dead_letters,
        content: None,
        copy: None,
    };
    let file = DataFile {
        stream: stream(),
        ingested_date: moment(0).date(),
        batch: BatchId::new(batch).unwrap(),
        task: "00000".parse().unwrap(),
        fingerprint: Fingerprint::of(b"writer"),
    };
    let output = |key, rows, times: Option<(i64, i64)>| OutputFile {
        key,
        size: 100,
        sha256: lake::ids::sha256_hex(b"file"),
        rows,
        event_time_min: times.map(|(min, _)| moment(min)),
        event_time_max: times.map(|(_, max)| moment(max)),
    };
    let mut commit = Commit {
        stream: stream(),
        batch: BatchId::new(batch).unwrap(),
        plan_id: Uuid::from_u128(0x11),
        attempt_id: Uuid::from_u128(0x22),
        committed_at: moment(1),
        schema_id: SchemaId::of(b"schema"),
        fingerprint: Fingerprint::of(b"writer"),
        inputs: vec![
            input("a.json", Outcome::Ingested, 9, 1),
            input("b \"%2F\" é.json", Outcome::DeadLettered, 0, 1),
            input("c.json", Outcome::Missing, 0, 0),
            input("d.json", Outcome::Changed, 0, 0),
        ],
        files: vec![output(Key::Bronze(file.clone()), 9, Some((-60, -1))), output(Key::DeadLetters(file), 2, None)],
        totals: Totals {
            records_read: 11,
            rows: 9,
            dead_letters: 2,
            dead_letters_by_reason: [(Reason::CorruptedBatch, 1), (Reason::InvalidSchema, 1)].into(),
            ..Totals::default()
        },
        removed: Vec::new(),
        resolved: Vec::new(),
    };
    commit.inputs[1].copy =
        Some(Key::ObjectCopy { stream: stream(), batch: commit.batch, input: "00001".parse().unwrap(), plan: None });
    commit
}

/// A golden file keeps a stored shape forever: never edit it; a new version adds a new file.
fn assert_golden<T: StoredFormat + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, value: &T) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.v{}.json", value.version()));
    if !file.exists() {
        fs::write(&file, encode(value).unwrap()).unwrap();
    }
    let stored = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let written = encode(value).unwrap();
    assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&stored));
    assert_golden_is_read(name, value);
}

/// A shape that this version no longer writes must still be read correctly.
fn assert_golden_is_read<T: StoredFormat + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, value: &T) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.v{}.json", value.version()));
    let stored = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(decode::<T>(&Key::Probe, &stored).unwrap(), *value);
}

/// Fails when an object that may not be read is stored in a shape that an earlier program takes for something else.
#[test]
fn objects_that_may_not_be_read_and_copies_by_plan_are_stored_in_the_shape_of_version_2() {
    let mut plan = plan(11);
    ingest(&mut plan).tasks[1].objects[0].last_try = true;
    assert_golden("plan-with-last-try", &plan);
    let mut commit = commit(11);
    let (batch, input, id) = (commit.batch, "00001".parse().unwrap(), Fingerprint::of(b"plan"));
    commit.inputs[1].copy = Some(Key::ObjectCopy { stream: stream(), batch, input, plan: Some(id) });
    assert_golden("commit-with-copy-by-plan", &commit);
    commit.inputs[1].copy = None;
    commit.inputs[2].outcome = Outcome::Deferred;
    commit.inputs[3].outcome = Outcome::Unreadable;
    assert_golden("commit-with-unread", &commit);
}

#[test]
fn a_plan_is_stored_in_the_shape_of_version_1() {
    let mut plan = plan(7);
    assert_golden("plan-with-limits", &plan);
    // Written before there were limits on fields and compression.
    assert_golden_is_read("plan", &plan);
    ingest(&mut plan).read.format = Format::Csv;
    let (delimiter, quote, null) = (';', '\'', "NULL".to_owned());
    ingest(&mut plan).read.csv = CsvSettings { delimiter, quote, null, quotes: CsvQuotes::Usual };
    assert_golden("plan-of-csv", &plan);
    ingest(&mut plan).read.csv.quotes = CsvQuotes::Lenient;
    assert_golden("plan-with-csv-quotes", &plan);
    ingest(&mut plan).read.zstd_window_max = 1 << 30;
    assert_golden("plan-with-zstd-window", &plan);
}

#[test]
fn contents_of_earlier_versions_are_stored_in_the_shape_of_version_1() {
    let mut plan = plan(8);
    ingest(&mut plan).tasks[0].objects[0].earlier = vec![ContentId::of(b"first"), ContentId::of(b"second")];
    assert_golden_is_read("plan-with-earlier", &plan);
    assert_golden("plan-with-earlier-and-limits", &plan);
    let mut commit = commit(8);
    commit.inputs[0].content = Some(ContentId::of(b"third"));
    commit.inputs[2].outcome = Outcome::Unchanged;
    assert_golden("commit-with-content", &commit);
}

pub(crate) fn bronze(batch: u64) -> Key {
    commit(batch).files[0].key.clone()
}

pub(crate) fn letters(batch: u64) -> Key {
    commit(batch).files[1].key.clone()
}

pub(crate) fn ids(numbers: &[u64]) -> Vec<DeadLetterId> {
    numbers.iter().map(|number| DeadLetterIds::of("raw/events/a.json", "e").id(Some(*number))).collect()
}

#[test]
fn other_work_is_stored_in_the_shape_of_version_2() {
    let chosen = |ids| ChosenDeadLetters { file: letters(3), ids };
    let Ingest { schema_id, read, .. } = ingest(&mut plan(9)).clone();
    let tasks = vec![chosen(Some(ids(&[1, 2]))), chosen(None)];
    let works = [
        Work::Replay(Replay { schema_id, read, tasks }),
        Work::Discard(Discard { because: "a test \"account\"".to_owned(), dead_letters: vec![chosen(None)] }),
        Work::Rewrite(Rewrite { files: vec![bronze(1), bronze(2)] }),
    ];
    for work in works {
        let name = format!("plan-of-{}", work.name());
        assert_golden(&name, &Plan { work, ..plan(9) });
    }
}

/// A commit that turns one dead letter of batch 1 into a row, and removes the file with batch 2's rows to write them
/// again.
fn replay_and_rewrite(batch: u64) -> Commit {
    let mut commit = commit(batch);
    commit.inputs.clear();
    commit.files.truncate(1);
    commit.files[0].rows = 1 + 9;
    commit.removed = vec![RemovedFile { key: bronze(2), size: 100, rows: 9 }];
    commit.resolved = vec![ResolvedDeadLetters { file: letters(1), dead_letters: 1, ids: Some(ids(&[1])) }];
    commit.totals =
        Totals { rows: 1, resolved: 1, resolved_by_reason: [(Reason::InvalidSchema, 1)].into(), ..Totals::default() };
    commit
}

#[test]
fn a_commit_that_removes_and_resolves_is_stored_in_the_shape_of_version_2() {
    assert_golden("commit-that-removes-and-resolves", &replay_and_rewrite(3));
}

/// Fails when a file may have fields that its format version does not know: an older program would ignore them.
#[test]
fn a_file_with_more_than_its_version_allows_is_damage() {
    let text = String::from_utf8(encode(&replay_and_rewrite(3)).unwrap().to_vec()).unwrap();
    let error =
        decode::<Commit>(&Key::Probe, text.replacen("\"version\":2", "\"version\":1", 1).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("has format version 1, which can't"), "{error}");
    let text = String::from_utf8(encode(&plan(7)).unwrap().to_vec()).unwrap();
    let both = text.replacen("\"tasks\"", "\"work\":{\"rewrite\":{\"files\":[]}},\"tasks\"", 1);
    assert_eq!(decode::<Plan>(&Key::Probe, both.as_bytes()).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn an_attempt_is_stored_in_the_shape_of_version_1() {
    assert_golden("attempt", &Attempt { attempt_id: Uuid::from_u128(0x33), began_at: moment(2) });
    assert_golden("attempt-end", &AttemptEnd { ended_at: moment(3) });
}

#[test]
fn a_commit_is_stored_in_the_shape_of_version_1() {
    assert_golden("commit", &commit(7));
}

#[test]
fn a_schema_is_stored_in_the_shape_of_version_1() {
    assert_golden("schema", &schema());
}

#[test]
fn a_snapshot_is_stored_in_the_shape_of_version_1() {
    let segment = |first, last, size| Segment {
        first: BatchId::new(first).unwrap(),
        last: BatchId::new(last).unwrap(),
        size,
        sha256: lake::ids::sha256_hex(b"segment"),
        inputs: None,
    };
    let segments = vec![segment(1, 256, 1_000), segment(257, 272, 100)];
    let mut snapshot = Snapshot { stream: stream(), batch: BatchId::new(272).unwrap(), segments, retired: None };
    assert_golden("snapshot", &snapshot);
    // Earlier programs wrote none. A snapshot with one is not for them: they would go on without it.
    let index = |deferred| InputIndex {
        size: 900,
        sha256: lake::ids::sha256_hex(b"index"),
        filter: None,
        directory: 800,
        inputs: 512,
        deferred,
        first_key: "raw/events/a.json".to_owned(),
        last_key: "raw/events/b \"%2F\" é.json".to_owned(),
    };
    snapshot.segments[0].inputs = Some(index(0));
    snapshot.segments[1].inputs = Some(index(3));
    assert_golden("snapshot-with-inputs", &snapshot);
    snapshot.segments[1].inputs = Some(InputIndex { filter: Some(700), ..index(3) });
    assert_golden("snapshot-with-filter", &snapshot);
}

#[test]
fn a_ledger_file_cut_anywhere_is_damage_that_names_the_file() {
    let whole = encode(&commit(7)).unwrap();
    let key = Key::Commit { stream: stream(), batch: BatchId::new(7).unwrap() };
    for length in (0..whole.len() - 1).step_by(7) {
        let error = decode::<Commit>(&key, &whole[..length]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("checkpoints/events/commits/00000000000000000007.json"), "{error}");
    }
}

#[test]
fn an_unknown_version_and_an_unknown_field_are_refused() {
    let key = Key::Probe;
    let newer = String::from_utf8(encode(&plan(7)).unwrap().to_vec()).unwrap();
    let error = decode::<Plan>(&key, newer.replacen("\"version\":1", "\"version\":3", 1).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("format version 3"), "{error}");
    let error =
        decode::<Plan>(&key, newer.replacen("\"batch\"", "\"surprise\":1,\"batch\"", 1).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn of_two_plans_for_one_batch_exactly_one_wins() {
    let ledger = Ledger::new(Lake::in_memory(), stream());
    let (ours, theirs) = (plan(1), Plan { plan_id: Uuid::from_u128(0x99), ..plan(1) });

    assert_eq!(ledger.create_plan(&theirs).await.unwrap(), Claimed::Ours);
    assert_eq!(ledger.create_plan(&ours).await.unwrap(), Claimed::Theirs(theirs.clone()));
    // The winner may be created again: an answer may have been lost.
    assert_eq!(ledger.create_plan(&theirs).await.unwrap(), Claimed::Ours);
    assert_eq!(ledger.plan(BatchId::FIRST).await.unwrap(), Some(theirs));
}

/// Each break is caught by exactly one check: without that check, the test fails.
#[tokio::test]
async fn a_commit_that_does_not_balance_is_never_written() {
    let ledger = Ledger::new(Lake::in_memory(), stream());
    type Break = fn(&mut Commit);
    let breaks: [Break; 4] = [
        |commit| commit.inputs[0].rows += 1,
        |commit| commit.totals.records_read += 1,
        |commit| commit.files[0].rows -= 1,
        |commit| _ = commit.totals.dead_letters_by_reason.pop_first(),
    ];
    let other_breaks: [Break; 8] = [
        |commit| commit.totals.discarded += 1,
        |commit| commit.totals.rows += 1,
        // A rewrite that loses or duplicates rows.
        |commit| commit.files[0].rows += 1,
        |commit| commit.removed[0].rows += 1,
        |commit| commit.removed.clear(),
        |commit| commit.resolved[0].dead_letters += 1,
        |commit| commit.resolved[0].ids = Some(ids(&[1, 1])),
        |commit| commit.totals.resolved_by_reason.clear(),
    ];
    let broken = breaks.iter().map(|broken| (commit(1), broken));
    let other = other_breaks.iter().map(|broken| (replay_and_rewrite(1), broken));
    for (at, (mut commit, broken)) in broken.chain(other).enumerate() {
        assert_eq!(commit.check_balance(), Ok(()));
        broken(&mut commit);
        assert_eq!(ledger.create_commit(&commit).await.unwrap_err().kind(), ErrorKind::Bug, "break {at}");
    }
    assert_eq!(ledger.commit(BatchId::FIRST).await.unwrap(), None);
}

#[tokio::test]
async fn a_gap_between_commits_is_damage() {
    let ledger = Ledger::new(Lake::in_memory(), stream());
    for batch in [1, 2, 4] {
        assert_eq!(ledger.create_commit(&commit(batch)).await.unwrap(), Claimed::Ours);
    }
    let error = ledger.commits_after(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("commits/00000000000000000003.json"), "{error}");
    let after_the_gap = ledger.commits_after(BatchId::new(3)).await.unwrap();
    assert_eq!(after_the_gap, [BatchId::new(4).unwrap()]);
}

#[tokio::test]
async fn a_schema_under_the_id_of_another_is_damage() {
    let lake = Lake::in_memory();
    let ledger = Ledger::new(lake.clone(), stream());
    let other = SchemaId::of(b"other");
    let key = Key::Schema { stream: stream(), id: other.clone() };
    assert_eq!(lake.create(&key, encode(&schema()).unwrap()).await.unwrap(), Created::Ours);
    assert_eq!(ledger.schema(&other).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let absent = ledger.schema(&SchemaId::of(b"absent")).await.unwrap_err();
    assert!(absent.to_string().contains("is missing"), "{absent}");
}

#[tokio::test]
async fn a_foreign_file_among_the_commits_is_damage() {
    let (lake, directory) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    let folder = directory.path().join("checkpoints/events/commits");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let error = ledger.commits_after(None).await.unwrap_err();
    assert!(error.to_string().contains("notes.txt"), "{error}");
}

pub(crate) async fn folder_lake() -> (Lake, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let urls = lake::settings::LakeUrls::below(&format!("file://{}", directory.path().display())).unwrap();
    (Lake::open(&urls).await.unwrap(), directory)
}

#[tokio::test]
async fn a_create_keeps_what_exists_and_returns_it() {
    let lake = Lake::in_memory();
    let key = Key::Probe;
    assert_eq!(lake.create(&key, Bytes::from_static(b"first")).await.unwrap(), Created::Ours);
    let second = lake.create(&key, Bytes::from_static(b"second")).await.unwrap();
    assert_eq!(second, Created::Theirs(Bytes::from_static(b"first")));
    assert_eq!(lake.create(&key, Bytes::from_static(b"first")).await.unwrap(), Created::Ours);
    assert_eq!(lake.read(&key).await.unwrap(), Some(Bytes::from_static(b"first")));
}

#[tokio::test]
async fn a_store_that_refuses_second_creates_passes_the_probe_again_and_again() {
    let (lake, _directory) = folder_lake().await;
    for _ in 0..3 {
        lake.probe_conditional_create().await.unwrap();
    }
}

#[tokio::test]
async fn streams_are_the_folders_of_the_ledger() {
    let lake = Lake::in_memory();
    assert!(lake.streams().await.unwrap().is_empty());
    lake.probe_conditional_create().await.unwrap();
    let strange: StreamName = "x\"; drop table t; --".parse().unwrap();
    for name in [stream(), strange.clone()] {
        let record = SchemaRecord { stream: name.clone(), ..schema() };
        Ledger::new(lake.clone(), name).create_schema(&record).await.unwrap();
    }
    assert_eq!(lake.streams().await.unwrap(), [stream(), strange]);
}

proptest! {
    /// Fails for years beyond four digits when only RFC 3339 is read: a valid time of year 9999 west of Greenwich is in the year
    /// 10000 in UTC.
    #[test]
    fn every_time_that_a_column_can_hold_is_read_as_it_was_written(micros in any::<i64>()) {
        if let Some(time) = Timestamp::from_micros(micros) {
            let text = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), time, "{}", text);
        }
    }

    #[test]
    fn times_around_the_ends_of_four_digit_years_are_read_as_they_were_written(
        seconds in prop_oneof![-62_167_305_600..-62_167_132_800_i64, 253_402_214_400..253_402_387_200_i64],
    ) {
        let time = Timestamp::from_micros(seconds * 1_000_000 + 123_456).unwrap();
        let text = serde_json::to_string(&time).unwrap();
        prop_assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), time, "{}", text);
    }
}

/// Fails when the bytes are not read back first: such a schema record would stop every program from then on.
#[tokio::test]
async fn what_would_not_be_read_as_it_was_written_is_never_stored() {
    let ledger = Ledger::new(Lake::in_memory(), stream());
    // A key that serde_json keeps for itself, with a text that is not a number.
    let json_schema = json!({"type": "object", "properties": {}, "default": {"$serde_json::private::Number": "1"}});
    let record = SchemaRecord { json_schema, ..schema() };
    match ledger.create_schema(&record).await {
        Ok(()) => assert_eq!(ledger.schema(&record.id()).await.unwrap(), record),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Bug);
            assert!(error.to_string().contains("nothing was stored"), "{error}");
            assert_eq!(ledger.schema_ids().await.unwrap(), []);
        }
    }
}
