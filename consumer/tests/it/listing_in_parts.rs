//! A listing that finds very many objects goes on where it stopped: each object is listed once, and none is left out.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use consumer::{
    discover::{Discovered, Discovery, KnownInputs, KnownOnes, Mending, Pending},
    pipeline::{Pipeline, RunSettings},
};
use lake::{
    clock::SystemClock,
    keys::Key,
    ledger::{CommittedInputs, Ledger},
    store::Lake,
    stream::{AfterCommit, Format, StreamDefinition},
};

use crate::{
    lake_in_a_folder::{FolderLake, contents, definition, events},
    lake_on_s3::{S3Lake, ids, land},
};

const RECONCILE: Duration = Duration::from_secs(600);

fn nothing_known(lake: &Lake) -> KnownInputs {
    KnownInputs::new(Ledger::new(lake.clone(), events()), Mending::Keep)
}

fn in_parts_of(found_max: usize) -> Discovery {
    Discovery::new(RECONCILE, KnownOnes::PassOver).in_parts_of(found_max)
}

async fn look(discovery: &mut Discovery, lake: &Lake) -> Discovered {
    discovery.look(lake, &events(), &mut nothing_known(lake)).await.unwrap()
}

fn names(found: &Discovered) -> Vec<String> {
    let name = |key: &Key| key.to_string().trim_start_matches("raw/events/").to_owned();
    found.objects.iter().map(|object| name(&object.key)).collect()
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("m{number:04}.json")).collect()
}

async fn land_numbered(lake: &Lake, numbers: std::ops::Range<usize>) {
    for id in numbers {
        land(lake, &format!("m{id:04}.json"), &format!("[{{\"id\": {id}}}]")).await;
    }
}

/// Drains the stream with looks that keep this many objects.
async fn drain_in_parts_of(found_max: usize, lake: &Lake, definition: StreamDefinition) {
    let settings = RunSettings::in_process(true, 2);
    let pipeline = Pipeline::open(lake.clone(), definition, Arc::new(SystemClock), settings).await.unwrap();
    pipeline.in_parts_of(found_max).run(std::future::pending()).await.unwrap();
}

fn small_batches() -> StreamDefinition {
    let mut definition = definition(Format::JsonArray);
    definition.batch.objects_max = 4;
    definition
}

/// Fails when a part begins again at the first key, or leaves out what the one before did not reach.
#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_listing_cost_as_many_requests_as_the_whole() {
    let lake = S3Lake::new().await;
    land_numbered(&lake.lake, 0..2_500).await;
    let mut discovery = in_parts_of(1_000);
    let before = lake.server.requests();
    for (numbers, full, complete) in
        [(0..1_000, true, false), (1_000..2_000, false, false), (2_000..2_500, false, true)]
    {
        let found = look(&mut discovery, &lake.lake).await;
        assert_eq!((names(&found), found.full, found.complete), (numbered(numbers), full, complete));
    }
    assert_eq!(lake.server.requests().since(&before).get("ListObjectsV2"), 3);
    lake.server.shutdown().await;
}

/// Fails when a late key is taken for the end of what was listed, or is not looked for.
#[tokio::test(start_paused = true)]
async fn a_late_object_that_a_hint_names_is_found_by_the_next_part_and_moves_no_part() {
    let lake = Lake::in_memory();
    land_numbered(&lake, 0..25).await;
    let mut discovery = in_parts_of(10);
    assert_eq!(names(&look(&mut discovery, &lake).await), numbered(0..10));
    for late in ["a.json", "m0003-late.json", "unnamed.json"] {
        land(&lake, late, "[]").await;
    }
    discovery.hint(["a.json", "m0003-late.json"].map(|rest| Key::Raw { stream: events(), rest: rest.to_owned() }));
    let late = ["a.json", "m0003-late.json"].map(str::to_owned);
    assert_eq!(names(&look(&mut discovery, &lake).await), [&late[..], &numbered(10..20)].concat());
    let rest: BTreeSet<String> = names(&look(&mut discovery, &lake).await).into_iter().collect();
    assert_eq!(rest, numbered(20..25).into_iter().chain(["unnamed.json".to_owned()]).collect());
}

