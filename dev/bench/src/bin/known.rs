//! Writes the ledger of a stream that has committed many objects, to measure a start on it.
//!
//! The ledger is made by the same code as a consumer's, commit by commit, so that memory does not grow with it. Commits
//! that a snapshot covers are deleted: segments and indexes contain them. No raw object, row or dead letter exists.
//!
//! ```sh
//! cargo run --release -p bench --bin known -- /tmp/lake 1000000 by-time
//! LAKE_URL=file:///tmp/lake /usr/bin/time -v target/release/consumer run --once --stream events
//! ```

#![expect(clippy::expect_used, reason = "a measurement ends at the first error")]

use std::sync::Arc;

use lake::{
    clock::Timestamp,
    ids::{BatchId, ContentId, Fingerprint, SchemaId, StreamName, sha256_hex},
    keys::Key,
    ledger::{COMMITS_PER_SNAPSHOT, Commit, InputOutcome, Ledger, Outcome, Totals},
    settings::LakeUrls,
    store::Lake,
};

/// As many as a batch has by default.
const OBJECTS_PER_BATCH: u64 = 5_000;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, objects, order] = arguments.as_slice() else {
        eprintln!("usage: known FOLDER OBJECTS by-time|by-chance");
        std::process::exit(2);
    };
    let objects: u64 = objects.parse().expect("OBJECTS is a number");
    let by_time = order == "by-time";
    let stream: StreamName = "events".parse().expect("a valid name");
    let urls = LakeUrls::below(&format!("file://{folder}")).expect("FOLDER is absolute");
    let ledger = Ledger::new(Lake::open(&urls).await.expect("the lake opens"), stream);
    let schema = bench::Events::new(1, 0.0).schema;
    ledger.create_schema(&schema).await.expect("the schema is stored");
    let mut snapshot = None;
    for number in 1..=objects.div_ceil(OBJECTS_PER_BATCH) {
        let inputs = (number - 1) * OBJECTS_PER_BATCH..(number * OBJECTS_PER_BATCH).min(objects);
        let commit =
            commit(&ledger, number, schema.id(), inputs.map(|object| input(&ledger, object, by_time)).collect());
        ledger.create_commit(&commit).await.expect("the commit is stored");
        snapshot = ledger.snapshot_if_due(snapshot, commit.batch, None).await.expect("the snapshot is stored");
        if number.is_multiple_of(COMMITS_PER_SNAPSHOT) {
            delete_commits(&ledger, number - COMMITS_PER_SNAPSHOT).await;
        }
    }
    let segments = snapshot.as_deref().map_or(0, |snapshot: &lake::ledger::Snapshot| snapshot.segments.len());
    println!("{objects} objects in {segments} segments");
    drop::<Option<Arc<_>>>(snapshot);
}

/// Deletes the sixteen commits up to this one.
async fn delete_commits(ledger: &Ledger, last: u64) {
    let numbers = (last.saturating_sub(COMMITS_PER_SNAPSHOT) + 1..=last).filter_map(BatchId::new);
    let keys = numbers.map(|batch| Key::Commit { stream: ledger.stream().clone(), batch }).collect();
    ledger.lake().delete(keys).await.expect("commits are deleted");
}

fn commit(ledger: &Ledger, number: u64, schema_id: SchemaId, inputs: Vec<InputOutcome>) -> Commit {
    let id = uuid::Uuid::from_u128(u128::from(number));
    Commit {
        stream: ledger.stream().clone(),
        batch: BatchId::new(number).expect("batches count from 1"),
        plan_id: id,
        attempt_id: id,
        committed_at: Timestamp::from_micros(1_767_225_600_000_000 + number as i64 * 1_000_000).expect("a valid time"),
        schema_id,
        fingerprint: Fingerprint::of(b"bench"),
        inputs,
        files: Vec::new(),
        removed: Vec::new(),
        resolved: Vec::new(),
        totals: Totals::default(),
    }
}

/// An object as the consumer records it, but without records. Names, versions and contents are as hard to compress as real
/// ones.
fn input(ledger: &Ledger, object: u64, by_time: bool) -> InputOutcome {
    let hash = sha256_hex(&object.to_be_bytes());
    let name = if by_time { format!("2026/{object:012}-{}.json", &hash[..8]) } else { format!("{}.json", &hash[..32]) };
    InputOutcome {
        key: Key::Raw { stream: ledger.stream().clone(), rest: name },
        etag: format!("18{}-1f4", &hash[8..22]),
        size: 500,
        outcome: Outcome::Ingested,
        records_read: 0,
        rows: 0,
        dead_letters: 0,
        content: Some(ContentId::of(hash.as_bytes())),
        copy: None,
    }
}
