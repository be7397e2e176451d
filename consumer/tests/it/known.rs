//! What is known of versions of objects, from indexes and recent commits: the same as if it all was in memory.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc};

use consumer::discover::{KnownAs, KnownInputs, Mending};
use futures::TryStreamExt;
use lake::{
    clock::Timestamp,
    ids::{BatchId, ContentId, Fingerprint, SchemaId},
    keys::Key,
    ledger::{
        COMMITS_PER_SNAPSHOT, Claimed, Commit, CommittedInputs, InputOutcome, Ledger, Outcome, Segment, Snapshot,
        Totals,
    },
    store::Lake,
    stream::{AfterCommit, Format},
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    lake_in_a_folder::{FolderLake, contents, definition, events},
    lake_on_s3::{S3Lake, drain, ids, land},
};

/// One version in a commit: its name, its ETag, its outcome, and a number for its content.
type Input = (String, u32, Outcome, u32);

fn key(name: &str) -> Key {
    Key::Raw { stream: events(), rest: name.to_owned() }
}

fn committed_at(number: u64) -> Timestamp {
    Timestamp::from_micros(1_795_000_000_000_000 + number as i64 * 1_000_000).unwrap()
}

fn commit(number: u64, inputs: &[Input]) -> Commit {
    let read = |outcome| matches!(outcome, Outcome::Ingested | Outcome::Unchanged);
    let input = |(name, etag, outcome, content): &Input| InputOutcome {
        key: key(name),
        etag: etag.to_string(),
        size: 1,
        outcome: *outcome,
        records_read: 0,
        rows: 0,
        dead_letters: 0,
        content: read(*outcome).then(|| ContentId::of(&content.to_be_bytes())),
        copy: None,
    };
    Commit {
        stream: events(),
        batch: BatchId::new(number).unwrap(),
        plan_id: Uuid::from_u128(1),
        attempt_id: Uuid::from_u128(2),
        committed_at: committed_at(number),
        schema_id: SchemaId::of(b"schema"),
        fingerprint: Fingerprint::of(b"writer"),
        inputs: inputs.iter().map(input).collect(),
        files: Vec::new(),
        removed: Vec::new(),
        resolved: Vec::new(),
        totals: Totals::default(),
    }
}

/// The plain model: all commits in memory, looked through from the first to the last.
#[derive(Default)]
struct Model(Vec<Commit>);

impl Model {
    fn look_up(&self, key: &str, etag: &str) -> KnownAs {
        let (mut done, mut earlier, mut deferred_since) = (None, Vec::new(), None);
        for commit in &self.0 {
            for input in commit.inputs.iter().filter(|input| input.key.to_string() == key) {
                match input.outcome {
                    Outcome::Missing | Outcome::Changed => {}
                    Outcome::Deferred if input.etag == etag => {
                        deferred_since = deferred_since.or(Some(commit.committed_at));
                    }
                    Outcome::Deferred => {}
                    outcome => {
                        if input.etag == etag {
                            done = Some(KnownAs::Done { unreadable: outcome == Outcome::Unreadable });
                        }
                        earlier.extend(input.content.filter(|content| earlier.last() != Some(content)));
                    }
                }
            }
        }
        done.unwrap_or_else(|| {
            let skipped = earlier.len().saturating_sub(64);
            KnownAs::New { earlier: earlier.split_off(skipped), deferred_since }
        })
    }

    /// How many versions are known for good.
    fn len(&self) -> u64 {
        let inputs = self.0.iter().flat_map(|commit| &commit.inputs);
        inputs.filter(|input| input.outcome.is_final()).count() as u64
    }

    async fn assert_same(&self, known: &mut KnownInputs, versions: &[(String, String)]) {
        let found = known.look_up(versions.iter().map(|(key, etag)| (key.as_str(), etag.as_str()))).await.unwrap();
        for ((key, etag), found) in versions.iter().zip(&found) {
            assert_eq!(*found, self.look_up(key, etag), "{key} {etag}");
        }
        assert_eq!(known.len(), self.len());
    }
}

/// What a program knows that starts now.
async fn started(ledger: &Ledger, mending: Mending) -> KnownInputs {
    let mut known = KnownInputs::new(ledger.clone(), mending);
    let mut history =
        ledger.history_after_snapshot::<CommittedInputs>(ledger.hinted_snapshot().await.unwrap()).await.unwrap();
    while let Some(commit) = history.commits.try_next().await.unwrap() {
        known.add(commit);
    }
    if let Some(snapshot) = &history.snapshot {
        known.cover(snapshot).await.unwrap();
    }
    known
}

