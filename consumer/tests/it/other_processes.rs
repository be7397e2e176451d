//! A task is a value: it writes the same bytes in any process, and its death does not end the parent.

use std::{collections::BTreeMap, fs, path::Path, process::Command, sync::Arc, time::Duration};

use consumer::execute::{
    ChildLimits, ChildOutcome, Death, DeathCause, NoWatch, Purpose, StageTimes, TaskReport, TaskRequest, run_in_child,
    run_task,
};
use lake::{
    clock::Timestamp,
    ids::BatchId,
    ledger::{Ingest, Plan, SchemaRecord, Work},
    stream::Format,
};
use uuid::Uuid;

use crate::lake_in_a_folder::{FolderLake, definition, events};

const PROGRAM: &str = env!("CARGO_BIN_EXE_consumer");

const LIMITS: ChildLimits = ChildLimits { memory_bytes: 512 << 20, deadline: Duration::from_secs(60) };

/// Plans several tasks over all kinds of objects, and does not execute them.
pub(crate) async fn planned(lake: &FolderLake) -> Vec<TaskRequest> {
    let mut definition = definition(Format::JsonArray);
    definition.batch.task_bytes = 60;
    lake.land("a.json", "[{\"id\": 1}, {\"id\": \"x\"}, {\"id\": 2, \"more\": [1, \"ü\"]}]");
    lake.land("b.json", "[{\"id\"");
    lake.land("c.json", "[{\"id\": 3}]");
    lake.land("d.json", "");
    let ledger = lake.ledger();
    let schema = SchemaRecord::derive(&events(), &definition.schema, None).unwrap();
    ledger.create_schema(&schema).await.unwrap();
    let mut known = consumer::discover::KnownInputs::new(ledger, consumer::discover::Mending::Keep);
    let passes = consumer::discover::KnownOnes::PassOver;
    let found = consumer::discover::discover(&lake.lake, &events(), &mut known, None, passes).await.unwrap();
    let objects = found.objects.into_iter().map(|object| lake::ledger::PlannedTask { objects: vec![object] });
    let work = Work::Ingest(Ingest { schema_id: schema.id(), read: definition.read, tasks: objects.collect() });
    let planned_at = Timestamp::from_micros(1_795_000_000_000_000).unwrap();
    let plan = Plan { stream: events(), batch: BatchId::FIRST, plan_id: Uuid::from_u128(5), planned_at, work };
    TaskRequest::of(&plan, Duration::from_secs(600)).unwrap()
}

/// All files below a folder, by path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => {
                found.extend(files(&entry.path()).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
            }
            false => drop(found.insert(name, fs::read(entry.path()).unwrap())),
        }
    }
    found
}

fn without_times(report: TaskReport) -> TaskReport {
    TaskReport { times: StageTimes::default(), ..report }
}

async fn in_child(lake: &FolderLake, request: &TaskRequest, limits: ChildLimits) -> ChildOutcome {
    run_in_child(Path::new(PROGRAM), &lake.lake, request, Purpose::Run, limits).await.unwrap()
}

