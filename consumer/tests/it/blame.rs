//! The real program is killed, stopped, joined by rivals and refused by its store while it reads a good object: none of
//! this ever makes the object a dead letter.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ExitStatus, Stdio},
    time::Duration,
};

use consumer::inspect::verify;
use futures::TryStreamExt;
use lake::{ids::BatchId, keys::Prefix};
use local_s3::{Answer, Fault, FaultKind, Moment};

use crate::{
    lake_in_a_folder::{FolderLake, events},
    lake_on_s3::{S3Lake, environment, ids},
    program::{consumer, stop, streams},
};

/// The object never ends, neither in the first process nor in a child.
const NEVER_ENDS: &str = "decode:object@a.json!hang";

/// More often than any object could be blamed for.
const TIMES: usize = 8;

fn start(lake: &FolderLake, failpoint: &str) -> Child {
    let streams = streams("");
    let url = format!("file://{}", lake.folder.path().display());
    let failpoint = failpoint.to_owned();
    let armed = [("SLUICE_FAILPOINTS", failpoint.clone()), ("SLUICE_CHILD_FAILPOINTS", failpoint), ("LAKE_URL", url)];
    let child = consumer(streams.path(), &armed).arg("--once").stderr(Stdio::piped()).spawn().unwrap();
    // The program has read the streams by the time it plans.
    std::mem::forget(streams);
    child
}

async fn until(mut reached: impl AsyncFnMut() -> bool) {
    while !reached().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn is_planned(lake: &FolderLake) -> bool {
    lake.ledger().plan(BatchId::FIRST).await.unwrap().is_some()
}

/// The number of notes about attempts.
async fn notes(lake: &FolderLake) -> usize {
    let found: Vec<_> = lake.lake.list(&Prefix::AllAttempts(&events()), None).try_collect().await.unwrap();
    found.len()
}

async fn assert_ingested(lake: &FolderLake, ended: ExitStatus) {
    assert!(ended.success(), "{ended}");
    let held = lake.holds().await;
    assert_eq!((ids(&held), held.faults()), ([1].into(), Vec::new()));
    assert_eq!(notes(lake).await, 0, "notes about attempts are left");
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
}

/// Fails when the end of a process counts against the object that it was reading, or when a dead process is waited for.
#[tokio::test]
async fn processes_that_are_killed_from_outside_blame_no_object() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    for time in 0..TIMES {
        let mut killed = start(&lake, NEVER_ENDS);
        until(async || is_planned(&lake).await && notes(&lake).await == time).await;
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    assert_ingested(&lake, start(&lake, "").wait().unwrap()).await;
}

/// Fails when a process that starts executes a plan that another one is working on.
#[tokio::test]
async fn processes_that_start_while_another_one_works_on_a_plan_leave_it_alone() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    let first = start(&lake, NEVER_ENDS);
    until(async || is_planned(&lake).await).await;
    let rivals: Vec<Child> = (0..5).map(|_| start(&lake, "")).map(until_it_waits).collect();
    assert_eq!(notes(&lake).await, 0, "a rival began to execute the plan");
    assert_eq!(lake.ledger().commit(BatchId::FIRST).await.unwrap(), None);
    for mut process in [first].into_iter().chain(rivals) {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    assert_ingested(&lake, start(&lake, "").wait().unwrap()).await;
}

/// Returns once a process says that it waits for another one.
fn until_it_waits(mut process: Child) -> Child {
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("may be working on this batch")), "it ended without waiting");
    process
}

/// Fails when an orderly stop looks like a death: the next process then waits, and reads in a process of its own.
#[tokio::test]
async fn a_process_that_stops_in_order_says_so_and_blames_no_object() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    let stopped = start(&lake, NEVER_ENDS);
    until(async || is_planned(&lake).await).await;
    assert!(stop(stopped).success());
    let attempts = lake.ledger().attempts(BatchId::FIRST).await.unwrap();
    assert!(attempts.maker_ended && attempts.open.is_empty(), "{attempts:?}");
    assert_ingested(&lake, start(&lake, "").wait().unwrap()).await;
}

/// Fails when a failed write counts against the object that was read last.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_takes_no_more_data_blames_no_object() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    let streams = streams("");
    let url = format!("file://{}", lake.folder.path().display());
    // No file may be longer than a plan or a schema is, as if the disk was full; without the trap, the kernel would end
    // the process.
    let limited = "trap '' XFSZ; exec prlimit --fsize=1500 \"$0\" \"$@\"";
    for time in 0..TIMES {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", limited, env!("CARGO_BIN_EXE_consumer"), "run", "--stream", "events", "--once"]);
        command.arg("--streams-dir").arg(streams.path()).env("LAKE_URL", &url).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("the store failed; trying again")), "nothing failed");
        assert!(is_planned(&lake).await);
        if time % 2 == 0 {
            process.kill().unwrap();
            process.wait().unwrap();
        } else {
            stop(process);
        }
    }
    assert_ingested(&lake, start(&lake, "").wait().unwrap()).await;
}

/// Fails when a store's refusal counts against the object that was read last.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_what_is_written_blames_no_object() {
    let lake = S3Lake::new().await;
    lake.land_ids(5, |id| format!("{id}.json")).await;
    let streams = streams("");
    let environment = environment(&lake.server);
    let denied = FaultKind::Error { answer: Answer::AccessDenied, moment: Moment::Before };
    lake.faults(1, [Fault::new(denied).on("PutObject").prefix("bronze/")]);
    for _ in 0..TIMES {
        let ended = consumer(streams.path(), &environment).arg("--once").status().unwrap();
        assert_eq!(ended.code(), Some(2), "{ended}");
    }
    lake.faults(1, []);
    assert!(consumer(streams.path(), &environment).arg("--once").status().unwrap().success());
    let held = lake.holds().await;
    assert_eq!((ids(&held), held.faults()), ((0..5).collect(), Vec::new()));
}
