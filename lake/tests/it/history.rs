//! History: every commit that snapshots cover is read back, whatever was written when, at little cost.

use std::{fs, path::Path, sync::Arc};

use futures::TryStreamExt;
use lake::{
    ErrorKind,
    clock::Timestamp,
    ids::BatchId,
    ledger::{COMMITS_PER_SNAPSHOT, Claimed, Commit, Ledger, Snapshot},
    store::{
        Lake,
        s3::{Credentials, S3Store},
    },
};
use local_s3::{Config, Server};
use proptest::prelude::*;

use crate::ledger::{commit, folder_lake, moment, stream};

/// A ledger on a server whose requests are counted.
pub(crate) async fn on_s3() -> (Server, Ledger, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    let config = Config::new(root.path(), local_s3::Credentials::new("tester", "test-secret")).bucket("lake");
    let server = Server::start(config).await.unwrap();
    let credentials = Credentials::new("tester", "test-secret", None, None, "test");
    let lake = Lake::on_bucket(S3Store::at("lake", &server.endpoint(), credentials).unwrap());
    (server, Ledger::new(lake, stream()), root)
}

pub(crate) async fn commit_up_to(ledger: &Ledger, first: u64, last: u64) {
    for batch in first..=last {
        assert_eq!(ledger.create_commit(&commit(batch)).await.unwrap(), Claimed::Ours);
    }
}

/// Makes a commit, and the snapshot that is due after it; returns the newest snapshot. Commits from before `keep_after` may be
/// deleted.
pub(crate) async fn commit_and_snapshot(
    ledger: &Ledger,
    commit: &Commit,
    snapshot: Option<Arc<Snapshot>>,
    keep_after: Option<Timestamp>,
) -> Option<Arc<Snapshot>> {
    assert_eq!(ledger.create_commit(commit).await.unwrap(), Claimed::Ours);
    ledger.snapshot_if_due(snapshot, commit.batch, keep_after).await.unwrap()
}

async fn history(ledger: &Ledger) -> Vec<Commit> {
    ledger.history::<Commit>().await.unwrap().commits.try_collect().await.unwrap()
}

pub(crate) fn batch(number: u64) -> BatchId {
    BatchId::new(number).unwrap()
}

/// The total size of all files below a folder.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.map(|entry| entry.unwrap()).map(|entry| match entry.file_type().unwrap().is_dir() {
        true => bytes_in(&entry.path()),
        false => entry.metadata().unwrap().len(),
    });
    sizes.sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whenever_snapshots_are_written_every_commit_comes_back_once_in_order(
        steps in prop::collection::vec((0..40_u64, any::<bool>()), 1..8),
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let ledger = Ledger::new(Lake::in_memory(), stream());
            let (mut last, mut snapshot) = (0, None);
            for (more, forgets) in steps {
                commit_up_to(&ledger, last + 1, last + more).await;
                last += more;
                // A consumer that has just started knows only the snapshots in the ledger.
                if forgets {
                    snapshot = ledger.history::<Commit>().await.unwrap().snapshot.map(Arc::new);
                }
                if let Some(last) = BatchId::new(last) {
                    snapshot = ledger.snapshot_if_due(snapshot, last, None).await.unwrap();
                }
                let commits = history(&ledger).await;
                let numbers: Vec<u64> = commits.iter().map(|commit| commit.batch.number()).collect();
                assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
                assert!(commits.iter().all(|found| *found == commit(found.batch.number())));
            }
        });
    }
}

#[tokio::test]
async fn snapshots_are_smaller_than_the_commits_they_cover_and_stay_few() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    let mut snapshot: Option<Arc<Snapshot>> = None;
    for number in 1..=2_000 {
        snapshot = commit_and_snapshot(&ledger, &commit(number), snapshot, None).await;
    }
    let below = |name: &str| bytes_in(&folder.path().join("checkpoints/events").join(name));
    let (commits, written) = (below("commits"), below("snapshots") + below("segments"));
    assert!(written < commits, "{written} bytes of snapshots and segments for {commits} bytes of commits");
    let snapshot = snapshot.unwrap();
    assert_eq!(snapshot.batch, batch(2_000));
    // 7 × 256 + 13 × 16.
    assert_eq!(snapshot.segments.len(), 20, "{:?}", snapshot.segments);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_an_old_stream_costs_one_listing_and_few_reads() {
    let (server, ledger, _root) = on_s3().await;
    let mut snapshot = None;
    for number in 1..=1_100 {
        snapshot = commit_and_snapshot(&ledger, &commit(number), snapshot, None).await;
    }
    let before = server.requests();
    assert_eq!(history(&ledger).await.len(), 1_100);
    let cost = server.requests().since(&before);
    assert_eq!(cost.get("ListObjectsV2"), 1, "of commits: {cost}");
    // The hint, the snapshot, 4 segments of 256 commits and 4 of 16, and the 12 commits after them.
    assert_eq!(cost.get("GetObject"), 2 + 4 + 4 + 12, "{cost}");
    server.shutdown().await;
}