/// Fails when anything but the request and the program affects what a task writes.
#[tokio::test]
async fn a_plans_tasks_write_the_same_bytes_in_whatever_process_they_run() {
    let here = FolderLake::new().await;
    let requests = planned(&here).await;
    let there = FolderLake::new().await;
    for (name, bytes) in files(here.folder.path()) {
        let to = there.path(&name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(&to, bytes).unwrap();
        // The same time makes it the same version.
        let moment = fs::metadata(here.path(&name)).unwrap().modified().unwrap();
        fs::File::options().write(true).open(to).unwrap().set_modified(moment).unwrap();
    }
    for (number, request) in requests.iter().enumerate() {
        let travelled: TaskRequest = serde_json::from_str(&serde_json::to_string(request).unwrap()).unwrap();
        assert_eq!(travelled, *request);
        let ours = run_task(&here.lake, request, Arc::new(NoWatch)).await.unwrap();
        let ChildOutcome::Reported(theirs) = in_child(&there, request, LIMITS).await else { panic!("task {number}") };
        assert_eq!(without_times(ours), without_times(theirs), "task {number}");
    }
    let (ours, theirs) = (files(here.folder.path()), files(there.folder.path()));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    let differing: Vec<_> =
        ours.iter().filter(|(name, bytes)| theirs[*name] != **bytes).map(|(name, _)| name).collect();
    assert_eq!(differing, Vec::<&String>::new());
    // Two bronze files, a dead-letter file for a record and two for objects, and two copies.
    let made = |folder: &str| ours.keys().filter(|name| name.starts_with(folder)).count();
    assert_eq!((made("bronze/"), made("dead_letters/events/ingested"), made("dead_letters/events/objects")), (2, 3, 2));
    // A second process finds the first one's files and accepts them.
    for request in &requests {
        assert!(matches!(in_child(&here, request, LIMITS).await, ChildOutcome::Reported(_)));
    }
}

/// Fails when a rehearsal stores anything: its task's files would then exist with the bytes of a part of the task.
#[tokio::test]
async fn a_child_that_rehearses_reads_everything_and_stores_nothing() {
    let lake = FolderLake::new().await;
    let requests = planned(&lake).await;
    let before = files(lake.folder.path());
    for request in &requests {
        let ended = run_in_child(Path::new(PROGRAM), &lake.lake, request, Purpose::Rehearse, LIMITS).await.unwrap();
        assert!(matches!(ended, ChildOutcome::Rehearsed), "{ended:?}");
    }
    assert_eq!(files(lake.folder.path()).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
}

/// A script that runs the consumer with failpoints armed; a child's own environment comes from the test process.
fn armed(lake: &FolderLake, failpoints: &str) -> std::path::PathBuf {
    let script = lake.path("armed-consumer");
    let text = format!("#!/bin/sh\nSLUICE_FAILPOINTS='{failpoints}' exec '{PROGRAM}' \"$@\"\n");
    fs::write(&script, text).unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&script).status().unwrap().success());
    script
}

async fn death_of(lake: &FolderLake, failpoints: &str, limits: ChildLimits) -> Death {
    let request = &planned(lake).await[0];
    let program = armed(lake, failpoints);
    match run_in_child(&program, &lake.lake, request, Purpose::Run, limits).await.unwrap() {
        ChildOutcome::Died(death) => death,
        other => panic!("{other:?}"),
    }
}

const SIGABRT: i32 = 6;

/// Fails when the death of a child counts as a failure of the parent.
#[tokio::test]
async fn a_child_that_aborts_is_reported_with_its_signal() {
    let death = death_of(&FolderLake::new().await, "decode:object", LIMITS).await;
    assert_eq!((death.cause, death.reading), (DeathCause::Signal(SIGABRT), Some(0)));
    assert!(death.cause.is_its_own());
}

/// Fails when the death of a child that was killed from outside counts as its own.
#[tokio::test]
async fn a_child_that_another_process_ends_did_not_die_of_what_it_did() {
    let lake = FolderLake::new().await;
    let request = &planned(&lake).await[0];
    for signal in ["KILL", "TERM"] {
        let killed = lake.path("killed-consumer");
        fs::write(&killed, format!("#!/bin/sh\nkill -{signal} $$\n")).unwrap();
        assert!(Command::new("chmod").arg("+x").arg(&killed).status().unwrap().success());
        let ended = run_in_child(&killed, &lake.lake, request, Purpose::Run, LIMITS).await.unwrap();
        let ChildOutcome::Died(death) = ended else { panic!("{ended:?}") };
        assert!(!death.cause.is_its_own(), "{death:?}");
    }
}

/// Fails when nothing in the child watches for progress: it then ends at the deadline, for which no object is to blame.
#[tokio::test]
async fn a_child_whose_object_makes_no_progress_says_so() {
    let lake = FolderLake::new().await;
    let request = TaskRequest { object_time: Duration::from_millis(100), ..planned(&lake).await[0].clone() };
    let program = armed(&lake, "decode:object!hang");
    let ended = run_in_child(&program, &lake.lake, &request, Purpose::Run, LIMITS).await.unwrap();
    let ChildOutcome::Died(death) = ended else { panic!("{ended:?}") };
    assert_eq!((death.cause, death.reading), (DeathCause::Hung, Some(0)));
}

