//! The store as one consumer of the simulation sees it: slow, failing, forgetful, and unreachable while it is frozen.
//!
//! A fault happens before a request takes effect, or after it, so that the answer is lost. If a consumer is dropped or
//! frozen in between, its request took effect without an answer.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use fastrand::Rng;
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

/// The probability of each fault, per request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// A request fails and does nothing.
    refused: f64,
    /// A request takes effect and its answer is lost.
    lost_answer: f64,
    /// A request takes three seconds.
    stall: f64,
    /// A listing shows an object twice or not at all; per object.
    listing: f64,
}

impl Faults {
    /// No faults, some, or many.
    pub(super) fn of(rng: &mut Rng) -> Self {
        let scale = [0.0, 0.02, 0.1][rng.usize(0..3)];
        Self { refused: scale, lost_answer: scale, stall: scale / 5.0, listing: scale / 5.0 }
    }
}

/// One consumer's connection to the shared store.
pub(super) struct SimStore {
    way: Arc<Way>,
}

struct Way {
    store: Arc<InMemory>,
    faults: Faults,
    rng: Mutex<Rng>,
    frozen: watch::Sender<bool>,
}

impl SimStore {
    pub(super) fn new(store: Arc<InMemory>, faults: Faults, rng: Rng) -> Self {
        let frozen = watch::Sender::new(false);
        Self { way: Arc::new(Way { store, faults, rng: Mutex::new(rng), frozen }) }
    }

    /// Freezes and thaws the consumer.
    pub(super) fn frozen(&self) -> watch::Sender<bool> {
        self.way.frozen.clone()
    }
}

fn failed(what: &'static str) -> Error {
    Error::Generic { store: "simulation", source: what.into() }
}

impl Way {
    fn chance(&self, chance: f64) -> bool {
        self.rng.lock().unwrap().f64() < chance
    }

    /// The way of a request or an answer: takes a while, and does not end while the consumer is frozen.
    async fn travel(&self) {
        let stalls = self.chance(self.faults.stall);
        let micros = self.rng.lock().unwrap().u64(200..20_000);
        sleep_until(Instant::now() + Duration::from_micros(micros)).await;
        if stalls {
            sleep(Duration::from_secs(3)).await;
        }
        let mut frozen = self.frozen.subscribe();
        while *frozen.borrow_and_update() {
            if frozen.changed().await.is_err() {
                return;
            }
        }
    }

    async fn request<T>(&self, effect: impl Future<Output = Result<T>>) -> Result<T> {
        self.travel().await;
        if self.chance(self.faults.refused) {
            return Err(failed("the request was refused"));
        }
        let done = effect.await;
        self.travel().await;
        if self.chance(self.faults.lost_answer) {
            return Err(failed("the answer was lost"));
        }
        done
    }

    async fn listing(&self, objects: BoxStream<'static, Result<ObjectMeta>>) -> Vec<Result<ObjectMeta>> {
        match self.request(async { Ok(objects.collect::<Vec<_>>().await) }).await {
            Ok(objects) => objects
                .into_iter()
                .flat_map(|object| match (self.chance(self.faults.listing), object) {
                    (true, Ok(object)) if self.chance(0.5) => vec![Ok(object.clone()), Ok(object)],
                    (true, _) => vec![],
                    (false, object) => vec![object],
                })
                .collect(),
            Err(error) => vec![Err(error)],
        }
    }
}

fn deferred(way: &Arc<Way>, objects: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
    let way = Arc::clone(way);
    stream::once(async move { stream::iter(way.listing(objects).await) }).flatten().boxed()
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimStore")
    }
}

impl fmt::Display for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimStore")
    }
}

#[async_trait]
impl ObjectStore for SimStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.way.request(self.way.store.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.way.request(self.way.store.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.way.request(self.way.store.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let way = Arc::clone(&self.way);
        let delete = async move {
            let deleted = way.request(async { Ok(way.store.delete_stream(locations).collect::<Vec<_>>().await) });
            stream::iter(deleted.await.unwrap_or_else(|error| vec![Err(error)]))
        };
        stream::once(delete).flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        deferred(&self.way, self.way.store.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        deferred(&self.way, self.way.store.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.way.request(self.way.store.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.way.request(self.way.store.copy_opts(from, to, options)).await
    }
}
