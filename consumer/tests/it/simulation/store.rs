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
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
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
    /// The raw zone refuses to let an object be read; per request.
    forbidden: f64,
    /// The data zones refuse each write.
    pub(super) refuses_writes: bool,
}

impl Faults {
    /// No faults, some, or many.
    pub(super) fn of(rng: &mut Rng) -> Self {
        let scale = [0.0, 0.02, 0.1][rng.usize(0..3)];
        let refuses_writes = rng.u8(0..12) == 0;
        let forbidden = if rng.u8(0..6) == 0 { 0.05 } else { 0.0 };
        Self { refused: scale, lost_answer: scale, stall: scale / 5.0, listing: scale / 5.0, forbidden, refuses_writes }
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
    /// Whether the consumer has read something deadly; `None` if nothing is.
    died: Option<watch::Sender<bool>>,
}

impl SimStore {
    /// The store of a consumer, and whether that died of something that it read.
    pub(super) fn deadly(store: Arc<InMemory>, faults: Faults, rng: Rng) -> (Self, watch::Receiver<bool>) {
        let died = watch::Sender::new(false);
        let has_died = died.subscribe();
        (Self::with(store, faults, rng, Some(died)), has_died)
    }

    /// The store of a process whose death is decided elsewhere.
    pub(super) fn harmless(store: Arc<InMemory>, faults: Faults, rng: Rng) -> Self {
        Self::with(store, faults, rng, None)
    }

    fn with(store: Arc<InMemory>, faults: Faults, rng: Rng, died: Option<watch::Sender<bool>>) -> Self {
        let frozen = watch::Sender::new(false);
        Self { way: Arc::new(Way { store, faults, rng: Mutex::new(rng), frozen, died }) }
    }

    /// Freezes and thaws the consumer.
    pub(super) fn frozen(&self) -> watch::Sender<bool> {
        self.way.frozen.clone()
    }
}

/// A process that reads an object with this text dies of it.
pub(super) const DEADLY: &str = "deadly";

fn is_raw(location: &Path) -> bool {
    location.as_ref().starts_with("raw/")
}

/// Whether an object kills each process that reads it.
pub(super) async fn is_deadly(store: &InMemory, location: &Path) -> bool {
    match store.get(location).await {
        Ok(found) => {
            found.bytes().await.is_ok_and(|body| body.windows(DEADLY.len()).any(|part| part == DEADLY.as_bytes()))
        }
        Err(_) => false,
    }
}

fn forbidden(location: &Path) -> Error {
    Error::PermissionDenied { path: location.to_string(), source: "this is forbidden".into() }
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
        let is_data = ["bronze/", "dead_letters/"].iter().any(|zone| location.as_ref().starts_with(zone));
        if is_data && self.way.faults.refuses_writes {
            self.way.travel().await;
            return Err(forbidden(location));
        }
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
        if is_raw(location) && self.way.chance(self.way.faults.forbidden) {
            self.way.travel().await;
            return Err(forbidden(location));
        }
        if let Some(died) = self.way.died.as_ref().filter(|_| !options.head && is_raw(location))
            && is_deadly(&self.way.store, location).await
        {
            died.send_replace(true);
            std::future::pending::<()>().await;
        }
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
