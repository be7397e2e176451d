//! Tail: what a follower costs, and that it misses and duplicates nothing, whatever happens in between.

use std::{collections::BTreeSet, fs, sync::Arc};

use lake::{
    ErrorKind,
    dead_letter::{DeadLetterId, DeadLetterIds, Reason},
    keys::{Key, ZoneName},
    ledger::{
        Claimed, Commit, Fold, Ledger, LiveFiles, OpenDeadLetters, RemovedFile, ResolvedDeadLetters, Snapshot, Tail,
        Totals,
    },
};

use crate::{
    history::{batch, commit_and_snapshot, commit_up_to, on_s3},
    ledger::{bronze, commit, folder_lake, ids, letters, moment, stream},
};

/// The batch numbers of all commits that were added.
#[derive(Debug, Default)]
struct Numbers(Vec<u64>);

impl Fold for Numbers {
    type Commit = Commit;

    fn add(&mut self, commit: Commit) {
        self.0.push(commit.batch.number());
    }
}

fn up_to(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

/// Fails when a look lists snapshots too, or reads commits again.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_costs_one_listing_and_a_read_per_new_commit_however_old_the_stream_is() {
    let (server, ledger, _root) = on_s3().await;
    let mut snapshot = None;
    for number in 1..=300 {
        snapshot = commit_and_snapshot(&ledger, &commit(number), snapshot, None).await;
    }
    let mut tail = Tail::new(ledger.clone(), Numbers::default());
    // The hint, the snapshot, one segment of 256 commits and two of 16, and the 12 commits after them.
    for (new, reads) in [(300, 2 + 1 + 2 + 12), (0, 0), (3, 3), (0, 0), (1, 1)] {
        let last = tail.state().0.len() as u64;
        if last > 0 {
            commit_up_to(&ledger, last + 1, last + new).await;
        }
        let before = server.requests();
        assert_eq!(tail.follow().await.unwrap(), new);
        let cost = server.requests().since(&before);
        assert_eq!((cost.get("ListObjectsV2"), cost.get("GetObject")), (1, reads), "{new} new: {cost}");
    }
    assert_eq!((tail.state().0.clone(), tail.last()), (up_to(304), Some(batch(304))));
    server.shutdown().await;
}

/// Fails when a follower starts a look from the beginning, or after a commit that it could not read.
#[tokio::test]
async fn a_look_that_fails_half_way_continues_from_there() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    commit_up_to(&ledger, 1, 9).await;
    let sixth = folder.path().join(format!("checkpoints/events/commits/{:020}.json", 6));
    let whole = fs::read(&sixth).unwrap();
    fs::write(&sixth, &whole[..20]).unwrap();
    let mut tail = Tail::new(ledger, Numbers::default());
    for _ in 0..2 {
        assert_eq!(tail.follow().await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(tail.state().0, up_to(5));
    }
    fs::write(&sixth, whole).unwrap();
    assert_eq!(tail.follow().await.unwrap(), 4);
    assert_eq!(tail.state().0, up_to(9));
}

/// Fails when a gap that retention left is reported as damage.
#[tokio::test]
async fn a_follower_that_slept_while_commits_were_deleted_reads_them_from_segments() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    let mut followers = Vec::new();
    let mut snapshot: Option<Arc<Snapshot>> = None;
    for number in 1..=100 {
        let commit = Commit { committed_at: moment(number as i64), ..commit(number) };
        snapshot = commit_and_snapshot(&ledger, &commit, snapshot, Some(moment(71))).await;
        if [5, 16, 40, 70, 71, 90].contains(&number) {
            let mut tail = Tail::new(ledger.clone(), Numbers::default());
            assert_eq!(tail.follow().await.unwrap(), number);
            followers.push(tail);
        }
    }
    assert_eq!(snapshot.unwrap().retired, Some(batch(70)));
    assert!(!folder.path().join(format!("checkpoints/events/commits/{:020}.json", 70)).exists());
    for mut tail in followers {
        tail.follow().await.unwrap();
        assert_eq!(tail.state().0, up_to(100));
    }
}

/// The commit of a batch that only removes and resolves.
fn only(number: u64, removed: Vec<RemovedFile>, resolved: Vec<ResolvedDeadLetters>) -> Commit {
    let mut commit = commit(number);
    commit.inputs.clear();
    let count = resolved.iter().map(|resolved| resolved.dead_letters).sum();
    let rows: u64 = removed.iter().map(|removed| removed.rows).sum();
    commit.files.truncate(usize::from(rows > 0));
    commit.files.iter_mut().for_each(|file| file.rows = rows);
    let by_reason = if count > 0 { [(Reason::InvalidSchema, count)].into() } else { Default::default() };
    commit.totals = Totals { resolved: count, discarded: count, resolved_by_reason: by_reason, ..Totals::default() };
    (commit.removed, commit.resolved) = (removed, resolved);
    commit
}

fn removes(number: u64) -> RemovedFile {
    RemovedFile { key: bronze(number), size: 100, rows: 9 }
}