/// Fails when nothing checks the deadline, or when the child is left running.
#[tokio::test]
async fn a_child_that_hangs_is_killed_at_its_deadline() {
    let lake = FolderLake::new().await;
    let limits = ChildLimits { deadline: Duration::from_millis(700), ..LIMITS };
    let death = death_of(&lake, "decode:object!hang", limits).await;
    assert_eq!(death.cause, DeathCause::Deadline);
    let name = lake.folder.path().display().to_string();
    let running = Command::new("pgrep").args(["-f", &name]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&running.stdout), "", "the child still runs");
}

/// Fails when the child does not set the limit: it then reads the object.
#[tokio::test]
async fn a_child_that_needs_more_memory_than_it_may_have_dies_of_it() {
    let lake = FolderLake::new().await;
    let requests = planned(&lake).await;
    let long = format!("[{{\"id\": 1, \"text\": \"{}\"}}]", "x".repeat(60 << 20));
    lake.land("a.json", &long);
    let moment = fs::metadata(lake.path("raw/events/a.json")).unwrap().modified().unwrap();
    let nanos = moment.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let mut request = requests[0].clone();
    request.plan.read.record_bytes_max = 100 << 20;
    request.objects[0].size = long.len() as u64;
    request.objects[0].etag = format!("{nanos:x}-{:x}", long.len());
    let few = ChildLimits { memory_bytes: 100 << 20, ..LIMITS };
    match in_child(&lake, &request, few).await {
        ChildOutcome::Died(Death { cause: DeathCause::OutOfMemory, reading: Some(0), last_words }) => {
            assert!(last_words.contains("memory allocation of"), "{last_words}");
        }
        other => panic!("{other:?}"),
    }
    let many = ChildLimits { memory_bytes: 2 << 30, ..LIMITS };
    assert!(matches!(in_child(&lake, &request, many).await, ChildOutcome::Reported(_)));
}

/// Fails when a decompressor that gets no memory reports a broken object: the object is whole.
#[tokio::test]
async fn a_child_that_gets_no_memory_for_a_window_of_zstd_dies_of_it() {
    let lake = FolderLake::new().await;
    let mut request = planned(&lake).await[0].clone();
    let mut frame = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    frame.window_log(27).unwrap();
    std::io::Write::write_all(&mut frame, b"[{\"id\": 1}]").unwrap();
    let frame = frame.finish().unwrap();
    fs::write(lake.path("raw/events/a.json"), &frame).unwrap();
    let moment = fs::metadata(lake.path("raw/events/a.json")).unwrap().modified().unwrap();
    let nanos = moment.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    request.objects[0].size = frame.len() as u64;
    request.objects[0].etag = format!("{nanos:x}-{:x}", frame.len());
    let few = ChildLimits { memory_bytes: 100 << 20, ..LIMITS };
    match in_child(&lake, &request, few).await {
        ChildOutcome::Died(Death { cause: DeathCause::OutOfMemory, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(in_child(&lake, &request, LIMITS).await, ChildOutcome::Reported(_)));
}

/// Fails when a store failure in the child counts as its death: no object is to blame for that.
#[tokio::test]
async fn a_child_whose_store_fails_says_so_and_did_not_die() {
    let lake = FolderLake::new().await;
    let requests = planned(&lake).await;
    fs::remove_dir_all(lake.path("checkpoints/events/schemas")).unwrap();
    match in_child(&lake, &requests[0], LIMITS).await {
        ChildOutcome::Failed(error) => {
            assert_eq!(error.kind(), lake::ErrorKind::Corrupt);
            assert!(error.to_string().contains("schemas/"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_subcommand_of_children_is_hidden_and_says_that_it_is_for_a_parent_process() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("task"), "{help:?}");
    let alone = Command::new(PROGRAM).args(["task", "--lake-url", "memory://"]).output().unwrap();
    assert_eq!(alone.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&alone.stderr).contains("only for a parent process"), "{alone:?}");
}
