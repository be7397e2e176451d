//! A verification while a consumer goes on.

use lake::{
    clock::Timestamp,
    ids::{Fingerprint, SchemaId},
    store::Lake,
};
use uuid::Uuid;

use super::*;

fn batch(number: u64) -> BatchId {
    BatchId::new(number).unwrap()
}

async fn commit(ledger: &Ledger, number: u64) {
    let commit = Commit {
        stream: ledger.stream().clone(),
        batch: batch(number),
        plan_id: Uuid::from_u128(1),
        attempt_id: Uuid::from_u128(2),
        committed_at: Timestamp::from_micros(1_795_000_000_000_000).unwrap(),
        schema_id: SchemaId::of(b"schema"),
        fingerprint: Fingerprint::of(b"writer"),
        inputs: Vec::new(),
        files: Vec::new(),
        removed: Vec::new(),
        resolved: Vec::new(),
        totals: Totals::default(),
    };
    ledger.create_commit(&commit).await.unwrap();
}

/// Fails when what a consumer merges and retires during a verification is reported as missing.
#[tokio::test]
async fn what_a_consumer_replaces_meanwhile_is_not_a_violation() {
    let ledger = Ledger::new(Lake::in_memory(), "events".parse().unwrap());
    let mut snapshot = None;
    let mut verifier = Verifier::of(&ledger);
    let late = Timestamp::from_micros(1_900_000_000_000_000);
    for number in 1..=272 {
        commit(&ledger, number).await;
        snapshot = ledger.snapshot_if_due(snapshot, batch(number), late.filter(|_| number > 240)).await.unwrap();
        if number == 240 {
            verifier.read_from(Snapshot::clone(snapshot.as_ref().unwrap()));
        }
    }
    assert_eq!(verifier.segments.len(), 15);
    assert!(ledger.check_inputs(&verifier.segments[0]).await.is_err());
    verifier.indexes().await.unwrap();
    assert_eq!(verifier.violations, Vec::<String>::new());
    assert_eq!(verifier.segments, snapshot.unwrap().segments);

    verifier.read_from(ledger.hinted_snapshot().await.unwrap().unwrap());
    let retired = verifier.retired.take().unwrap();
    verifier.covered = None;
    assert!(verifier.is_retired_meanwhile(retired).await.unwrap());
    assert!(!verifier.is_retired_meanwhile(retired.next()).await.unwrap());

    let lost = verifier.segments[0].inputs_key(ledger.stream()).unwrap();
    ledger.lake().delete(vec![lost.clone()]).await.unwrap();
    verifier.indexes().await.unwrap();
    let [violation] = verifier.violations.as_slice() else { panic!("{:?}", verifier.violations) };
    assert!(violation.contains(&lost.to_string()), "{violation}");
}
