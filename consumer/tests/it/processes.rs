//! The real program, killed and frozen at the worst moments: the next one goes on, and nothing is lost or duplicated.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lake::ids::BatchId;
use local_s3::{Fault, FaultKind, Moment};

use crate::{
    lake_in_a_folder::FolderLake,
    lake_on_s3::{S3Lake, environment, ids},
    program::{consumer, signal, stop, streams},
};

/// The next number of a reproducible pseudo-random sequence (Knuth's MMIX generator).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Queries through the reader until `done`, checks that it sees only whole batches, and returns the number of queries.
fn poll_reader(lake_url: &str, done: &AtomicBool) -> u64 {
    let reader = Path::new(env!("CARGO_BIN_EXE_consumer")).with_file_name("reader");
    let query = "select (select count(*) from bronze.events) as rows, (select count(*) from dead_letters.events) as letters, \
                 sum(b.rows), sum(b.dead_letters) from checkpoints.batches b";
    let mut polls = 0;
    while !done.load(Ordering::Relaxed) {
        let output =
            Command::new(&reader).args(["--format", "csv", "-c", query]).env_clear().env("LAKE_URL", lake_url).output();
        let output =
            output.unwrap_or_else(|error| panic!("{}: {error}; run `cargo build --workspace`", reader.display()));
        let (text, words) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{words}");
        let numbers: Vec<&str> = text.lines().nth(1).unwrap().split(',').collect();
        assert_eq!(numbers[..2], numbers[2..], "a reader sees a part of a batch: {text}");
        polls += 1;
    }
    polls
}

/// Fails when a start ignores which objects the commits say were read.
#[tokio::test]
async fn killed_again_and_again_the_consumer_commits_every_record_once() {
    let kills: u64 = std::env::var("CHAOS_KILLS").map_or(10, |text| text.parse().unwrap());
    let mut seed: u64 = std::env::var("CHAOS_SEED").map_or(7, |text| text.parse().unwrap());
    let lake = FolderLake::new().await;
    let objects = 30 * kills as i64;
    let land = |id: i64| {
        let bad = if id % 5 == 0 { ", {\"id\": \"x\"}" } else { "" };
        lake.land(&format!("{id}.json"), format!("[{{\"id\": {id}}}{bad}]"));
        if id % 7 == 0 {
            lake.land(&format!("{id}-cut.json"), "[{\"id\": ");
        }
    };
    let streams = streams("[batch]\nobjects = 3\n");
    let url = format!("file://{}", lake.folder.path().display());
    let environment = [("LAKE_URL", url.clone())];
    let done = Arc::new(AtomicBool::new(false));
    let mut polls = None;
    for kill in 0..kills as i64 {
        (30 * kill..30 * (kill + 1)).for_each(land);
        if polls.is_none() && lake.ledger().commit(BatchId::FIRST).await.unwrap().is_some() {
            let (url, done) = (url.clone(), Arc::clone(&done));
            polls = Some(std::thread::spawn(move || poll_reader(&url, &done)));
        }
        let mut child = consumer(streams.path(), &environment).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(next(&mut seed) % 300)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let ended = consumer(streams.path(), &environment).arg("--once").status().unwrap();
    assert!(ended.success());
    done.store(true, Ordering::Relaxed);
    let polls = polls.expect("a batch was committed before the last kill").join().unwrap();
    println!("{kills} kills; a reader looked {polls} times");
    let held = lake.holds().await;
    assert_eq!(ids(&held), (0..objects).collect());
    let cut = (0..objects).filter(|id| id % 7 == 0).count();
    let invalid = (0..objects).filter(|id| id % 5 == 0).count();
    let of = |reason: &str| held.faults().iter().filter(|(found, ..)| found == reason).count();
    assert_eq!((of("corrupted_batch"), of("invalid_schema")), (cut, invalid));
    assert_eq!(consumer::inspect::verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
}

/// Fails when the commit is not conditional: the frozen consumer's commit would replace the other's.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_frozen_in_its_commit_wakes_up_to_find_it_done() {
    let lake = S3Lake::new().await;
    lake.land_ids(5, |id| format!("{id}.json")).await;
    let streams = streams("[takeover]\nafter = \"200ms\"\n[trigger]\ninterval = \"20ms\"\n");
    let environment = environment(&lake.server);
    let latency = FaultKind::Latency { at_least: Duration::from_secs(2), at_most: None, moment: Moment::Before };
    lake.faults(1, [Fault::new(latency).on("PutObject").prefix("checkpoints/events/commits/").limit(1)]);
    let frozen = consumer(streams.path(), &environment).spawn().unwrap();
    while lake.server.faults_injected().total() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    signal(&frozen, "-STOP");
    let second = consumer(streams.path(), &environment).spawn().unwrap();
    let ledger = lake.ledger();
    let committed = async |batch| {
        while ledger.commit(BatchId::new(batch).unwrap()).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    committed(1).await;
    let theirs = ledger.commit(BatchId::FIRST).await.unwrap();
    signal(&frozen, "-CONT");
    lake.land("later.json", "[{\"id\": 5}]").await;
    committed(2).await;
    // The frozen consumer has received the late answer by the time it stops.
    assert!(stop(frozen).success());
    assert!(stop(second).success());
    assert_eq!(ledger.commit(BatchId::FIRST).await.unwrap(), theirs);
    let held = lake.holds().await;
    assert_eq!((held.commits.len(), ids(&held)), (2, (0..6).collect()));
}