fn resolves(number: u64, some: Option<&[u64]>) -> ResolvedDeadLetters {
    let count = some.map_or(2, |some| some.len() as u64);
    ResolvedDeadLetters { file: letters(number), dead_letters: count, ids: some.map(ids) }
}

fn keys(live: &LiveFiles) -> BTreeSet<String> {
    live.iter().map(|live| live.file.key.to_string()).collect()
}

/// Fails when a follower adds what was committed and subtracts nothing, from commits or from segments.
#[tokio::test]
async fn what_commits_remove_and_resolve_is_subtracted_wherever_they_are_read_from() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    commit_up_to(&ledger, 1, 4).await;
    let subtracting = [
        only(5, vec![removes(1), removes(3)], vec![]),
        only(6, vec![], vec![resolves(2, None), resolves(3, Some(&[7]))]),
        only(7, vec![], vec![resolves(3, Some(&[8]))]),
    ];
    for commit in &subtracting {
        assert_eq!(ledger.create_commit(commit).await.unwrap(), Claimed::Ours);
    }
    let check = async || {
        let mut tail = Tail::new(ledger.clone(), LiveFiles::default());
        tail.follow().await.unwrap();
        let live = tail.state();
        assert_eq!(live.contradiction(), None);
        let expected = [bronze(2), bronze(4), bronze(5), letters(1), letters(2), letters(3), letters(4)];
        let expected = expected.iter().map(Key::to_string).collect::<BTreeSet<_>>();
        assert!(keys(live).is_superset(&expected), "{:?}", keys(live));
        assert!(!keys(live).contains(&bronze(1).to_string()) && !keys(live).contains(&bronze(3).to_string()));
        let open =
            |key: Key| live.iter().find(|live| live.file.key == key).map(|live| (live.open.clone(), live.rows()));
        assert_eq!(open(letters(1)), Some((OpenDeadLetters::All, 2)));
        assert_eq!(open(letters(2)), Some((OpenDeadLetters::None, 0)));
        assert_eq!(open(letters(3)), Some((OpenDeadLetters::None, 0)), "one by one, in two batches");
        live.rows(ZoneName::Bronze) as i64 - 9 * live.of_zone(ZoneName::Bronze).count() as i64
    };
    // Batch 5 wrote the rows of batches 1 and 3 into one file.
    assert_eq!(check().await, 9);
    // Enough batches for a snapshot; after it, the single commits are no longer needed.
    commit_up_to(&ledger, 8, 16).await;
    assert_eq!(check().await, 9);
    ledger.snapshot_if_due(None, batch(16), None).await.unwrap().unwrap();
    for number in 1..=16 {
        fs::remove_file(folder.path().join(format!("checkpoints/events/commits/{number:020}.json"))).unwrap();
    }
    assert_eq!(check().await, 9);
}

/// Fails when a contradiction is applied: the table would then match no commit.
#[test]
fn a_commit_that_contradicts_the_ones_before_is_not_applied() {
    let mut live = LiveFiles::default();
    for number in 1..=3 {
        live.apply(&commit(number)).unwrap();
    }
    live.apply(&only(4, vec![removes(1)], vec![resolves(2, Some(&[1]))])).unwrap();
    let contradictions = [
        (only(5, vec![removes(1)], vec![]), "not part of the table"),
        (only(5, vec![RemovedFile { rows: 8, ..removes(2) }], vec![]), "another number of rows"),
        (only(5, vec![], vec![resolves(2, None)]), "not open"),
        (only(5, vec![], vec![resolves(2, Some(&[1]))]), "not open"),
        (only(5, vec![], vec![resolves(3, None), resolves(3, None)]), "not open"),
        (only(5, vec![], vec![resolves(9, None)]), "not part of the table"),
        (only(5, vec![RemovedFile { key: letters(2), size: 100, rows: 2 }], vec![]), "resolved dead letters"),
        (commit(3), "part of the table already"),
    ];
    let before = format!("{live:?}");
    for (commit, words) in contradictions {
        let what = live.apply(&commit).unwrap_err();
        assert!(what.contains(words), "{what}");
        assert_eq!(format!("{live:?}"), before, "{words}");
    }
}

/// The rule is stored: these ids may never change.
#[test]
fn the_id_of_a_dead_letter_follows_only_from_its_object_and_place() {
    let of_object = DeadLetterIds::of("raw/events/a b.json", "\"etag\"");
    let shown = [Some(0), Some(17), None].map(|index| of_object.id(index).to_string());
    assert_eq!(shown, ["552d0a970f117ebf", "ab949c9d707294f3", "4369d3728e176350"]);
    let read = shown.map(|text| text.parse::<DeadLetterId>().unwrap());
    assert_eq!(read, [Some(0), Some(17), None].map(|index| of_object.id(index)));
    for not_an_id in ["", "7a20a63f", "7A20a63fc64c5a6b", "7a20a63fc64c5a6b0", "+a20a63fc64c5a6b"] {
        assert!(not_an_id.parse::<DeadLetterId>().is_err(), "{not_an_id:?}");
    }
}