/// The snapshot as an earlier program wrote it.
fn without_indexes(snapshot: &Snapshot) -> Snapshot {
    let segments = snapshot.segments.iter().map(|segment| Segment { inputs: None, ..segment.clone() }).collect();
    Snapshot { segments, ..snapshot.clone() }
}

/// An object that is overwritten again and again: its lines fill several blocks.
fn hot() -> String {
    format!("hot-{}", "long".repeat(500))
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    use Outcome::{Changed, DeadLettered, Deferred, Ingested, Missing, Unchanged, Unreadable};
    let outcomes = vec![Ingested, Ingested, Ingested, DeadLettered, Missing, Changed, Unchanged, Deferred, Unreadable];
    // Some names are so long that a segment has many blocks.
    let names = prop_oneof![
        2 => (0..30_u32).prop_map(|name| format!("{name}")),
        1 => Just(hot()),
        1 => (0..30_u32).prop_map(|name| format!("{name}-{}", "long".repeat(1_000))),
    ];
    prop::collection::vec((names, 0..30_u32, prop::sample::select(outcomes), 0..5_u32), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Fails when a block or an index is passed over, when contents come in another order than their commits, or when
    /// what a snapshot covers is forgotten or kept twice.
    #[test]
    fn what_is_known_does_not_depend_on_snapshots_merges_or_restarts(
        batches in prop::collection::vec(inputs(), 1..330),
        starts in prop::collection::btree_set(1..330_u64, 0..3),
        by_an_earlier_program in any::<bool>(),
        asked in prop::collection::vec((0..30_u32, 0..32_u32), 1..40),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let ledger = Ledger::new(Lake::in_memory(), events());
            let (mut model, mut snapshot) = (Model::default(), None);
            let mut known = KnownInputs::new(ledger.clone(), Mending::Store);
            let with_hot = |(name, etag): &(u32, u32)| {
                let names = [format!("{name}"), hot(), format!("{name}-{}", "long".repeat(1_000))];
                names.map(|name| (key(&name).to_string(), etag.to_string()))
            };
            let asked: Vec<_> = asked.iter().flat_map(with_hot).collect();
            for (number, inputs) in (1..).zip(&batches) {
                let commit = commit(number, inputs);
                assert_eq!(ledger.create_commit(&commit).await.unwrap(), Claimed::Ours);
                known.add(CommittedInputs::of(&commit));
                model.0.push(commit);
                let previous = snapshot.map(|snapshot| known.mended(snapshot));
                snapshot = ledger.snapshot_if_due(previous, BatchId::new(number).unwrap(), None).await.unwrap();
                if let Some(snapshot) = &snapshot {
                    known.cover(snapshot).await.unwrap();
                }
                assert!((known.recent_commits() as u64) < COMMITS_PER_SNAPSHOT, "memory must stay bounded");
                if starts.contains(&number) {
                    model.assert_same(&mut known, &asked).await;
                    known = started(&ledger, Mending::Store).await;
                    if by_an_earlier_program && let Some(of_indexes) = &snapshot {
                        let earlier = without_indexes(of_indexes);
                        known = KnownInputs::new(ledger.clone(), Mending::Keep);
                        let since = of_indexes.batch.number() as usize;
                        model.0[since..].iter().for_each(|commit| known.add(CommittedInputs::of(commit)));
                        known.cover(&earlier).await.unwrap();
                        snapshot = Some(Arc::new(earlier));
                    }
                }
            }
            model.assert_same(&mut known, &asked).await;
            for version in &asked[..3] {
                model.assert_same(&mut known, std::slice::from_ref(version)).await;
            }
            model.assert_same(&mut started(&ledger, Mending::Keep).await, &asked).await;
        });
    }
}

/// A ledger of this many commits, each of one object, whose keys only grow.
async fn of_growing_keys(ledger: &Ledger, commits: u64) -> Snapshot {
    let mut snapshot = None;
    for number in 1..=commits {
        let commit = commit(number, &[(format!("{number:06}"), 1, Outcome::Ingested, 1)]);
        assert_eq!(ledger.create_commit(&commit).await.unwrap(), Claimed::Ours);
        snapshot = ledger.snapshot_if_due(snapshot, commit.batch, None).await.unwrap();
    }
    Snapshot::clone(&snapshot.unwrap())
}

