//! The procedure in docs/operations.md for a lake that is restored from a backup, step by step.

use std::{fs, path::Path};

use consumer::inspect::{status, verify};
use lake::{
    clock::SystemClock,
    stream::{AfterCommit, Format, StreamDefinition},
};

use crate::lake_in_a_folder::{FolderLake, copy, definition};

/// Backs up, in the order of the procedure.
fn back_up(lake: &FolderLake, to: &Path) {
    for zone in ["checkpoints/events", "bronze/events", "dead_letters/events"] {
        copy(&lake.path(zone), &to.join(zone));
    }
}

/// The ledger is replaced, and files that are missing are added.
fn restore(lake: &FolderLake, from: &Path) {
    fs::rename(lake.path("checkpoints/events"), lake.path("set-aside")).unwrap();
    copy(&from.join("checkpoints/events"), &lake.path("checkpoints/events"));
    for zone in ["bronze/events", "dead_letters/events"] {
        copy(&from.join(zone), &lake.path(zone));
    }
}

fn with_removal(after_commit: AfterCommit) -> StreamDefinition {
    StreamDefinition { after_commit, ..definition(Format::JsonArray) }
}

/// The ids of the rows that commits show.
async fn ids(lake: &FolderLake) -> Vec<i64> {
    let mut ids: Vec<i64> = lake.holds().await.rows.iter().filter_map(|row| row.get("id")?.as_i64()).collect();
    ids.sort_unstable();
    ids
}

async fn agrees(lake: &FolderLake) {
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
}

/// Batch 1, a backup, then batches 2 and 3 with rows and dead letters.
async fn lake_and_backup(after_commit: AfterCommit) -> (FolderLake, tempfile::TempDir) {
    let (lake, backup) = (FolderLake::new().await, tempfile::tempdir().unwrap());
    let land = async |name: &str, id: i64| {
        lake.land(name, format!("[{{\"id\": {id}}}, {{\"id\": \"x\"}}]"));
        lake.consume(with_removal(after_commit)).await.unwrap();
    };
    land("1.json", 1).await;
    back_up(&lake, backup.path());
    land("2.json", 2).await;
    land("3.json", 3).await;
    assert_eq!(ids(&lake).await, [1, 2, 3]);
    (lake, backup)
}

#[tokio::test]
async fn an_older_ledger_is_restored_and_the_same_objects_are_read_again() {
    let (lake, backup) = lake_and_backup(AfterCommit::Keep).await;
    restore(&lake, backup.path());
    agrees(&lake).await;
    assert_eq!(ids(&lake).await, [1]);
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    assert_eq!(ids(&lake).await, [1, 2, 3]);
    agrees(&lake).await;
}

/// A lake of which nothing is left.
#[tokio::test]
async fn a_whole_stream_is_restored_and_raw_objects_with_other_times_are_not_doubled() {
    let (lake, backup) = lake_and_backup(AfterCommit::Keep).await;
    let elsewhere = FolderLake::new().await;
    for zone in ["checkpoints/events", "bronze/events", "dead_letters/events"] {
        copy(&backup.path().join(zone), &elsewhere.path(zone));
    }
    agrees(&elsewhere).await;
    for name in ["1.json", "2.json", "3.json"] {
        elsewhere.land(name, fs::read(lake.path("raw/events").join(name)).unwrap());
    }
    elsewhere.consume(definition(Format::JsonArray)).await.unwrap();
    assert_eq!(ids(&elsewhere).await, [1, 2, 3]);
    let status = status(&elsewhere.ledger(), &SystemClock).await.unwrap();
    assert_eq!((status.objects_unchanged, status.rows, status.dead_letters), (1, 3, 3));
    agrees(&elsewhere).await;
}

/// Batch 2 then has other rows than the batch 2 whose files are still there.
#[tokio::test]
async fn an_older_ledger_is_restored_and_other_objects_land_before_the_same_ones_are_read_again() {
    let (lake, backup) = lake_and_backup(AfterCommit::Keep).await;
    restore(&lake, backup.path());
    agrees(&lake).await;
    lake.land("0.json", "[{\"id\": 10}, {\"id\": 11}, {\"id\": \"y\"}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    assert_eq!(ids(&lake).await, [1, 2, 3, 10, 11]);
    agrees(&lake).await;
    let status = status(&lake.ledger(), &SystemClock).await.unwrap();
    assert_eq!((status.batches_committed, status.dead_letters, status.objects_pending), (2, 4, 0));
}

/// Objects that can't be read are kept, and their copies are still there, too.
#[tokio::test]
async fn an_older_ledger_is_restored_and_another_object_that_can_not_be_read_lands() {
    let (lake, backup) = (FolderLake::new().await, tempfile::tempdir().unwrap());
    lake.land("1.json", "[{\"id\": 1}, {\"id\": \"x\"}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    back_up(&lake, backup.path());
    lake.land("2.bad", "[");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    restore(&lake, backup.path());
    lake.land("0.bad", "[[[");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let held = lake.holds().await;
    let copies =
        held.commits[1].inputs.iter().map(|input| fs::read(lake.path(&input.copy.as_ref().unwrap().to_string())));
    assert_eq!(copies.map(Result::unwrap).collect::<Vec<_>>(), [b"[[[".to_vec(), b"[".to_vec()]);
    agrees(&lake).await;
}

/// What a commit after the backup had removed from the raw zone comes back from the archive.
#[tokio::test]
async fn an_older_ledger_is_restored_and_archived_objects_are_put_back() {
    let (lake, backup) = lake_and_backup(AfterCommit::Archive).await;
    restore(&lake, backup.path());
    lake.consume(with_removal(AfterCommit::Archive)).await.unwrap();
    assert_eq!(ids(&lake).await, [1], "nothing is left to read");
    let archive = lake.path("raw/_archive/events");
    let archived = fs::read_dir(&archive).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let archived: Vec<String> = archived.collect();
    for name in ["2.json", "3.json"] {
        let of_name = archived.iter().find(|archived| archived.ends_with(name)).unwrap();
        fs::rename(archive.join(of_name), lake.path("raw/events").join(name)).unwrap();
    }
    lake.consume(with_removal(AfterCommit::Archive)).await.unwrap();
    assert_eq!(ids(&lake).await, [1, 2, 3]);
    agrees(&lake).await;
}

/// With `delete`, the rows are in files that no commit names any more. The newer ledger, which was set aside, names them.
#[tokio::test]
async fn a_ledger_that_was_set_aside_can_be_put_back() {
    let (lake, backup) = lake_and_backup(AfterCommit::Delete).await;
    restore(&lake, backup.path());
    assert_eq!(ids(&lake).await, [1]);
    agrees(&lake).await;
    fs::remove_dir_all(lake.path("checkpoints/events")).unwrap();
    fs::rename(lake.path("set-aside"), lake.path("checkpoints/events")).unwrap();
    assert_eq!(ids(&lake).await, [1, 2, 3]);
    agrees(&lake).await;
}
