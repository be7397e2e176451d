//! Input indexes: what the commits of a segment account for, sorted by key, whatever was merged, lost or damaged.

use std::{fs, path::PathBuf, sync::Arc};

use lake::{
    clock::Timestamp,
    ids::{BatchId, ContentId},
    keys::Key,
    ledger::{
        BLOCK_BYTES, COMMITS_PER_SNAPSHOT, Claimed, Commit, CommittedInput, CommittedInputs, InputBlock, InputOutcome,
        Ledger, Outcome, Segment, Snapshot, Totals, encode,
    },
    store::Lake,
};
use proptest::prelude::*;

use crate::{
    history::{batch, commit_and_snapshot, commit_up_to},
    ledger::{commit, folder_lake, moment, stream},
};

/// A commit whose inputs have these names, versions and outcomes, and no records.
fn of_inputs(number: u64, inputs: &[(String, &str, Outcome)]) -> Commit {
    let input = |(name, etag, outcome): &(String, &str, Outcome)| InputOutcome {
        key: Key::Raw { stream: stream(), rest: name.clone() },
        etag: (*etag).to_owned(),
        size: 10,
        outcome: *outcome,
        records_read: 0,
        rows: 0,
        dead_letters: 0,
        content: (*outcome == Outcome::Ingested).then(|| ContentId::of(format!("{name}{etag}").as_bytes())),
        copy: None,
    };
    let (inputs, totals) = (inputs.iter().map(input).collect(), Totals::default());
    Commit { inputs, totals, files: Vec::new(), committed_at: moment(number as i64), ..commit(number) }
}

/// Commits numbered from 1, and the newest snapshot after the last.
async fn committed(ledger: &Ledger, commits: &[Commit]) -> Arc<Snapshot> {
    let mut snapshot = None;
    for commit in commits {
        snapshot = commit_and_snapshot(ledger, commit, snapshot, None).await;
    }
    snapshot.unwrap()
}

/// All inputs in a segment's index, block by block.
async fn inputs_in(ledger: &Ledger, segment: &Segment) -> Vec<CommittedInput> {
    let index = segment.inputs.as_ref().unwrap();
    let mut inputs = Vec::new();
    for block in ledger.index_directory(segment, index, None).await.unwrap().blocks {
        inputs.extend(all_of(&ledger.block_inputs(segment, index, None, vec![block]).await.unwrap()).unwrap());
    }
    inputs
}

/// All inputs of these blocks, if each can be read.
fn all_of(blocks: &[InputBlock]) -> Option<Vec<CommittedInput>> {
    blocks.iter().flat_map(|block| (0..block.len()).map(|line| block.input(line))).collect()
}

/// What an index of these commits must contain.
fn expected(commits: &[Commit]) -> Vec<CommittedInput> {
    let mut inputs: Vec<_> = commits.iter().flat_map(|commit| CommittedInputs::of(commit).inputs).collect();
    inputs.sort_by(|one, other| one.key.cmp(&other.key));
    inputs
}

fn path_of(folder: &tempfile::TempDir, key: &Key) -> PathBuf {
    folder.path().join(key.to_string())
}

/// A golden file keeps a stored shape forever: never edit one.
fn assert_golden(name: &str, stored: &[u8]) {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if !golden.exists() {
        fs::write(&golden, stored).unwrap();
    }
    let golden = fs::read(golden).unwrap();
    assert!(stored == golden, "{}\n{}", String::from_utf8_lossy(stored), String::from_utf8_lossy(&golden));
}

