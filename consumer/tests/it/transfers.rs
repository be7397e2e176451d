//! How many objects are read, written and copied at a time, on a store that takes 30 ms (of virtual time) for each.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use lake::{
    store::{Lake, Transfers},
    stream::Format,
};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use tokio::time::{Instant, sleep};

use crate::{
    lake_in_a_folder::{contents, definition, events},
    lake_on_s3::{drain, land},
};

/// A store that takes its time, and counts how many requests of a zone are under way.
#[derive(Debug, Default)]
struct SlowStore {
    store: InMemory,
    reads: UnderWay,
    copies: UnderWay,
}

#[derive(Debug, Default)]
struct UnderWay {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl UnderWay {
    async fn pass(&self, takes: Duration) {
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        sleep(takes).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl fmt::Display for SlowStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slow")
    }
}

const LATENCY: Duration = Duration::from_millis(30);
const STUCK: Duration = Duration::from_secs(10);

#[async_trait]
impl ObjectStore for SlowStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if location.as_ref().contains("/objects/") {
            self.copies.pass(LATENCY).await;
        }
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if location.as_ref().starts_with("raw/") {
            self.reads.pass(if location.as_ref().contains("stuck") { STUCK } else { LATENCY }).await;
        }
        self.store.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// Drains so many objects of this content with so many transfers, on one core. Returns the store and how long it took.
async fn drained(transfers: usize, names: impl Iterator<Item = String>, body: &str) -> (Arc<SlowStore>, Duration) {
    let store = Arc::new(SlowStore::default());
    let lake = Lake::on_store(Arc::<SlowStore>::clone(&store)).with_transfers(Transfers::new(transfers));
    let mut landed = 0;
    for name in names {
        land(&lake, &name, body).await;
        landed += 1;
    }
    let began = Instant::now();
    drain(&lake, definition(Format::JsonArray)).await.unwrap();
    let took = began.elapsed();
    let held = contents(&lake::ledger::Ledger::new(lake, events())).await;
    assert_eq!(held.rows.len() + held.dead_letters.len(), landed);
    (store, took)
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("{number:03}.json"))
}

const GOOD: &str = "[{\"id\": 1}]";

#[tokio::test(start_paused = true)]
async fn as_many_objects_are_read_at_a_time_as_the_setting_says() {
    for transfers in [1, 7, Transfers::DEFAULT] {
        let (store, _) = drained(transfers, names(200), GOOD).await;
        assert_eq!(store.reads.most(), transfers);
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_copies_are_written_at_a_time_as_the_setting_says() {
    for transfers in [1, 7, Transfers::DEFAULT] {
        let (store, _) = drained(transfers, names(200), "[{\"id\": 1").await;
        assert_eq!(store.copies.most(), transfers);
    }
}

/// Fails when others wait for an object that takes long though there are places for them.
#[tokio::test(start_paused = true)]
async fn an_object_that_takes_long_keeps_no_other_waiting() {
    let stuck = std::iter::once("000-stuck.json".to_owned());
    let (_, took) = drained(2, stuck.chain(names(200)), GOOD).await;
    assert!(took < STUCK + Duration::from_secs(1), "{took:?}");
}