/// Fails when a consumer that stood by takes what another one superseded and deleted for a damaged ledger.
#[tokio::test]
async fn what_another_consumer_merged_and_deleted_is_found_in_the_newest_snapshot() {
    let ledger = Ledger::new(Lake::in_memory(), events());
    let snapshot = of_growing_keys(&ledger, 15 * COMMITS_PER_SNAPSHOT).await;
    let mut known = KnownInputs::new(ledger.clone(), Mending::Store);
    known.cover(&snapshot).await.unwrap();
    let of_an_earlier_program = without_indexes(&snapshot);
    let (mut newest, late) = (Some(Arc::new(snapshot)), Timestamp::from_micros(1_900_000_000_000_000));
    for number in 15 * COMMITS_PER_SNAPSHOT + 1..=18 * COMMITS_PER_SNAPSHOT {
        let commit = commit(number, &[(format!("{number:06}"), 1, Outcome::Ingested, 1)]);
        assert_eq!(ledger.create_commit(&commit).await.unwrap(), Claimed::Ours);
        newest = ledger.snapshot_if_due(newest, commit.batch, late).await.unwrap();
    }
    assert_eq!(newest.unwrap().segments.len(), 3, "256 and twice 16 commits");
    let oldest = key("000003").to_string();
    let found = known.look_up([(oldest.as_str(), "1")]).await.unwrap();
    assert_eq!(found, [KnownAs::Done { unreadable: false }]);
    assert_eq!(known.len(), 18 * COMMITS_PER_SNAPSHOT);
    // The same where the indexes of what was deleted have never been made.
    let mut known = KnownInputs::new(ledger, Mending::Keep);
    known.cover(&of_an_earlier_program).await.unwrap();
    assert_eq!(known.len(), 18 * COMMITS_PER_SNAPSHOT);
}

/// Fails when indexes are opened that can't have the key, or blocks are read again that are in memory.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_only_grow_cost_no_read_and_known_ones_cost_one_read_each() {
    let lake = S3Lake::new().await;
    let ledger = lake.ledger();
    let snapshot = of_growing_keys(&ledger, 5 * COMMITS_PER_SNAPSHOT).await;
    assert_eq!(snapshot.segments.len(), 5);
    let before = lake.server.requests();
    let cost = || lake.server.requests().since(&before).get("GetObject");
    let mut known = KnownInputs::new(ledger.clone(), Mending::Store);
    known.cover(&snapshot).await.unwrap();
    assert_eq!(known.len(), 80);
    let name = |number: u32| key(&format!("{number:06}")).to_string();
    let newer: Vec<String> = (81..200).map(name).collect();
    let found = known.look_up(newer.iter().map(|key| (key.as_str(), "1"))).await.unwrap();
    assert!(found.iter().all(|found| matches!(found, KnownAs::New { .. })));
    assert_eq!(cost(), 0);
    // A directory and a block for each index that has one of the keys.
    let some: Vec<String> = [3, 7, 40].map(name).into();
    for _ in 0..3 {
        let found = known.look_up(some.iter().map(|key| (key.as_str(), "1"))).await.unwrap();
        assert_eq!(found, vec![KnownAs::Done { unreadable: false }; 3]);
        assert_eq!(cost(), 2 * 2);
    }
    lake.server.shutdown().await;
}

/// Fails when a block is read for a key that its index does not have, although the key is within the index's range: names
/// in no order of time are within the range of every index.
#[tokio::test(flavor = "multi_thread")]
async fn new_keys_among_old_ones_cost_no_block() {
    let lake = S3Lake::new().await;
    let ledger = lake.ledger();
    let mut snapshot = None;
    for number in 1..=3 * COMMITS_PER_SNAPSHOT {
        let names = [format!("a{number}"), format!("z{number}")];
        let inputs: Vec<Input> = names.map(|name| (name, 1, Outcome::Ingested, 1)).into();
        assert_eq!(ledger.create_commit(&commit(number, &inputs)).await.unwrap(), Claimed::Ours);
        snapshot = ledger.snapshot_if_due(snapshot, BatchId::new(number).unwrap(), None).await.unwrap();
    }
    let mut known = KnownInputs::new(ledger, Mending::Store);
    known.cover(&snapshot.unwrap()).await.unwrap();
    let before = lake.server.requests();
    let new: Vec<String> = (0..500).map(|number| key(&format!("m{number}")).to_string()).collect();
    let found = known.look_up(new.iter().map(|key| (key.as_str(), "1"))).await.unwrap();
    assert!(found.iter().all(|found| matches!(found, KnownAs::New { .. })));
    assert_eq!(lake.server.requests().since(&before).get("GetObject"), 3, "the directory of each index");
    lake.server.shutdown().await;
}

