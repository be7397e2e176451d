//! `object_store`'s own conformance suite, over every store that a lake can be in.
//!
//! Each test opens its own store, so the suite deletes only its own objects. The S3 server of the environment is
//! shared, so there each test stays below its own prefix.

use lake::store::{
    folder::FolderStore,
    s3::{Credentials, S3Store},
};
use local_s3::{Config, Server};
use object_store::{ObjectStore, integration, memory::InMemory, prefix::PrefixStore};

/// How the stores differ where the suite allows it.
#[derive(Clone, Copy)]
struct Traits {
    /// Whether `PutMode::Update` is supported.
    updates: bool,
}

macro_rules! suite {
    ($(#[$ignored:meta])? $store:ident: $open:path, $traits:expr) => {
        mod $store {
            use super::*;

            suite!(@test [$(#[$ignored])?] $open, put_get_delete_list, |store| integration::put_get_delete_list(store));
            suite!(@test [$(#[$ignored])?] $open, put_get_attributes, |store| integration::put_get_attributes(store));
            suite!(@test [$(#[$ignored])?] $open, get_opts, |store| integration::get_opts(store));
            suite!(@test [$(#[$ignored])?] $open, put_opts, |store| integration::put_opts(store, $traits.updates));
            suite!(@test [$(#[$ignored])?] $open, stream_get, |store| integration::stream_get(store));
            suite!(@test [$(#[$ignored])?] $open, list_uses_directories_correctly, |store| integration::list_uses_directories_correctly(store));
            suite!(@test [$(#[$ignored])?] $open, list_with_delimiter, |store| integration::list_with_delimiter(store));
            suite!(@test [$(#[$ignored])?] $open, list_with_offset_exclusivity, |store| integration::list_with_offset_exclusivity(store));
            suite!(@test [$(#[$ignored])?] $open, get_nonexistent_object, |store| missing_object(store));
            suite!(@test [$(#[$ignored])?] $open, rename_and_copy, |store| integration::rename_and_copy(store));
            suite!(@test [$(#[$ignored])?] $open, copy_if_not_exists, |store| integration::copy_if_not_exists(store));
            suite!(@test [$(#[$ignored])?] $open, copy_rename_nonexistent_object, |store| integration::copy_rename_nonexistent_object(store));
            suite!(@test [$(#[$ignored])?] $open, multipart_race_condition, |store| integration::multipart_race_condition(store, true));
            suite!(@test [$(#[$ignored])?] $open, multipart_out_of_order, |store| integration::multipart_out_of_order(store));
        }
    };
    (@test [$(#[$ignored:meta])?] $open:path, $name:ident, |$store:ident| $call:expr) => {
        #[tokio::test]
        $(#[$ignored])?
        async fn $name() {
            // Whatever else it opened, such as a server, lives until the end of the test.
            let (opened, _keep) = $open().await;
            let $store: &dyn ObjectStore = &opened;
            $call.await;
        }
    };
}

suite!(memory: open_memory, Traits { updates: true });
suite!(folder: open_folder, Traits { updates: false });
suite!(local_s3_server: open_local_s3, Traits { updates: true });
suite!(#[ignore = "needs SLUICE_TEST_S3_BUCKET and the AWS settings of its server"] s3_of_the_environment: open_environment, Traits { updates: true });

/// A running server with one empty bucket, and a store on it.
pub(crate) struct Served {
    pub(crate) server: Server,
    pub(crate) store: S3Store,
    _root: tempfile::TempDir,
}

pub(crate) const BUCKET: &str = "lake";
pub(crate) const ACCESS_KEY: &str = "tester";
pub(crate) const SECRET_KEY: &str = "tester-very-secret";

pub(crate) async fn serve() -> Served {
    let root = tempfile::tempdir().expect("a directory for the server");
    let credentials = local_s3::Credentials::new(ACCESS_KEY, SECRET_KEY);
    let server = Server::start(Config::new(root.path(), credentials).bucket(BUCKET)).await.expect("a server");
    let store = S3Store::at(BUCKET, &server.endpoint(), credentials_of(SECRET_KEY)).expect("a store on the server");
    Served { server, store, _root: root }
}

pub(crate) fn credentials_of(secret_key: &str) -> Credentials {
    Credentials::new(ACCESS_KEY, secret_key, None, None, "test")
}

async fn open_memory() -> (InMemory, ()) {
    (InMemory::new(), ())
}

async fn open_folder() -> (FolderStore, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory for the store");
    // It does not exist before the first write.
    (FolderStore::new(directory.path().join("lake")), directory)
}

pub(crate) async fn open_local_s3() -> (S3Store, Served) {
    let served = serve().await;
    (served.store.clone(), served)
}

pub(crate) async fn open_environment() -> (PrefixStore<S3Store>, ()) {
    let bucket = std::env::var("SLUICE_TEST_S3_BUCKET").expect("SLUICE_TEST_S3_BUCKET names the bucket to test in");
    let store = S3Store::connect(&bucket).await.expect("a store from the environment");
    (PrefixStore::new(store, format!("sluice-test/{}", uuid::Uuid::new_v4())), ())
}

async fn missing_object(store: &dyn ObjectStore) {
    let error = integration::get_nonexistent_object(store, None).await.expect_err("no such object");
    assert!(matches!(error, object_store::Error::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn parts_can_be_uploaded_one_by_one() {
    let served = serve().await;
    integration::multipart(&served.store, &served.store).await;
}

#[tokio::test]
async fn a_listing_can_be_read_page_by_page() {
    let served = serve().await;
    integration::list_paginated(&served.store, &served.store).await;
}
