//! A ledger whose batches do more than ingest, made by hand: `status`, `verify` and a consumer that goes on after them.

use std::fs;

use consumer::inspect::{StatusFollower, status, verify};
use lake::{
    clock::SystemClock,
    dead_letter::Reason,
    ids::BatchId,
    keys::Key,
    ledger::{Claimed, Commit, Discard, Plan, RemovedFile, ResolvedDeadLetters, Rewrite, Totals, Work},
    stream::Format,
};
use uuid::Uuid;

use crate::{
    lake_in_a_folder::{FolderLake, definition, events},
    lake_on_s3::ids,
};

/// Two batches of two rows and one dead letter each.
async fn two_batches() -> FolderLake {
    let lake = FolderLake::new().await;
    for batch in 0..2 {
        let id = 2 * batch;
        lake.land(&format!("{batch}.json"), format!("[{{\"id\": {id}}}, {{\"id\": {}}}, {{\"id\": \"x\"}}]", id + 1));
        lake.consume(definition(Format::JsonArray)).await.unwrap();
    }
    lake
}

/// Plans and commits the next batch: `make` changes a commit that does nothing.
async fn commit(lake: &FolderLake, work: Work, make: impl FnOnce(&mut Commit)) {
    let ledger = lake.ledger();
    let last = ledger.commits_after(None).await.unwrap().last().copied().unwrap();
    let before = ledger.commit(last).await.unwrap().unwrap();
    let (batch, plan_id) = (last.next(), Uuid::from_u128(9));
    let plan = Plan { stream: events(), batch, plan_id, planned_at: before.committed_at, work };
    assert_eq!(ledger.create_plan(&plan).await.unwrap(), Claimed::Ours);
    let mut commit = Commit { batch, plan_id, inputs: vec![], files: vec![], totals: Totals::default(), ..before };
    (commit.removed, commit.resolved) = (vec![], vec![]);
    make(&mut commit);
    assert_eq!(ledger.create_commit(&commit).await.unwrap(), Claimed::Ours);
}

async fn committed(lake: &FolderLake, batch: u64) -> Commit {
    lake.ledger().commit(BatchId::new(batch).unwrap()).await.unwrap().unwrap()
}

async fn discard_first(lake: &FolderLake) {
    let file = committed(lake, 1).await.files[1].key.clone();
    let work = Work::Discard(Discard { because: "a test".to_owned(), dead_letters: vec![] });
    commit(lake, work, |commit| {
        commit.resolved = vec![ResolvedDeadLetters { file, dead_letters: 1, ids: None }];
        let resolved_by_reason = [(Reason::InvalidSchema, 1)].into();
        commit.totals = Totals { resolved: 1, discarded: 1, resolved_by_reason, ..Totals::default() };
    })
    .await;
}

/// Writes the rows of a batch again, under another name.
async fn rewrite(lake: &FolderLake, batch: u64) {
    let old = committed(lake, batch).await.files[0].clone();
    let Key::Bronze(mut name) = old.key.clone() else { panic!("{:?}", old.key) };
    name.batch = BatchId::new(100).unwrap();
    let new = Key::Bronze(name);
    fs::copy(lake.path(&old.key.to_string()), lake.path(&new.to_string())).unwrap();
    commit(lake, Work::Rewrite(Rewrite { files: vec![old.key.clone()] }), |commit| {
        commit.removed = vec![RemovedFile { key: old.key.clone(), size: old.size, rows: old.rows }];
        commit.files = vec![lake::ledger::OutputFile { key: new, ..old }];
    })
    .await;
}

/// Fails when status or verify adds up and subtracts nothing.
#[tokio::test]
async fn status_and_verify_subtract_what_is_removed_and_resolved() {
    let lake = two_batches().await;
    let mut follower = StatusFollower::new(lake.ledger());
    let before = follower.look(&SystemClock).await.unwrap();
    assert_eq!((before.rows, before.dead_letters, before.dead_letters_resolved), (4, 2, 0));
    discard_first(&lake).await;
    rewrite(&lake, 2).await;
    let after = follower.look(&SystemClock).await.unwrap();
    assert_eq!(after, status(&lake.ledger(), &SystemClock).await.unwrap());
    assert_eq!((after.records_read, after.rows, after.dead_letters, after.records_discarded), (6, 4, 1, 1));
    assert_eq!((after.dead_letters_resolved, after.batches_committed), (1, 4));
    assert_eq!(after.dead_letters_by_reason, [(Reason::InvalidSchema, 1)].into());
    let text = after.text();
    assert!(text.contains("6 read = 4 rows + 1 dead letter + 1 discarded") && text.contains("1 dead letter resolved"));

    // What was removed need not be there any more; what took its place must.
    let removed = committed(&lake, 2).await.files[0].key.clone();
    fs::remove_file(lake.path(&removed.to_string())).unwrap();
    let verified = verify(&lake.ledger()).await.unwrap();
    assert_eq!(verified.violations, Vec::<String>::new());
    assert_eq!((verified.rows, verified.dead_letters, verified.records_discarded, verified.files), (4, 1, 1, 4));
    let rewritten = committed(&lake, 4).await.files[0].key.clone();
    fs::remove_file(lake.path(&rewritten.to_string())).unwrap();
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, [format!("{rewritten} is missing")]);
}

/// Fails when verify takes each commit by itself: both balance, and together they close one dead letter twice.
#[tokio::test]
async fn verify_names_a_commit_that_contradicts_the_ones_before_it() {
    let lake = two_batches().await;
    discard_first(&lake).await;
    discard_first(&lake).await;
    let [violation] = <[String; 1]>::try_from(verify(&lake.ledger()).await.unwrap().violations).unwrap();
    assert!(violation.contains("the commit of batch 4") && violation.contains("not open"), "{violation}");
}

/// Fails when a consumer stops at commits of other works, or forgets what was read before them.
#[tokio::test]
async fn a_consumer_goes_on_after_commits_of_other_works() {
    let lake = two_batches().await;
    discard_first(&lake).await;
    rewrite(&lake, 2).await;
    lake.land("later.json", "[{\"id\": 4}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let last = committed(&lake, 5).await;
    assert_eq!((last.inputs.len(), last.totals.rows), (1, 1), "nothing is read twice");
    assert_eq!(lake.ledger().commits_after(None).await.unwrap().len(), 5);
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
    let live: Vec<_> = [1, 4, 5].map(|batch| committed(&lake, batch)).into_iter().collect();
    let mut held = crate::lake_in_a_folder::Contents::default();
    for commit in futures::future::join_all(live).await {
        for file in commit.files.iter().filter(|file| file.key.zone() == lake::keys::ZoneName::Bronze) {
            let bytes = fs::read(lake.path(&file.key.to_string())).unwrap();
            held.rows.extend(crate::lake_in_a_folder::parquet_rows(bytes.into()));
        }
    }
    assert_eq!(ids(&held), (0..5).collect());
}