/// Fails when a start reads segments or indexes that it does not need.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_costs_the_same_however_many_inputs_are_known() {
    let lake = S3Lake::new().await;
    let definition = || {
        let mut definition = definition(Format::JsonArray);
        definition.batch.objects_max = 1;
        definition.after_commit = AfterCommit::Delete;
        definition
    };
    let mut costs = BTreeSet::new();
    for round in 0..3 {
        let first = round * COMMITS_PER_SNAPSHOT as usize;
        for id in first..first + COMMITS_PER_SNAPSHOT as usize {
            land(&lake.lake, &format!("{id:04}.json"), &format!("[{{\"id\": {id}}}]")).await;
        }
        drain(&lake.lake, definition()).await.unwrap();
        let before = lake.server.requests();
        drain(&lake.lake, definition()).await.unwrap();
        costs.insert(lake.server.requests().since(&before).get("GetObject"));
    }
    assert_eq!(costs.len(), 1, "{costs:?}");
    assert_eq!(ids(&lake.holds().await).len(), 48);
    lake.server.shutdown().await;
}

fn index_files(lake: &FolderLake) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(lake.path("checkpoints/events/inputs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Twenty objects in as many batches, of which an index has sixteen.
async fn twenty_batches() -> FolderLake {
    let lake = FolderLake::new().await;
    for id in 0..20 {
        lake.land(&format!("m{id:02}.json"), format!("[{{\"id\": {id}}}]"));
    }
    lake.consume(in_single_batches()).await.unwrap();
    assert_eq!(index_files(&lake).len(), 1);
    lake
}

fn in_single_batches() -> lake::stream::StreamDefinition {
    let mut definition = definition(Format::JsonArray);
    definition.batch.objects_max = 1;
    definition
}

/// Fails when an index is not looked into: the late key would be lost, or the same version read twice.
#[tokio::test]
async fn late_and_overwritten_objects_are_found_after_a_restart() {
    let lake = twenty_batches().await;
    lake.land("a.json", "[{\"id\": 100}]");
    // As an uploaded copy of the same bytes, and as new ones.
    let same = fs::File::options().write(true).open(lake.path("raw/events/m01.json")).unwrap();
    same.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(5)).unwrap();
    lake.land("m02.json", "[{\"id\": 102}, {\"id\": 103}]");
    lake.consume(in_single_batches()).await.unwrap();
    lake.consume(in_single_batches()).await.unwrap();
    let held = contents(&lake.ledger()).await;
    assert_eq!(held.commits.len(), 23);
    assert_eq!(ids(&held), (0..20).chain([100, 102, 103]).collect());
    let outcomes: Vec<_> = held.commits[20..].iter().map(|commit| commit.inputs[0].outcome).collect();
    assert_eq!(outcomes, [Outcome::Ingested, Outcome::Unchanged, Outcome::Ingested]);
}

/// Fails when a lost index is taken for one without inputs: all of it would be read twice.
#[tokio::test]
async fn a_lost_or_damaged_index_is_made_again_and_nothing_is_read_twice() {
    let lake = twenty_batches().await;
    let [file] = index_files(&lake).try_into().unwrap();
    let whole = fs::read(&file).unwrap();
    let mut in_a_block = whole.clone();
    in_a_block[30] ^= 1;
    let mut in_the_directory = whole.clone();
    *in_the_directory.last_mut().unwrap() ^= 1;
    for damage in [None, Some(in_a_block), Some(in_the_directory), Some(whole[..whole.len() / 2].to_vec())] {
        match &damage {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        // A program that only reads finds the same, and changes nothing.
        let status = consumer::inspect::status(&lake.ledger(), &lake::clock::SystemClock).await.unwrap();
        assert_eq!(status.objects_pending, 0);
        assert_eq!(fs::read(&file).ok(), damage);
        let violations = consumer::inspect::verify(&lake.ledger()).await.unwrap().violations;
        assert!(violations.len() == 1 && violations[0].contains("checkpoints/events/inputs/"), "{violations:?}");
        lake.consume(in_single_batches()).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), whole);
        assert_eq!(contents(&lake.ledger()).await.commits.len(), 20);
        assert_eq!(consumer::inspect::verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
    }
}

/// Fails when a start goes on without inputs that it can't know.
#[tokio::test]
async fn a_lost_index_of_a_lost_segment_stops_the_consumer_and_names_the_segment() {
    let lake = twenty_batches().await;
    fs::remove_dir_all(lake.path("checkpoints/events/inputs")).unwrap();
    fs::remove_dir_all(lake.path("checkpoints/events/segments")).unwrap();
    let error = lake.consume(in_single_batches()).await.unwrap_err();
    assert_eq!(error.kind(), lake::ErrorKind::Corrupt);
    assert!(error.to_string().contains("checkpoints/events/segments/"), "{error}");
}