async fn with_snapshot() -> (Ledger, tempfile::TempDir, Arc<Snapshot>) {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    commit_up_to(&ledger, 1, COMMITS_PER_SNAPSHOT + 3).await;
    let snapshot = ledger.snapshot_if_due(None, batch(COMMITS_PER_SNAPSHOT + 3), None).await.unwrap().unwrap();
    (ledger, folder, snapshot)
}

#[tokio::test]
async fn a_damaged_or_missing_segment_or_snapshot_is_named() {
    let (ledger, folder, snapshot) = with_snapshot().await;
    let segment = snapshot.segments[0].key(&stream()).to_string();
    let stored = format!("checkpoints/events/snapshots/{}.json", snapshot.batch);
    for name in [segment, stored] {
        let path = folder.path().join(&name);
        let whole = fs::read(&path).unwrap();
        for damage in [Some(&whole[..whole.len() - 2]), Some(b"".as_slice()), None] {
            match damage {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let read = async { ledger.history::<Commit>().await?.commits.try_collect::<Vec<_>>().await };
            let error = read.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(&name), "{name}: {error}");
        }
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(history(&ledger).await.len() as u64, COMMITS_PER_SNAPSHOT + 3);
}

#[tokio::test]
async fn a_stale_missing_or_damaged_hint_only_costs_a_longer_listing() {
    let (ledger, folder, snapshot) = with_snapshot().await;
    let hint = folder.path().join("checkpoints/events/snapshots/latest.json");
    let stale = fs::read(&hint).unwrap();
    let last = COMMITS_PER_SNAPSHOT * 3;
    commit_up_to(&ledger, COMMITS_PER_SNAPSHOT + 4, last).await;
    let newest = ledger.snapshot_if_due(Some(snapshot), batch(last), None).await.unwrap().unwrap();
    for hinted in [Some(stale.as_slice()), Some(b"{}"), Some(b"\xff"), None] {
        match hinted {
            Some(bytes) => fs::write(&hint, bytes).unwrap(),
            None => fs::remove_file(&hint).unwrap(),
        }
        let history = ledger.history::<Commit>().await.unwrap();
        assert_eq!(history.snapshot.as_ref(), Some(&*newest));
    }
}

#[tokio::test]
async fn commits_that_a_snapshot_covers_need_not_be_kept() {
    let (ledger, folder, _snapshot) = with_snapshot().await;
    for number in 1..=COMMITS_PER_SNAPSHOT {
        fs::remove_file(folder.path().join(format!("checkpoints/events/commits/{number:020}.json"))).unwrap();
    }
    assert_eq!(history(&ledger).await.len() as u64, COMMITS_PER_SNAPSHOT + 3);
}

fn files_in(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Fails when the snapshot does not say how far the deletion goes, or when more is deleted than it covers.
#[tokio::test]
async fn commits_older_than_the_retention_are_deleted_and_still_part_of_the_history() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    let commits = folder.path().join("checkpoints/events/commits");
    let mut snapshot: Option<Arc<Snapshot>> = None;
    for number in 1..=100 {
        let commit = Commit { committed_at: moment(number as i64), ..commit(number) };
        snapshot = commit_and_snapshot(&ledger, &commit, snapshot, Some(moment(71))).await;
    }
    assert_eq!(snapshot.unwrap().retired, Some(batch(70)));
    assert_eq!(files_in(&commits), 30);
    let numbers: Vec<u64> = history(&ledger).await.iter().map(|commit| commit.batch.number()).collect();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    // No commit is deleted before a snapshot covers it, however old it is.
    assert_eq!(ledger.commits_after(Some(batch(96))).await.unwrap().len(), 4);
    // One snapshot for every sixteen batches after the last retired one, and the hint that names the newest.
    assert_eq!(files_in(&folder.path().join("checkpoints/events/snapshots")), 2 + 1);
}

#[tokio::test]
async fn without_a_retention_nothing_is_deleted() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    commit_up_to(&ledger, 1, 64).await;
    let snapshot = ledger.snapshot_if_due(None, batch(40), None).await.unwrap();
    let snapshot = ledger.snapshot_if_due(snapshot, batch(64), None).await.unwrap();
    assert_eq!(snapshot.unwrap().retired, None);
    assert_eq!(files_in(&folder.path().join("checkpoints/events/commits")), 64);
}