/// Fails when a listing that takes longer than that keeps what lands among the keys already listed from being found.
#[tokio::test(start_paused = true)]
async fn after_reconcile_a_listing_begins_at_the_first_key_though_the_last_one_has_not_ended() {
    let lake = Lake::in_memory();
    land_numbered(&lake, 0..45).await;
    let mut discovery = in_parts_of(10);
    assert!(look(&mut discovery, &lake).await.full);
    land(&lake, "a.json", "[]").await;
    tokio::time::advance(RECONCILE - Duration::from_secs(1)).await;
    assert_eq!(names(&look(&mut discovery, &lake).await), numbered(10..20));
    tokio::time::advance(Duration::from_secs(1)).await;
    let found = look(&mut discovery, &lake).await;
    assert!(found.full && !found.complete);
    assert_eq!(names(&found)[..2], ["a.json", "m0000.json"]);
    // Its own parts have as much time again.
    tokio::time::advance(RECONCILE - Duration::from_secs(1)).await;
    assert_eq!(names(&look(&mut discovery, &lake).await), numbered(9..19));
}

/// Fails when only the last part counts, or when the time of the earlier parts does not.
#[tokio::test(start_paused = true)]
async fn the_next_full_listing_is_due_after_what_all_parts_cost_together() {
    let lake = Lake::in_memory();
    land_numbered(&lake, 0..4_500).await;
    let mut discovery = in_parts_of(2_000);
    let mut began = async |after: Duration| {
        tokio::time::advance(after).await;
        let found = look(&mut discovery, &lake).await;
        (found.full, found.complete)
    };
    assert_eq!(began(Duration::ZERO).await, (true, false));
    assert_eq!(began(Duration::from_secs(1)).await, (false, false));
    assert_eq!(began(Duration::from_secs(1)).await, (false, true));
    // Five pages of a thousand: four seconds after the first part began.
    assert_eq!(began(Duration::from_millis(1_900)).await, (false, true));
    assert_eq!(began(Duration::from_millis(100)).await, (true, false));
}

/// Fails when a short look that finds too many makes the next one list everything.
#[tokio::test(start_paused = true)]
async fn a_short_look_that_finds_too_many_goes_on_as_well() {
    let lake = Lake::in_memory();
    // So many that the next full listing is not due at once.
    land_numbered(&lake, 0..1_500).await;
    let mut discovery = in_parts_of(1_600);
    assert!(look(&mut discovery, &lake).await.complete);
    land_numbered(&lake, 2_000..5_300).await;
    for (numbers, complete) in [(2_000..3_600, false), (3_600..5_200, false), (5_200..5_300, true), (0..0, true)] {
        let found = look(&mut discovery, &lake).await;
        assert_eq!((names(&found), found.full, found.complete), (numbered(numbers), false, complete));
    }
}

/// Fails when a part that the store refused is left out.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_failed_is_listed_again() {
    let lake = S3Lake::new().await;
    land_numbered(&lake.lake, 0..30).await;
    let mut discovery = in_parts_of(10);
    assert_eq!(names(&look(&mut discovery, &lake.lake).await), numbered(0..10));
    let nowhere = Lake::on_bucket(
        lake::store::s3::S3Store::at(
            "missing",
            &lake.server.endpoint(),
            lake::store::s3::Credentials::new("tester", "test-secret", None, None, "test"),
        )
        .unwrap(),
    );
    discovery.look(&nowhere, &events(), &mut nothing_known(&nowhere)).await.unwrap_err();
    let found = look(&mut discovery, &lake.lake).await;
    assert_eq!((names(&found), found.full), (numbered(10..20), false));
    lake.server.shutdown().await;
}

/// A folder's listing has no order: fails when what sorts after the last key is taken for the rest.
#[tokio::test]
async fn in_a_folder_each_file_is_in_one_part() {
    let folder = FolderLake::new().await;
    let all: BTreeSet<String> = (0..60).map(|id| format!("{}/{:02}.json", (id * 7) % 5, (id * 37) % 60)).collect();
    all.iter().for_each(|name| folder.land(name, "[]"));
    let mut discovery = in_parts_of(7);
    let mut found = BTreeSet::new();
    for part in 0..9 {
        let part_found = look(&mut discovery, &folder.lake).await;
        assert_eq!((part_found.full, part_found.complete), (part == 0, part == 8), "{part}");
        assert!(part_found.objects.len() <= 7);
        for name in names(&part_found) {
            assert!(found.insert(name.clone()), "{name} is listed twice");
        }
    }
    assert_eq!(found, all);
}

