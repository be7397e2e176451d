//! How many objects are read, written and copied at a time, and how many answers are waited for one after the other, on
//! a store that takes 30 ms (of virtual time) for each.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use consumer::discover::{Discovery, KnownInputs, KnownOnes, Mending};
use futures::{FutureExt, StreamExt, stream::BoxStream};
use lake::{
    keys::Key,
    ledger::Ledger,
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
    /// How long everything else takes.
    others: Duration,
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
        } else {
            sleep(self.others).await;
        }
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if location.as_ref().starts_with("raw/") {
            self.reads.pass(if location.as_ref().contains("stuck") { STUCK } else { LATENCY }).await;
        } else {
            sleep(self.others).await;
        }
        self.store.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.store.list(prefix);
        sleep(self.others).map(|()| listed).flatten_stream().boxed()
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
    let held = contents(&Ledger::new(lake, events())).await;
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

/// How many answers a consumer waits for, one after the other, to drain what has landed.
async fn answers(lake: &Lake) -> u128 {
    let began = Instant::now();
    drain(lake, definition(Format::JsonArray)).await.unwrap();
    began.elapsed().as_millis() / LATENCY.as_millis()
}

/// Fails when a request waits for another that it does not need.
#[tokio::test(start_paused = true)]
async fn a_start_waits_for_few_answers_one_after_the_other() {
    let lake = Lake::on_store(Arc::new(SlowStore { others: LATENCY, ..SlowStore::default() }));
    for name in names(50) {
        land(&lake, &name, GOOD).await;
    }
    // Of a new stream: the hint to a snapshot, the first half of the store's test and the objects; the commits, the
    // plans and the other half; the schema; the plan; the objects; the file; the commit.
    assert_eq!(answers(&lake).await, 7);
    // With one commit and nothing new: the hint; the commits; the commit; the plans; the schema; the next plan.
    assert_eq!(answers(&lake).await, 6);
    assert_eq!(contents(&Ledger::new(lake, events())).await.rows.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn as_many_objects_are_asked_for_at_a_time_as_the_setting_says() {
    let store = Arc::new(SlowStore::default());
    let lake = Lake::on_store(Arc::<SlowStore>::clone(&store)).with_transfers(Transfers::new(7));
    let known = &mut KnownInputs::new(Ledger::new(lake.clone(), events()), Mending::Keep);
    let mut discovery = Discovery::new(Duration::from_secs(600), KnownOnes::PassOver);
    // After more than a page, the next look is a short one.
    for name in names(1_001) {
        land(&lake, &format!("m{name}"), GOOD).await;
    }
    assert!(discovery.look(&lake, &events(), known).await.unwrap().full);
    for name in names(20) {
        land(&lake, &name, GOOD).await;
    }
    discovery.hint(names(20).map(|rest| Key::Raw { stream: events(), rest }));
    assert_eq!(discovery.look(&lake, &events(), known).await.unwrap().objects.len(), 20);
    assert_eq!(store.reads.most(), 7);
}