/// A lake in which one consumer keeps the snapshot of 240 commits, and another one goes on as far as `last`, merges what
/// that snapshot names and deletes it. Returns the newest snapshot.
async fn go_on_elsewhere(ledger: &Ledger, old: &Arc<Snapshot>, last: u64) -> Arc<Snapshot> {
    let rival = Ledger::new(ledger.lake().clone(), stream());
    let mut newest = Some(Arc::clone(old));
    for number in old.batch.number() + 1..=last {
        if ledger.commit(batch(number)).await.unwrap().is_none() {
            commit_up_to(&rival, number, number).await;
        }
        let late = Timestamp::from_micros(i64::MAX / 1_000);
        newest = rival.snapshot_if_due(newest, batch(number), late).await.unwrap();
    }
    newest.unwrap()
}

async fn with_240_commits() -> (Ledger, tempfile::TempDir, Arc<Snapshot>) {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    commit_up_to(&ledger, 1, 240).await;
    let snapshot = ledger.snapshot_if_due(None, batch(240), None).await.unwrap().unwrap();
    assert_eq!(snapshot.segments.len(), 15);
    (ledger, folder, snapshot)
}

/// Fails when a consumer that stood by takes what another one has merged and deleted for damage.
#[tokio::test]
async fn a_consumer_whose_snapshot_was_replaced_goes_on_from_the_newer_one() {
    let (ledger, folder, old) = with_240_commits().await;
    let newest = go_on_elsewhere(&ledger, &old, 288).await;
    assert!(!folder.path().join(old.segments[0].key(&stream()).to_string()).exists());
    // Neither does one that knows no snapshot need the commits, nor does any need the hint.
    for previous in [Some(Arc::clone(&old)), None] {
        let found = ledger.snapshot_if_due(previous, batch(288), None).await.unwrap();
        assert_eq!(found.as_ref(), Some(&newest));
        fs::remove_file(folder.path().join("checkpoints/events/snapshots/latest.json")).unwrap_or_default();
    }
    commit_up_to(&ledger, 289, 304).await;
    let next = ledger.snapshot_if_due(Some(Arc::clone(&old)), batch(304), None).await.unwrap().unwrap();
    assert_eq!((next.batch, next.segments.len()), (batch(304), newest.segments.len() + 1));
    assert_eq!(history(&ledger).await.len(), 304);

    // What the newest one names is damage if it is missing.
    fs::remove_dir_all(folder.path().join("checkpoints/events/segments")).unwrap();
    commit_up_to(&ledger, 305, 512).await;
    let error = ledger.snapshot_if_due(Some(old), batch(512), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("checkpoints/events/segments/"), "{error}");
}

/// Fails when a reader that is slower than a consumer misses a commit, or takes what was merged or retired for damage.
#[tokio::test]
async fn a_history_goes_on_though_its_segments_are_merged_and_its_commits_deleted_while_it_is_read() {
    let (ledger, folder, old) = with_240_commits().await;
    commit_up_to(&ledger, 241, 245).await;
    let reading = ledger.history::<Commit>().await.unwrap();
    let last_covered = async || ledger.last_covered::<Commit>(&old).await.unwrap();
    let before = last_covered().await;
    go_on_elsewhere(&ledger, &old, 288).await;
    assert!(!folder.path().join(format!("checkpoints/events/commits/{:020}.json", 245)).exists());
    let commits: Vec<Commit> = reading.commits.try_collect().await.unwrap();
    let expected: Vec<Commit> = (1..=245).map(commit).collect();
    assert!(commits == expected, "{} commits", commits.len());
    assert_eq!(last_covered().await, before);
}