/// Fails when the run ends though there is more to list, or when an object is read twice.
#[tokio::test]
async fn a_drain_ends_with_the_last_part_on_any_store_and_whatever_is_removed_meanwhile() {
    for after_commit in [AfterCommit::Keep, AfterCommit::Delete] {
        let folder = FolderLake::new().await;
        for id in 0..45 {
            folder.land(&format!("{}/{id}.json", id % 4), format!("[{{\"id\": {id}}}]"));
        }
        drain_in_parts_of(10, &folder.lake, StreamDefinition { after_commit, ..small_batches() }).await;
        assert_eq!(ids(&folder.holds().await), (0..45).collect());
    }
    let lake = Lake::in_memory();
    land_numbered(&lake, 0..45).await;
    drain_in_parts_of(10, &lake, small_batches()).await;
    assert_eq!(ids(&contents(&Ledger::new(lake, events())).await), (0..45).collect());
}

/// Fails when a part without a new object ends the run, or when only the first of the known objects are ever removed.
#[tokio::test]
async fn more_known_objects_than_a_look_keeps_are_removed_and_what_comes_after_them_is_read() {
    let folder = FolderLake::new().await;
    for id in 0..35 {
        folder.land(&format!("m{id}.json"), format!("[{{\"id\": {id}}}]"));
    }
    folder.consume(small_batches()).await.unwrap();
    let mut known = nothing_known(&folder.lake);
    contents(&folder.ledger()).await.commits.iter().for_each(|commit| known.add(CommittedInputs::of(commit)));
    let mut discovery = Discovery::new(RECONCILE, KnownOnes::Report).in_parts_of(10);
    for reported in [10, 10, 10, 5] {
        let found = discovery.look(&folder.lake, &events(), &mut known).await.unwrap();
        assert_eq!((found.done_with.len(), found.complete), (reported, reported < 10));
    }
    folder.land("z.json", "[{\"id\": 35}]");
    let removes = StreamDefinition { after_commit: AfterCommit::Delete, ..small_batches() };
    drain_in_parts_of(10, &folder.lake, removes).await;
    assert_eq!(std::fs::read_dir(folder.path("raw/events")).unwrap().count(), 0);
    assert_eq!(ids(&folder.holds().await), (0..36).collect());
}

/// Fails when a consumer that lost a batch forgets what it has found, or plans it though another one did.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn consumers_that_compete_read_each_object_once_without_listing_everything_again() {
    let lake = S3Lake::new().await;
    land_numbered(&lake.lake, 0..120).await;
    let run = || drain_in_parts_of(120, &lake.lake, small_batches());
    tokio::join!(run(), run(), run());
    let held = lake.holds().await;
    assert_eq!(ids(&held), (0..120).collect());
    let inputs: usize = held.commits.iter().map(|commit| commit.inputs.len()).sum();
    assert_eq!(inputs, 120);
    lake.server.shutdown().await;
}

/// Fails when a part takes what waits for gone, or when what is gone waits for good.
#[tokio::test(start_paused = true)]
async fn what_is_pending_adds_up_over_the_parts_and_what_is_gone_leaves_with_the_last() {
    let folder = FolderLake::new().await;
    for number in 0..25 {
        folder.land(&format!("{number:02}.json"), "[]");
    }
    let mut discovery = in_parts_of(10);
    let mut pending = Pending::default();
    let known = &mut nothing_known(&folder.lake);
    let mut lengths = async |looks: usize| {
        let mut lengths = Vec::new();
        for _ in 0..looks {
            pending.take_in(discovery.look(&folder.lake, &events(), known).await.unwrap(), known).await.unwrap();
            lengths.push(pending.len());
        }
        lengths
    };
    assert_eq!(lengths(3).await, [10, 20, 25]);
    for number in 0..5 {
        std::fs::remove_file(folder.path(&format!("raw/events/{number:02}.json"))).unwrap();
    }
    folder.land("99.json", "[]");
    let later = SystemTime::now() + Duration::from_secs(9);
    std::fs::File::options().write(true).open(folder.path("raw/events/20.json")).unwrap().set_modified(later).unwrap();
    tokio::time::advance(RECONCILE).await;
    let lengths = lengths(3).await;
    assert!(lengths[..2].iter().all(|length| *length >= 25), "{lengths:?}");
    assert_eq!(lengths[2], 21);
}
