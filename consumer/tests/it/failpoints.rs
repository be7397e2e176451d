//! The real program dies at each step between discovery and the end of a batch, and because of single objects.
//!
//! In each test it dies at one step three times over one stream, the third time at a later batch if possible. Then the
//! test checks the lake against what landed.

use std::{collections::BTreeSet, fs, os::unix::process::ExitStatusExt, process::ExitStatus};

use consumer::{failpoint, inspect::verify};
use futures::TryStreamExt;
use lake::{keys::Prefix, ledger::Outcome};

use crate::{
    lake_in_a_folder::{FolderLake, events},
    lake_on_s3::ids,
    program::{consumer, streams},
};

/// At three per batch, enough for a snapshot to be due.
const OBJECTS: i64 = 54;

const SIGABRT: i32 = 6;

/// Lands `OBJECTS` objects of one row each. Every fifth also has a bad record; with every ninth, a cut object lands.
fn land(lake: &FolderLake) {
    for id in 0..OBJECTS {
        let bad = if id % 5 == 0 { ", {\"id\": \"x\"}" } else { "" };
        lake.land(&format!("{id:02}.json"), format!("[{{\"id\": {id}}}{bad}]"));
        if id % 9 == 0 {
            lake.land(&format!("{id:02}-cut.json"), "[{\"id\": ");
        }
    }
}

fn run_once(lake: &FolderLake, settings: &str, failpoints: &str) -> ExitStatus {
    run_with(lake, settings, &[("SLUICE_FAILPOINTS", failpoints.to_owned())])
}

fn run_with(lake: &FolderLake, settings: &str, armed: &[(&str, String)]) -> ExitStatus {
    let streams = streams(settings);
    let url = format!("file://{}", lake.folder.path().display());
    let mut environment = vec![("LAKE_URL", url)];
    environment.extend_from_slice(armed);
    consumer(streams.path(), &environment).arg("--once").status().unwrap()
}

/// Checks the lake against what [`land`] landed: every record is in one place, once.
async fn assert_whole(lake: &FolderLake) {
    let held = lake.holds().await;
    assert_eq!(ids(&held), (0..OBJECTS).collect());
    let of = |reason: &str| held.faults().iter().filter(|(found, ..)| found == reason).count();
    assert_eq!((of("invalid_schema"), of("corrupted_batch"), held.dead_letters.len()), (11, 6, 17));
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
}

/// Dies at the failpoint the first time it is reached, the same again, and then the `last`-th time; before each death,
/// dies at `prepare` if it is not empty. After a death, a plan's tasks run in child processes: one of these dies at the
/// failpoint too, once, which ends nothing.
async fn dies_at(failpoint: &str, last: u32, settings: &str, prepare: &str) {
    let lake = FolderLake::new().await;
    land(&lake);
    let is_in_a_task = ["fetch:", "decode:", "write:bronze", "write:dead_letters", "write:copy"];
    let is_in_a_task = is_in_a_task.iter().any(|part| failpoint.starts_with(part));
    if is_in_a_task {
        assert_eq!(run_once(&lake, settings, failpoint).signal(), Some(SIGABRT));
        let died = lake.path("died");
        let in_a_child = format!("{failpoint}!once={}", died.display());
        let here = format!("{failpoint}#{last}");
        let armed = [("SLUICE_FAILPOINTS", here), ("SLUICE_CHILD_FAILPOINTS", in_a_child)];
        assert_eq!(run_with(&lake, settings, &armed).signal(), Some(SIGABRT), "{failpoint}");
        assert!(died.exists(), "no child reached {failpoint}");
    }
    let deaths: &[u32] = if is_in_a_task { &[] } else { &[1, 1, last] };
    for nth in deaths {
        if !prepare.is_empty() {
            assert_eq!(run_once(&lake, settings, prepare).signal(), Some(SIGABRT), "{prepare}");
        }
        let died = run_once(&lake, settings, &format!("{failpoint}#{nth}"));
        assert_eq!(died.signal(), Some(SIGABRT), "{failpoint}#{nth}: {died}");
    }
    assert!(run_once(&lake, settings, "").success());
    assert_whole(&lake).await;
    let landed: Vec<_> = lake.lake.list(&Prefix::Raw(&events()), None).try_collect().await.unwrap();
    let landed = landed.len();
    assert_eq!(landed == 0, settings == ARCHIVE, "{landed} objects are left where they landed");
}

