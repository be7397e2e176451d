//! What happens to objects after their commit: archived or deleted, that version only.

use std::time::Duration;

use futures::TryStreamExt;
use lake::{
    ErrorKind,
    keys::{Key, Prefix},
    store::Lake,
    stream::{AfterCommit, Format, StreamDefinition},
};
use local_s3::{Fault, FaultKind, Moment};
use object_store::ObjectStoreExt;

use crate::{
    lake_in_a_folder::{FolderLake, definition, events},
    lake_on_s3::{S3Lake, ids},
};

fn removing(after_commit: AfterCommit) -> StreamDefinition {
    StreamDefinition { after_commit, ..definition(Format::JsonArray) }
}

/// The keys below `raw/events/`, without that prefix.
async fn landed(lake: &Lake) -> Vec<String> {
    let mut keys: Vec<_> =
        lake.list(&Prefix::Raw(&events()), None).map_ok(|listed| listed.key).try_collect().await.unwrap();
    keys.sort();
    keys.into_iter().map(|key| key.replacen("raw/events/", "", 1)).collect()
}

/// The archived objects and their contents.
async fn archived(lake: &Lake) -> Vec<(Key, String)> {
    let store = lake.store(&Key::DeleteProbe);
    let folder = object_store::path::Path::from("raw/_archive/events");
    let listed: Vec<_> = store.list(Some(&folder)).try_collect().await.unwrap();
    let mut archived = Vec::new();
    for object in listed {
        let bytes = store.get(&object.location).await.unwrap().bytes().await.unwrap();
        archived.push((object.location.as_ref().parse().unwrap(), String::from_utf8(bytes.to_vec()).unwrap()));
    }
    archived
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_objects_leave_the_landing_prefix_and_keep_name_and_bytes() {
    let lake = S3Lake::new().await;
    for (name, body) in [("2026/a.json", "[{\"id\": 1}]"), ("b.json", "[{\"id\": 2}"), ("_SUCCESS", "")] {
        lake.land(name, body).await;
    }
    lake.consume(removing(AfterCommit::Archive)).await.unwrap();
    assert_eq!(landed(&lake.lake).await, ["_SUCCESS"], "a marker is not an input");
    let archived = archived(&lake.lake).await;
    let names = archived.iter().map(|(key, body)| match key {
        Key::Archived { rest, .. } => (rest.as_str(), body.as_str()),
        other => panic!("{other}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), [("2026/a.json", "[{\"id\": 1}]"), ("b.json", "[{\"id\": 2}")]);
    let held = lake.holds().await;
    assert_eq!((ids(&held), held.dead_letters.len()), ([1].into(), 1));
    lake.consume(removing(AfterCommit::Archive)).await.unwrap();
    assert_eq!(lake.holds().await.commits.len(), 1);
}

/// Fails when a link lets the consumer read, move or delete what is outside of the lake.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_link_leads_to_outside_of_the_lake_is_neither_read_nor_removed() {
    for after_commit in [AfterCommit::Delete, AfterCommit::Archive] {
        let lake = FolderLake::new().await;
        lake.land("a.json", "[{\"id\": 1}]");
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("b.json"), "[{\"id\": 2}]").unwrap();
        let link = |to: &std::path::Path, name: &str| {
            std::os::unix::fs::symlink(to, lake.path(&format!("raw/events/{name}"))).unwrap();
        };
        link(elsewhere.path(), "folder");
        link(&elsewhere.path().join("b.json"), "file.json");
        link(std::path::Path::new("/etc/passwd"), "passwd");
        lake.consume(removing(after_commit)).await.unwrap();
        let held = lake.holds().await;
        assert_eq!((ids(&held), held.dead_letters.len()), ([1].into(), 0));
        assert_eq!(landed(&lake.lake).await, ["file.json", "folder", "passwd"], "listed, but not as objects");
        assert_eq!(std::fs::read(elsewhere.path().join("b.json")).unwrap(), b"[{\"id\": 2}]");
    }
}

/// Fails when the delete is not conditional: the object that replaced the committed one is lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_overwritten_before_its_removal_stays_and_is_an_input_of_its_own() {
    let lake = S3Lake::new().await;
    lake.land("a.json", "[{\"id\": 1}]").await;
    let latency = FaultKind::Latency { at_least: Duration::from_millis(300), at_most: None, moment: Moment::Before };
    lake.faults(1, [Fault::new(latency).on("DeleteObject").prefix("raw/events/").limit(1)]);
    let overwrite = async {
        while lake.server.faults_injected().total() == 0 {
            tokio::task::yield_now().await;
        }
        let key = Key::Raw { stream: events(), rest: "a.json".to_owned() };
        lake.lake.store(&key).put(&lake.lake.path(&key), "[{\"id\": 2}]".into()).await.unwrap();
    };
    {
        let consumed = lake.consume(removing(AfterCommit::Delete));
        tokio::pin!(consumed);
        tokio::select! {
            ended = &mut consumed => panic!("{ended:?}"),
            () = overwrite => {}
        }
        consumed.await.unwrap();
    }
    lake.consume(removing(AfterCommit::Delete)).await.unwrap();
    assert_eq!((ids(&lake.holds().await), landed(&lake.lake).await), ([1, 2].into(), vec![]));
}

/// Fails when the consumer does not probe the store at startup.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_the_condition_of_a_delete_is_not_asked_to_delete() {
    let lake = S3Lake::new().await;
    lake.land("a.json", "[{\"id\": 1}]").await;
    lake.faults(1, [Fault::new(FaultKind::DeleteConditionIgnored)]);
    let error = lake.consume(removing(AfterCommit::Archive)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("source.after_commit"), "{error}");
    assert_eq!(landed(&lake.lake).await, ["a.json"]);
    lake.consume(removing(AfterCommit::Keep)).await.unwrap();
    assert_eq!(landed(&lake.lake).await, ["a.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_removed_at_once_is_removed_by_a_later_run() {
    let lake = S3Lake::new().await;
    lake.land_ids(3, |id| format!("{id}.json")).await;
    let refused = Fault::new(FaultKind::Error { answer: local_s3::Answer::InternalError, moment: Moment::Before });
    lake.faults(1, [refused.on("DeleteObject").prefix("raw/events/")]);
    lake.consume(removing(AfterCommit::Delete)).await.unwrap();
    assert_eq!((landed(&lake.lake).await.len(), lake.holds().await.commits.len()), (3, 1));
    lake.faults(1, []);
    lake.consume(removing(AfterCommit::Delete)).await.unwrap();
    assert_eq!((landed(&lake.lake).await.len(), lake.holds().await.commits.len()), (0, 1));
}

#[tokio::test]
async fn in_a_folder_that_version_is_removed_and_no_other() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let input = lake.holds().await.commits[0].inputs[0].clone();
    lake.land("a.json", "[{\"id\": 22}]");
    let removed = lake.lake.delete_version(&input.key, &input.etag).await.unwrap();
    assert_eq!((removed, landed(&lake.lake).await), (lake::store::Removed::Changed, vec!["a.json".to_owned()]));
    lake.consume(removing(AfterCommit::Archive)).await.unwrap();
    assert_eq!((ids(&lake.holds().await), landed(&lake.lake).await.len()), ([1, 22].into(), 0));
    let kept = lake.path("raw/_archive/events");
    let names: Vec<_> = std::fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.len() == 1 && names[0].to_str().unwrap().ends_with("-a.json"), "{names:?}");
}