#[tokio::test]
async fn an_index_is_blocks_of_lines_by_key_and_batch_a_filter_and_a_directory() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    let mut commits: Vec<Commit> = (1..=COMMITS_PER_SNAPSHOT).map(|number| of_inputs(number, &[])).collect();
    let name = |name: &str| name.to_owned();
    commits[0] = of_inputs(1, &[(name("é \"%2F\".json"), "1", Outcome::Ingested), (name("b"), "1", Outcome::Missing)]);
    commits[1] = of_inputs(2, &[(name("b"), "2", Outcome::Deferred), (name("a/z"), "1", Outcome::DeadLettered)]);
    commits[2] = of_inputs(3, &[(name("b"), "2", Outcome::Unreadable), (name("b"), "1", Outcome::Unchanged)]);
    commits[3] = of_inputs(4, &[(name("B"), "1", Outcome::Ingested), (name("b"), "9", Outcome::Changed)]);
    let snapshot = committed(&ledger, &commits).await;
    let [segment] = snapshot.segments.as_slice() else { panic!("{snapshot:?}") };
    let index = segment.inputs.as_ref().unwrap();
    assert_eq!((index.inputs, index.deferred), (5, 1));
    assert_eq!((index.first_key.as_str(), index.last_key.as_str()), ("raw/events/B", "raw/events/é \"%2F\".json"));
    let stored = fs::read(path_of(&folder, &segment.inputs_key(&stream()).unwrap())).unwrap();
    assert_eq!(index.size, stored.len() as u64);
    let (rest, directory) = stored.split_at(index.directory as usize);
    let (blocks, filter) = rest.split_at(index.filter.unwrap() as usize);
    let lines = zstd::decode_all(blocks).unwrap();
    assert_golden("input-index.v2.ndjson", &lines);
    assert_golden("input-index-filter.v2.bin", filter);
    let length = blocks.len();
    let described = format!("{{\"first_key\":\"raw/events/B\",\"offset\":0,\"length\":{length}}}\n");
    assert_eq!(String::from_utf8(zstd::decode_all(directory).unwrap()).unwrap(), described);
    assert!(
        zstd::decode_all(&*stored).unwrap() == [lines, described.into_bytes()].concat(),
        "zstdcat skips the filter"
    );
    assert_eq!(inputs_in(&ledger, segment).await, expected(&commits));
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    use Outcome::{Changed, DeadLettered, Deferred, Ingested, Missing, Unchanged, Unreadable};
    prop::sample::select(vec![Ingested, Ingested, DeadLettered, Missing, Changed, Unchanged, Deferred, Unreadable])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Fails when an index misses an input or has one too many, or when merging gives other bytes than the commits do.
    #[test]
    fn whatever_is_merged_an_index_has_all_inputs_of_its_segment(
        inputs in prop::collection::vec((0..40_u32, prop::sample::select(vec!["1", "2", "3"]), outcomes()), 300),
        per_commit in 1..4_usize,
        long in any::<bool>(),
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let ledger = Ledger::new(Lake::in_memory(), stream());
            let named = |(name, etag, outcome): &(u32, &'static str, Outcome)| {
                // Long names fill several blocks, and one is longer than a block.
                let length = if long { 3_000 + usize::from(*name == 7) * BLOCK_BYTES } else { 0 };
                (format!("{name}{}", "x".repeat(length)), *etag, *outcome)
            };
            let inputs: Vec<_> = inputs.iter().map(named).collect();
            let some = |number: u64| inputs.iter().cycle().skip(number as usize * per_commit).take(per_commit);
            let commits: Vec<Commit> =
                (1..=272).map(|number| of_inputs(number, &some(number).cloned().collect::<Vec<_>>())).collect();
            let snapshot = committed(&ledger, &commits).await;
            assert_eq!(snapshot.segments.len(), 2, "256 and 16 commits");
            for segment in &snapshot.segments {
                let range = segment.first.number() as usize - 1..segment.last.number() as usize;
                assert!(inputs_in(&ledger, segment).await == expected(&commits[range]));
                let (index, _) = ledger.build_inputs(segment).await.unwrap();
                assert_eq!(Some(&index), segment.inputs.as_ref(), "made from the commits, not from other indexes");
                let blocks = ledger.index_directory(segment, &index, None).await.unwrap().blocks;
                assert!(blocks.len() > 1 || !long || segment.first > BatchId::FIRST);
            }
        });
    }
}

/// Fails when a sorted run is left out, or when runs are merged in another order than they were made.
#[tokio::test]
async fn more_inputs_than_are_sorted_at_once_make_one_index() {
    let ledger = Ledger::new(Lake::in_memory(), stream());
    let inputs = |number: u64| {
        let named = |name: u64| (format!("{:03}{}", name * 37 % 101, "x".repeat(50_000)), "1", Outcome::Ingested);
        (number..number + 60).map(named).collect::<Vec<_>>()
    };
    let commits: Vec<Commit> = (1..=COMMITS_PER_SNAPSHOT).map(|number| of_inputs(number, &inputs(number))).collect();
    let snapshot = committed(&ledger, &commits).await;
    assert!(inputs_in(&ledger, &snapshot.segments[0]).await == expected(&commits));
}

/// Fails when a merge trusts what is stored, or when it needs it.
#[tokio::test]
async fn a_lost_or_damaged_index_is_made_again_when_segments_are_merged() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    commit_up_to(&ledger, 1, 256).await;
    let snapshot = ledger.snapshot_if_due(None, batch(255), None).await.unwrap();
    let parts = snapshot.as_ref().unwrap().segments.clone();
    fs::remove_file(path_of(&folder, &parts[3].inputs_key(&stream()).unwrap())).unwrap();
    let damaged = path_of(&folder, &parts[5].inputs_key(&stream()).unwrap());
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[20] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let snapshot = ledger.snapshot_if_due(snapshot, batch(256), None).await.unwrap().unwrap();
    assert_eq!(snapshot.segments.len(), 1);
    let commits: Vec<Commit> = (1..=256).map(commit).collect();
    assert!(inputs_in(&ledger, &snapshot.segments[0]).await == expected(&commits));
}