const BATCHES: &str = "[batch]\nobjects = 3\n";
const ARCHIVE: &str = "after_commit = \"archive\"\n[batch]\nobjects = 3\n";

/// One test for each failpoint: the test's name and the arguments of [`dies_at`].
macro_rules! deaths {
    ($($name:ident: $failpoint:literal, $last:literal, $settings:expr, $prepare:literal;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                dies_at($failpoint, $last, $settings, $prepare).await;
            }
        )*
        const TESTED: &[&str] = &[$($failpoint),*];
    };
}

deaths! {
    dead_after_listing: "discover:listed", 1, BATCHES, "";
    dead_before_its_plan: "plan:taken", 3, BATCHES, "";
    dead_after_its_plan: "plan:created", 3, BATCHES, "";
    dead_in_recovery: "recover:attempted", 1, BATCHES, "plan:created";
    dead_with_all_objects_fetched: "fetch:done", 3, BATCHES, "";
    dead_within_an_object: "decode:object", 3, BATCHES, "";
    dead_before_any_file: "decode:done", 3, BATCHES, "";
    dead_after_the_bronze_file: "write:bronze", 3, BATCHES, "";
    dead_after_the_dead_letter_file: "write:dead_letters", 3, BATCHES, "";
    dead_after_keeping_an_object: "write:copy", 3, BATCHES, "";
    dead_with_all_files_stored: "write:done", 3, BATCHES, "";
    dead_before_its_commit: "commit:assembled", 3, BATCHES, "";
    dead_after_its_commit: "commit:created", 3, BATCHES, "";
    dead_before_a_snapshot: "snapshot:due", 3, BATCHES, "";
    dead_after_a_snapshot: "snapshot:done", 3, BATCHES, "";
    dead_before_archiving: "after_commit:begun", 3, ARCHIVE, "";
    dead_between_archiving_and_removing: "after_commit:copied", 3, ARCHIVE, "";
    dead_after_removing: "after_commit:removed", 3, ARCHIVE, "";
}

#[test]
fn every_failpoint_has_a_test() {
    let all = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(all(TESTED), all(&failpoint::ALL));
}

