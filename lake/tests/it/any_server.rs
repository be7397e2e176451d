//! What Sluice relies on of any S3 server, beyond the suite of `object_store`.
//!
//! Each test runs on `local-s3` and, if asked, on the server of the environment, below a prefix of its own.

use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use lake::store::s3::{to_key, to_path};
use object_store::{Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, WriteMultipart, path::Path};

use crate::object_store_suite::{open_environment, open_local_s3};

/// How often [`of_concurrent_creates_one_wins`] lets writers race for a key, and how many of them.
const RACES: usize = 40;
const WRITERS: usize = 24;

macro_rules! on_any_server {
    ($($name:ident)*) => {
        mod local_s3_server {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let (store, _served) = open_local_s3().await;
                    super::$name(&store).await;
                }
            )*
        }

        mod s3_of_the_environment {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                #[ignore = "needs SLUICE_TEST_S3_BUCKET and the AWS settings of its server"]
                async fn $name() {
                    let (store, ()) = open_environment().await;
                    super::$name(&store).await;
                }
            )*
        }
    };
}

on_any_server! {
    of_concurrent_creates_one_wins
    an_object_changed_since_it_was_listed_fails_its_precondition
    odd_names_can_be_written_listed_read_copied_and_deleted
    odd_paths_can_be_written_listed_read_copied_and_deleted
    eleven_hundred_keys_are_listed_and_deleted
    a_long_object_can_be_written_in_parts_and_read_in_pieces
}

fn create() -> PutOptions {
    PutMode::Create.into()
}

/// Creates of one key with different bytes: one succeeds, all others are refused, and its bytes are stored.
async fn of_concurrent_creates_one_wins(store: &dyn ObjectStore) {
    for race in 0..RACES {
        let path = Path::from(format!("commits/{race:020}.json"));
        let creates = (0..WRITERS).map(|writer| {
            let (path, body) = (path.clone(), format!("writer {writer}"));
            async move { (writer, store.put_opts(&path, body.into(), create()).await) }
        });
        let outcomes = join_all(creates).await;

        for (_, outcome) in &outcomes {
            assert!(matches!(outcome, Ok(_) | Err(Error::AlreadyExists { .. })), "{outcome:?}");
        }
        let winners: Vec<_> =
            outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(writer, _)| writer).collect();
        assert_eq!(winners.len(), 1, "race {race}");
        let stored = store.get(&path).await.unwrap().bytes().await.unwrap();
        assert_eq!(stored, format!("writer {}", winners[0]), "race {race}");
    }
}

async fn an_object_changed_since_it_was_listed_fails_its_precondition(store: &dyn ObjectStore) {
    let path = Path::from("raw/events/1.json");
    store.put(&path, "first".into()).await.unwrap();
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let planned = || GetOptions::new().with_if_match(listed[0].e_tag.clone());
    assert_eq!(store.get_opts(&path, planned()).await.unwrap().meta.size, 5);

    store.put(&path, "second".into()).await.unwrap();

    let error = store.get_opts(&path, planned()).await.unwrap_err();
    assert!(matches!(error, Error::Precondition { .. }), "{error}");
}

/// Names that are difficult in URLs and XML.
const ODD_NAMES: [&str; 8] = [
    "raw/%~marked",
    "raw/100%25",
    "raw/plus+and space",
    "raw/a&b<c>\"d'",
    "raw/question?x=1#hash",
    "raw/ä€😀",
    "raw/back\\slash",
    "raw/~tilde*star",
];

async fn odd_names_can_be_written_listed_read_copied_and_deleted(store: &dyn ObjectStore) {
    round_trip(store, &ODD_NAMES).await;
}

/// Keys that a [`Path`] does not allow as they are, and control characters.
const ODD_PATHS: [&str; 7] =
    ["raw//double", "raw/dir/", "raw/./dot", "raw/../dots", "/leading", "//", "raw/new\nline\tand\r\u{1}\u{7f}"];

async fn odd_paths_can_be_written_listed_read_copied_and_deleted(store: &dyn ObjectStore) {
    round_trip(store, &ODD_PATHS).await;
}

async fn round_trip(store: &dyn ObjectStore, keys: &[&str]) {
    for key in keys {
        store.put(&to_path(key), (*key).to_owned().into()).await.unwrap();
    }

    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut found: Vec<_> = listed.iter().map(|meta| to_key(&meta.location)).collect();
    found.sort_unstable();
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);

    let copy = Path::from("copy");
    for meta in &listed {
        let key = to_key(&meta.location);
        assert_eq!(store.get(&meta.location).await.unwrap().bytes().await.unwrap(), key);
        assert_eq!(store.head(&meta.location).await.unwrap().size, key.len() as u64);
        store.copy(&meta.location, &copy).await.unwrap();
        assert_eq!(store.get(&copy).await.unwrap().bytes().await.unwrap(), key);
    }

    let locations = stream::iter(listed).map(|meta| Ok(meta.location)).boxed();
    store.delete_stream(locations).try_collect::<Vec<_>>().await.unwrap();
    store.delete(&copy).await.unwrap();
    assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap(), []);
}

async fn eleven_hundred_keys_are_listed_and_deleted(store: &dyn ObjectStore) {
    let paths: Vec<Path> = (0..1_100).map(|number| Path::from(format!("raw/events/{number:05}"))).collect();
    let puts = stream::iter(&paths).map(|path| store.put(path, "x".into())).buffer_unordered(8);
    puts.try_collect::<Vec<_>>().await.unwrap();

    let listed: Vec<Path> = store.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap();
    assert_eq!(listed, paths);
    let after: Vec<_> = store.list_with_offset(None, &paths[1_049]).try_collect().await.unwrap();
    assert_eq!(after.len(), 50);

    let deleted: Vec<Path> =
        store.delete_stream(stream::iter(paths.clone()).map(Ok).boxed()).try_collect().await.unwrap();
    assert_eq!(deleted, paths);
    assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap(), []);
}

/// As the copy of an object that is too large for memory is written.
async fn a_long_object_can_be_written_in_parts_and_read_in_pieces(store: &dyn ObjectStore) {
    let path = Path::from("dead_letters/events/objects/1");
    let body: Vec<u8> = (0..20_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut upload = WriteMultipart::new(store.put_multipart(&path).await.unwrap());
    for chunk in body.chunks(300_000) {
        upload.wait_for_capacity(4).await.unwrap();
        upload.write(chunk);
    }
    upload.finish().await.unwrap();

    assert_eq!(store.head(&path).await.unwrap().size, body.len() as u64);
    let across_parts = store.get_range(&path, 5_000_000..11_000_000).await.unwrap();
    assert!(across_parts == body[5_000_000..11_000_000]);
    assert!(store.get(&path).await.unwrap().bytes().await.unwrap() == body);
}