/// The snapshot as an earlier program wrote it, in the place of the newest.
fn without_indexes(folder: &tempfile::TempDir, snapshot: &Snapshot) -> Snapshot {
    let segments = snapshot.segments.iter().map(|segment| Segment { inputs: None, ..segment.clone() }).collect();
    let old = Snapshot { segments, ..snapshot.clone() };
    let bytes = encode(&old).unwrap();
    assert!(bytes.starts_with(b"{\"version\":1,"));
    fs::write(path_of(folder, &Key::Snapshot { stream: stream(), batch: old.batch }), bytes).unwrap();
    fs::remove_dir_all(folder.path().join("checkpoints/events/inputs")).unwrap();
    old
}

#[tokio::test]
async fn the_next_snapshot_names_indexes_of_segments_that_an_earlier_program_wrote() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    commit_up_to(&ledger, 1, 64).await;
    let snapshot = ledger.snapshot_if_due(None, batch(48), None).await.unwrap().unwrap();
    let old = Arc::new(without_indexes(&folder, &snapshot));
    assert_eq!(ledger.hinted_snapshot().await.unwrap().as_ref(), Some(&*old));
    let newest = ledger.snapshot_if_due(Some(old), batch(64), None).await.unwrap().unwrap();
    assert_eq!(newest.segments[..3], snapshot.segments);
    let commits: Vec<Commit> = (49..=64).map(commit).collect();
    assert_eq!(inputs_in(&ledger, &newest.segments[3]).await, expected(&commits));
}

/// Fails when superseded indexes stay, or when one that is named is deleted.
#[tokio::test]
async fn with_a_retention_only_the_indexes_that_the_newest_snapshot_names_stay() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    let mut snapshot = None;
    for number in 1..=288 {
        let commit = Commit { committed_at: moment(number as i64), ..commit(number) };
        snapshot = commit_and_snapshot(&ledger, &commit, snapshot, Timestamp::from_micros(i64::MAX / 1_000)).await;
    }
    let snapshot = snapshot.unwrap();
    assert_eq!(snapshot.retired, Some(batch(272)));
    let named: Vec<PathBuf> =
        snapshot.segments.iter().map(|segment| path_of(&folder, &segment.inputs_key(&stream()).unwrap())).collect();
    let mut stored: Vec<PathBuf> = fs::read_dir(folder.path().join("checkpoints/events/inputs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    stored.sort();
    assert_eq!(stored, named);
}

/// Fails when the bytes are trusted: each flipped bit is damage that names the index, never other inputs.
#[tokio::test]
async fn a_damaged_index_is_named_and_never_read_as_something_else() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    commit_up_to(&ledger, 1, 16).await;
    let snapshot = ledger.snapshot_if_due(None, batch(16), None).await.unwrap().unwrap();
    let [segment] = snapshot.segments.as_slice() else { panic!("{snapshot:?}") };
    let index = segment.inputs.as_ref().unwrap();
    let key = segment.inputs_key(&stream()).unwrap();
    let whole = fs::read(path_of(&folder, &key)).unwrap();
    let inputs = inputs_in(&ledger, segment).await;
    let read = async || {
        let blocks = ledger.index_directory(segment, index, None).await?.blocks;
        Ok::<_, lake::Error>(all_of(&ledger.block_inputs(segment, index, None, blocks).await?).unwrap())
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        fs::write(path_of(&folder, &key), bytes).unwrap();
        match read().await {
            // A bit of a frame's header may mean nothing.
            Ok(read) => assert_eq!(read, inputs, "byte {at}"),
            Err(error) => assert!(error.to_string().contains(&key.to_string()), "{error}"),
        }
    }
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(path_of(&folder, &key), &whole[..cut]).unwrap();
        let error = read().await.unwrap_err();
        assert_eq!(error.kind(), lake::ErrorKind::Corrupt, "{cut} bytes: {error}");
    }
    fs::remove_file(path_of(&folder, &key)).unwrap();
    let error = read().await.unwrap_err();
    assert!(error.to_string().contains("is missing; delete it"), "{error}");
}

/// Fails when a commit that was written twice is indexed under two names.
#[tokio::test]
async fn two_consumers_that_write_one_snapshot_write_one_index() {
    let (lake, folder) = folder_lake().await;
    let ledger = Ledger::new(lake, stream());
    commit_up_to(&ledger, 1, 16).await;
    assert_eq!(ledger.create_commit(&commit(1)).await.unwrap(), Claimed::Ours);
    let first = ledger.snapshot_if_due(None, batch(16), None).await.unwrap();
    let second = ledger.snapshot_if_due(None, batch(16), None).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(fs::read_dir(folder.path().join("checkpoints/events/inputs")).unwrap().count(), 1);
    let last: CommittedInputs = ledger.last_covered(&first.unwrap()).await.unwrap();
    assert_eq!(last.batch, BatchId::new(16).unwrap());
}