/// Arms a failpoint in this process and its children.
fn everywhere(failpoint: &str) -> [(&'static str, String); 2] {
    [("SLUICE_FAILPOINTS", failpoint.to_owned()), ("SLUICE_CHILD_FAILPOINTS", failpoint.to_owned())]
}

async fn assert_poisoned(lake: &FolderLake, rows: i64) {
    let held = lake.holds().await;
    assert_eq!(ids(&held), (0..rows).collect());
    assert_eq!(held.faults(), [("corrupted_batch".to_owned(), "poison".to_owned(), "-".to_owned())]);
    let inputs = held.commits.iter().flat_map(|commit| &commit.inputs);
    let poison: Vec<_> = inputs.filter(|input| input.outcome == Outcome::DeadLettered).collect();
    assert_eq!(poison.len(), 1);
    let copy = lake.path(&poison[0].copy.as_ref().unwrap().to_string());
    assert_eq!(fs::read(copy).unwrap(), b"[{\"id\": 77}]");
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
    assert_eq!(attempt_notes(lake).await, 0, "notes about attempts are left");
}

async fn attempt_notes(lake: &FolderLake) -> usize {
    let notes: Vec<_> = lake.lake.list(&Prefix::AllAttempts(&events()), None).try_collect().await.unwrap();
    notes.len()
}

/// Fails when the next process reads the object itself: the stream never gets past it.
#[tokio::test]
async fn an_object_that_kills_every_process_becomes_a_dead_letter_and_the_rest_goes_on() {
    let lake = FolderLake::new().await;
    for id in 0..20 {
        lake.land(&format!("{id:02}.json"), format!("[{{\"id\": {id}}}]"));
    }
    lake.land("07-poison.json", "[{\"id\": 77}]");
    let settings = "[batch]\nobjects = 6\ntask_bytes = 30\n";
    let dies = everywhere("decode:object@poison");
    assert_eq!(run_with(&lake, settings, &dies).signal(), Some(SIGABRT));
    assert!(run_with(&lake, settings, &dies).success());
    assert_poisoned(&lake, 20).await;
}

/// Fails when nothing checks the time limit: the first run never ends.
#[tokio::test]
async fn an_object_that_hangs_ends_the_process_and_then_becomes_a_dead_letter() {
    let lake = FolderLake::new().await;
    for id in 0..5 {
        lake.land(&format!("{id}.json"), format!("[{{\"id\": {id}}}]"));
    }
    lake.land("3-poison.json", "[{\"id\": 77}]");
    let hangs = everywhere("decode:object@poison!hang");
    let settings = "[limits]\nobject_time = \"150ms\"\n";
    assert_eq!(run_with(&lake, settings, &hangs).code(), Some(5));
    assert!(run_with(&lake, settings, &hangs).success());
    assert_poisoned(&lake, 5).await;
}

/// Fails when a death counts that is not the object's: no object is to blame for it.
#[tokio::test]
async fn a_process_that_dies_again_and_again_outside_of_any_object_makes_none_a_dead_letter() {
    let lake = FolderLake::new().await;
    land(&lake);
    for _ in 0..8 {
        assert_eq!(run_once(&lake, BATCHES, "commit:assembled").signal(), Some(SIGABRT));
    }
    assert!(run_once(&lake, BATCHES, "").success());
    assert_whole(&lake).await;
    assert_eq!(attempt_notes(&lake).await, 0);
}

/// Fails when the death of a process that reads the object among others is enough: read alone, it kills none.
#[tokio::test]
async fn an_object_that_was_read_when_a_process_died_and_can_be_read_alone_is_not_blamed() {
    let lake = FolderLake::new().await;
    land(&lake);
    let once = lake.path("died");
    let dies = everywhere(&format!("decode:object@05!once={}", once.display()));
    assert_eq!(run_once(&lake, BATCHES, "decode:object@05").signal(), Some(SIGABRT));
    assert!(run_with(&lake, BATCHES, &dies[1..]).success());
    assert!(once.exists(), "no child died");
    assert_whole(&lake).await;
}

/// Fails when a file's name does not cover the program's version: the newer one then finds a file with other bytes.
#[tokio::test]
async fn a_batch_begun_by_one_version_and_finished_by_another_is_all_from_the_other() {
    let lake = FolderLake::new().await;
    let records: Vec<String> = (0..10).map(|id| format!("{{\"id\": {id}}}")).collect();
    lake.land("a.json", format!("[{}]", records.join(",")));
    assert_eq!(run_once(&lake, "", "write:bronze").signal(), Some(SIGABRT));
    assert!(run_with(&lake, "", &everywhere("enforce:other_version")).success());
    let held = lake.holds().await;
    assert_eq!((held.commits.len(), ids(&held)), (1, [0, 2, 4, 6, 8].into()));
    assert_eq!(held.dead_letters.len(), 5, "each record is there once, as the second version judged it");
    let bronze: Vec<_> = lake.lake.list(&Prefix::Bronze(&events()), None).try_collect().await.unwrap();
    assert_eq!(bronze.len(), 2, "the first version's file still exists, and no commit names it");
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
}
