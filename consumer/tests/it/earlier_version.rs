//! A lake that an earlier version wrote is read, continued and verified like this version's own.

use std::{
    fs,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use consumer::{
    inspect::{status, verify},
    pipeline::{Pipeline, RunSettings},
};
use futures::TryStreamExt;
use lake::{
    clock::SystemClock,
    columns::DEAD_LETTER_ID,
    dead_letter::DeadLetterIds,
    ids::StreamName,
    keys::ZoneName,
    ledger::{Commit, Ledger, LiveFiles, Plan, Tail},
    settings::LakeUrls,
    store::Lake,
    stream::StreamDefinition,
};
use tables::Table;

use crate::lake_in_a_folder::{contents, copy, parquet_rows};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/lake-v1");

/// Sets a raw file's modification time to the one in its ETag: `<nanoseconds in hex>-<size in hex>`.
fn set_time(folder: &Path, key: &str, etag: &str) {
    let nanos = u64::from_str_radix(etag.split_once('-').unwrap().0, 16).unwrap();
    let file = fs::File::options().write(true).open(folder.join(key)).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_nanos(nanos)).unwrap();
}

struct Earlier {
    folder: tempfile::TempDir,
    ledger: Ledger,
}

impl Earlier {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(FIXTURE).join("lake"), folder.path());
        let urls = LakeUrls::below(&format!("file://{}", folder.path().display())).unwrap();
        let stream: StreamName = "orders".parse().unwrap();
        let ledger = Ledger::new(Lake::open(&urls).await.unwrap(), stream);
        // In the order of batches, so that each object ends with the time of its newest version.
        for batch in ledger.plans_after(None).await.unwrap() {
            let plan: Plan = ledger.plan(batch).await.unwrap().unwrap();
            for object in plan.objects() {
                set_time(folder.path(), &object.key.to_string(), &object.etag);
            }
        }
        Self { folder, ledger }
    }

    fn definition(&self) -> StreamDefinition {
        StreamDefinition::load(&Path::new(FIXTURE).join("streams"), self.ledger.stream()).unwrap()
    }

    async fn consume(&self) {
        let settings = RunSettings::in_process(true, 2);
        let clock = std::sync::Arc::new(SystemClock);
        let pipeline = Pipeline::open(self.ledger.lake().clone(), self.definition(), clock, settings).await.unwrap();
        pipeline.run(std::future::pending()).await.unwrap();
    }
}

#[tokio::test]
async fn a_lake_of_an_earlier_version_is_read_as_it_was() {
    let earlier = Earlier::new().await;
    let status = status(&earlier.ledger, &SystemClock).await.unwrap();
    assert_eq!((status.batches_committed, status.records_read, status.rows, status.dead_letters), (22, 50, 39, 11));
    assert_eq!((status.objects_ingested, status.objects_dead_lettered, status.objects_unchanged), (40, 1, 1));
    assert_eq!((status.objects_pending, status.dead_letters_resolved, status.records_discarded), (2, 0, 0));
    let verified = verify(&earlier.ledger).await.unwrap();
    assert_eq!(verified.violations, Vec::<String>::new());
    assert_eq!((verified.batches, verified.rows, verified.dead_letters), (22, 39, 11));
}

/// Fails when file names do not cover the writer's version, when a plan of version 1 is not executed as planned, or
/// when inputs of earlier commits are not known.
#[tokio::test]
async fn a_lake_of_an_earlier_version_is_continued_and_verified() {
    let earlier = Earlier::new().await;
    let raw = earlier.folder.path().join("raw/orders/99.ndjson");
    fs::write(raw, "{\"id\": 99, \"price\": 1.5}\n{\"id\": true}\n").unwrap();
    earlier.consume().await;
    let held = contents(&earlier.ledger).await;
    // The start made the index of the old segment; the next snapshot will name it.
    assert_eq!(fs::read_dir(earlier.folder.path().join("checkpoints/orders/inputs")).unwrap().count(), 1);
    let batches: Vec<u64> = held.commits.iter().map(|commit| commit.batch.number()).collect();
    assert_eq!(batches, (1..=24).collect::<Vec<_>>());
    let left_over = &held.commits[22];
    assert_eq!(
        left_over.plan_id.to_string(),
        "393d00f9-be78-44ba-93cb-981603c69b0d",
        "the plan must be executed as planned"
    );
    assert_eq!((left_over.totals.rows, left_over.totals.dead_letters), (2, 1));
    let mut ids: Vec<i64> = held.rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), held.rows.len()), (42, 42), "every record once");
    assert_eq!(held.dead_letters.len(), 11 + 1 + 1);
    assert_eq!(verify(&earlier.ledger).await.unwrap().violations, Vec::<String>::new());
    // A second run finds nothing to do.
    earlier.consume().await;
    assert_eq!(contents(&earlier.ledger).await.commits.len(), 24);
}

/// Fails when columns are found by name or position: both schema versions have a `price`, of different types.
#[tokio::test]
async fn its_tables_are_read_with_todays_columns_and_its_dead_letters_have_ids() {
    let earlier = Earlier::new().await;
    earlier.consume().await;
    let mut tail = Tail::new(earlier.ledger.clone(), LiveFiles::default());
    tail.follow().await.unwrap();
    let files = |zone| tail.state().of_zone(zone).map(|live| live.file.clone()).collect::<Vec<_>>();
    let last: Commit = earlier.ledger.commit(tail.last().unwrap()).await.unwrap().unwrap();
    let record = earlier.ledger.schema(&last.schema_id).await.unwrap();

    let bronze = Table::bronze(earlier.ledger.lake().clone(), &record);
    let batches: Vec<_> = bronze.read(files(ZoneName::Bronze)).try_collect().await.unwrap();
    let rows = crate::lake_in_a_folder::json_rows(&batches);
    let row = |id: i64| rows.iter().find(|row| row["id"] == id).unwrap();
    assert_eq!((row(7)["price"].as_f64(), row(50)["price"].as_f64()), (Some(70.0), Some(50.5)));
    assert_eq!(row(7)["place"], serde_json::json!({"city": "c7"}));
    assert_eq!(row(50)["place"], serde_json::json!({"city": "c", "zip": "z"}));
    assert_eq!((row(7).get("note"), row(7)["_extra"].as_str()), (None, Some("{\"more\":7}")));

    let letters = Table::dead_letters(earlier.ledger.lake().clone());
    let batches: Vec<_> = letters.read(files(ZoneName::DeadLetters)).try_collect().await.unwrap();
    let read = crate::lake_in_a_folder::json_rows(&batches);
    assert_eq!(read.len(), 12);
    for letter in &read {
        let text = |name: &str| letter[name].as_str().unwrap();
        let index = letter.get("_record_index").and_then(serde_json::Value::as_u64);
        let id = DeadLetterIds::of(text("_source_key"), text("_source_etag")).id(index);
        assert_eq!(text("_dead_letter_id"), id.to_string());
    }
    // Old files don't have the column and new ones do: both were read.
    let mut stored = Vec::new();
    for file in files(ZoneName::DeadLetters) {
        let bytes = earlier.ledger.lake().read(&file.key).await.unwrap().unwrap();
        stored.push(parquet_rows(bytes).iter().any(|letter| letter.contains_key("_dead_letter_id")));
    }
    assert!(stored.contains(&true) && stored.contains(&false), "{stored:?}");
    assert_eq!(DEAD_LETTER_ID, 29);
}
