//! Storage by URL: one [`ObjectStore`] per zone, of any kind.
//!
//! Knows object stores and logical keys. Knows nothing about manifests, records or schemas.
//! Invariant: [`Lake::create`] either stores exactly the given bytes under a free key, or returns what is stored there.

pub mod folder;
pub mod s3;

mod create;
mod fetch;
mod key;
mod open;
mod probe;
mod transfers;
mod versions;

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, path::Path};

pub use create::Created;
pub use fetch::{Fetching, FoundVersion, Wanted};
use folder::{FolderStore, Found, OutwardLinks};
pub use transfers::Transfers;
pub use versions::Removed;
use versions::{Unconditional, Versions};

use crate::{
    error::{Error, ErrorKind},
    ids::StreamName,
    keys::{Key, Prefix, ZoneName},
};

/// One zone: a store, and the root of the zone's keys in it.
#[derive(Clone)]
pub struct Zone {
    name: ZoneName,
    store: Arc<dyn ObjectStore>,
    versions: Arc<dyn Versions>,
    root: String,
    url: String,
    /// The same store if it is a folder: a folder can report more than other stores.
    folder: Option<FolderStore>,
    /// The same store if it is a bucket.
    bucket: Option<Arc<s3::S3Store>>,
}

/// The four zones of a lake. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lake {
    zones: Arc<[Zone; ZoneName::COUNT]>,
    transfers: Transfers,
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its logical key, as text, because a raw key can be any text.
    pub key: String,
    /// Its version, as the store names it.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
    /// When the store last saw it change. Only for display: nothing depends on it.
    pub last_modified: chrono::DateTime<chrono::Utc>,
    /// Whether it is an object. A raw zone in a folder can also contain other things, such as a named pipe or a file
    /// whose name is not UTF-8. These can't be read, their key only resembles their name, and the log names them.
    pub is_object: bool,
}

impl Lake {
    /// A lake in the memory of this process; it is lost when the process ends.
    pub fn in_memory() -> Self {
        Self::on_store(Arc::new(object_store::memory::InMemory::new()))
    }

    /// A lake at the root of any store. Removing a version takes two steps there, so there must be no other writer
    /// where objects are removed.
    pub fn on_store(store: Arc<dyn ObjectStore>) -> Self {
        Self::of_zones(|name| Zone {
            name,
            store: Arc::clone(&store),
            versions: Arc::new(Unconditional(Arc::clone(&store))),
            root: name.as_str().to_owned(),
            url: format!("memory:///{name}"),
            folder: None,
            bucket: None,
        })
    }

    /// A lake at the root of one bucket, over any client.
    pub fn on_bucket(bucket: s3::S3Store) -> Self {
        Self::on_two_buckets(bucket.clone(), bucket)
    }

    /// A lake with a separate bucket for raw objects; each zone is at the root of its bucket.
    pub fn on_two_buckets(raw: s3::S3Store, rest: s3::S3Store) -> Self {
        let buckets = [raw, rest].map(|bucket| (format!("s3://{}", bucket.bucket()), Arc::new(bucket)));
        Self::of_zones(|name| {
            let (url, store) = &buckets[usize::from(name != ZoneName::Raw)];
            Zone {
                name,
                store: Arc::<s3::S3Store>::clone(store),
                versions: Arc::<s3::S3Store>::clone(store),
                root: name.as_str().to_owned(),
                url: format!("{url}/{name}"),
                folder: None,
                bucket: Some(Arc::<s3::S3Store>::clone(store)),
            }
        })
    }

    fn of_zones(zone: impl FnMut(ZoneName) -> Zone) -> Self {
        Self { zones: Arc::new(ZoneName::ALL.map(zone)), transfers: Transfers::default() }
    }

    /// The same lake, with this many transfers at a time.
    pub fn with_transfers(self, transfers: Transfers) -> Self {
        Self { transfers, ..self }
    }

    /// How many objects are read, written and copied at a time.
    pub fn transfers(&self) -> &Transfers {
        &self.transfers
    }

    /// Waits for a place to write a small object; the write is over when the result is dropped.
    pub async fn begin_small_write(&self, key: &Key) -> Option<tokio::sync::OwnedSemaphorePermit> {
        match &self.zone(key.zone()).folder {
            Some(_) => self.transfers.begin_file().await,
            None => self.transfers.begin().await,
        }
    }

    /// Whether links that lead out of a `file://` zone are followed.
    pub fn follows_outward_links(&self) -> bool {
        let folders = self.zones.iter().filter_map(|zone| zone.folder.as_ref());
        folders.map(FolderStore::outward_links).any(|links| links == OutwardLinks::Follow)
    }

    /// Whether every zone is in a folder, which shows whether a zone was ever created.
    pub fn is_in_folders(&self) -> bool {
        self.zones.iter().all(|zone| zone.folder.is_some())
    }

    /// How often S3 refused the credentials and others had replaced them. A program that has given them to another
    /// library does so again when this has grown.
    pub fn credential_renewals(&self) -> u64 {
        self.zones.iter().filter_map(|zone| zone.bucket.as_ref()).map(|bucket| bucket.credential_renewals()).sum()
    }

    /// One of the lake's zones.
    pub fn zone(&self, name: ZoneName) -> &Zone {
        &self.zones[name as usize]
    }

    /// Reads a whole object; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails; its kind says whether to try again.
    pub async fn read(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        self.get(key, GetOptions::new(), "").await
    }

    /// Reads a range of an object: fewer bytes if it ends within the range, `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails, or if the object ends before the range begins.
    pub async fn read_range(&self, key: &Key, range: Range<u64>) -> Result<Option<Bytes>, Error> {
        self.get(key, GetOptions::new().with_range(Some(range)), "a part of ").await
    }

    async fn get(&self, key: &Key, options: GetOptions, part: &str) -> Result<Option<Bytes>, Error> {
        let doing = || format!("read {part}{key} from {}", self.zone(key.zone()));
        match self.store(key).get_opts(&self.path(key), options).await {
            Ok(found) => Ok(Some(found.bytes().await.map_err(Error::store(doing()))?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::store(doing())(error)),
        }
    }

    /// Opens the version of an object that `etag` names, for reading in pieces.
    ///
    /// # Errors
    /// The store's own error: `NotFound` and `Precondition` are expected outcomes here, not failures.
    pub async fn open_version(&self, key: &Key, etag: &str) -> Result<GetResult, object_store::Error> {
        let options = GetOptions::new().with_if_match(Some(etag));
        self.store(key).get_opts(&self.path(key), options).await
    }

    /// Whether the store refuses to let this version be read at the moment; any other failure is not a refusal.
    pub async fn refuses_to_read(&self, key: &Key, etag: &str) -> bool {
        let first_piece = async {
            let mut body = self.open_version(key, etag).await?.into_stream();
            body.try_next().await
        };
        first_piece.await.is_err_and(|error| refuses_to_read(&error))
    }

    /// Whether a version's form shows which kind of store named it: a file's does, but an S3 ETag can be any text.
    pub fn versions_show_their_store(&self, zone: ZoneName) -> bool {
        self.zone(zone).folder.is_some()
    }

    /// Whether the store of `zone` can name a version like this; if not, another kind of store did.
    pub fn names_version(&self, zone: ZoneName, etag: &str) -> bool {
        self.zone(zone).folder.as_ref().is_none_or(|folder| folder.names_version(etag))
    }

    /// Whether each object of `zone` has only one key. Where keys are paths of a file system, an object may be found
    /// under several, such as `a//b` and `a/b`.
    pub fn has_exact_keys(&self, zone: ZoneName) -> bool {
        self.zone(zone).folder.is_none()
    }

    /// Whether listings of `zone` are in the order of the keys. A folder's are in the order of its file system.
    pub fn lists_in_order(&self, zone: ZoneName) -> bool {
        self.zone(zone).folder.is_none()
    }

    /// What the store knows about an object without reading it; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails.
    pub async fn head(&self, key: &Key) -> Result<Option<Listed>, Error> {
        match self.store(key).head(&self.path(key)).await {
            Ok(meta) => Ok(Some(self.zone(key.zone()).listed(meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::store(format!("access {key} in {}", self.zone(key.zone())))(error)),
        }
    }

    /// Lists everything below a prefix, in the order of the keys only where [`Lake::lists_in_order`] says so; with
    /// `after`, only what sorts after it. What can't be an object is listed only in the raw zone, so that it is
    /// accounted for: see [`Listed::is_object`].
    ///
    /// # Errors
    /// Each item may be an [`Error::Store`]; a listing that ended without one is complete.
    pub fn list(&self, prefix: &Prefix<'_>, after: Option<&Key>) -> BoxStream<'static, Result<Listed, Error>> {
        let zone = self.zone(prefix.zone()).clone();
        let doing = format!("list {prefix} in {zone}");
        let path = zone.path(prefix.to_string().trim_end_matches('/'));
        let after = after.map(|key| self.path(key));
        let found = match (&zone.folder, after) {
            (Some(folder), after) if zone.name == ZoneName::Raw => folder.walk(Some(&path), after.as_ref()).boxed(),
            (_, Some(after)) => zone.store.list_with_offset(Some(&path), &after).map_ok(Found::Object).boxed(),
            (_, None) => zone.store.list(Some(&path)).map_ok(Found::Object).boxed(),
        };
        found.map_ok(move |found| zone.found(found)).map_err(move |error| Error::store(doing.clone())(error)).boxed()
    }

    /// Deletes these objects, whatever their versions; a missing object counts as deleted.
    ///
    /// # Errors
    /// [`Error::Store`]: some objects may be deleted already.
    pub async fn delete(&self, keys: Vec<Key>) -> Result<(), Error> {
        for name in ZoneName::ALL {
            let zone = self.zone(name);
            let paths: Vec<_> = keys.iter().filter(|key| key.zone() == name).map(|key| Ok(self.path(key))).collect();
            let mut deleted = zone.store.delete_stream(futures::stream::iter(paths).boxed());
            while let Some(outcome) = deleted.next().await {
                match outcome {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(Error::store(format!("delete objects of {zone}"))(error)),
                }
            }
        }
        Ok(())
    }

    /// Removes what killed processes left half written in folders of a stream. Other stores clean up for themselves.
    /// Returns how many files that were.
    ///
    /// # Errors
    /// [`Error::Store`] when a folder can't be accessed.
    pub async fn remove_leftovers(&self, stream: &StreamName) -> Result<u64, Error> {
        let mut removed = 0;
        for zone in self.zones.iter() {
            let Some(folder) = &zone.folder else { continue };
            for prefix in Prefix::all_of(stream).iter().filter(|prefix| prefix.zone() == zone.name) {
                let cleaned = folder.remove_leftovers(&zone.path(prefix.to_string().trim_end_matches('/'))).await;
                removed += cleaned.map_err(Error::store(format!("look for leftovers in {zone}")))?;
            }
        }
        Ok(removed)
    }

    /// The names of the streams that have a ledger in this lake. A folder whose name can't be a stream's is skipped.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails.
    pub async fn streams(&self) -> Result<Vec<StreamName>, Error> {
        self.streams_in(ZoneName::Checkpoints).await
    }

    /// The names of the streams that have a folder in a zone.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails.
    pub async fn streams_in(&self, name: ZoneName) -> Result<Vec<StreamName>, Error> {
        let zone = self.zone(name);
        let path = zone.path(name.as_str());
        let listed = zone.store.list_with_delimiter(Some(&path)).await;
        let listed = listed.map_err(Error::store(format!("list the streams of {zone}")))?;
        let names = listed.common_prefixes.iter().filter_map(|path| zone.key(path).rsplit('/').next()?.parse().ok());
        Ok(names.collect())
    }

    /// The store of a key's zone, for what this type does not do itself, such as multipart uploads.
    pub fn store(&self, key: &Key) -> &Arc<dyn ObjectStore> {
        &self.zone(key.zone()).store
    }

    /// Where the key is in its zone's store.
    pub fn path(&self, key: &Key) -> Path {
        self.zone(key.zone()).path(&key.to_string())
    }

    /// Where other programs find the key: a URL, or for `file://` a path.
    pub fn location(&self, key: &Key) -> String {
        let text = key.to_string();
        let zone = self.zone(key.zone());
        format!("{}{}", zone.url, &text[zone.name.as_str().len()..])
    }

    /// The key in `zone` that [`Lake::location`] gives this location; `None` for a place outside of the zone, and for
    /// what is not a key.
    pub fn key_at(&self, zone: ZoneName, location: &str) -> Option<Key> {
        let below = location.strip_prefix(self.zone(zone).url())?.strip_prefix('/')?;
        Key::parse(&format!("{zone}/{below}")).ok()
    }
}

impl Zone {
    /// The zone's URL without a trailing `/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn path(&self, logical: &str) -> Path {
        let below = &logical[self.name.as_str().len()..];
        key::to_path(format!("{}{below}", self.root).trim_start_matches('/'))
    }

    fn key(&self, path: &Path) -> String {
        let full = key::to_key(path);
        match full.strip_prefix(self.root.as_str()) {
            Some(below) if !self.root.is_empty() => format!("{}{below}", self.name),
            _ => format!("{}/{full}", self.name),
        }
    }

    fn found(&self, found: Found) -> Listed {
        match found {
            Found::Object(meta) => self.listed(meta),
            Found::Unfit(name) => Listed {
                key: format!("{}/{name}", self.name),
                etag: String::new(),
                size: 0,
                last_modified: chrono::DateTime::UNIX_EPOCH,
                is_object: false,
            },
        }
    }

    fn listed(&self, meta: ObjectMeta) -> Listed {
        Listed {
            key: self.key(&meta.location),
            // Every supported store names its versions. Without a version, an overwritten object would go unnoticed.
            etag: meta.e_tag.unwrap_or_default(),
            size: meta.size,
            last_modified: meta.last_modified,
            is_object: true,
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zone").field("name", &self.name).field("url", &self.url).finish_non_exhaustive()
    }
}

/// What is wrong, in the words of the layer that found it, without outer layers such as `Generic S3 error`.
pub fn reason(error: &object_store::Error) -> String {
    use object_store::Error::{
        AlreadyExists, Generic, NotFound, NotModified, NotSupported, PermissionDenied, Precondition, Unauthenticated,
    };
    match (s3::S3Failure::of(error), error) {
        // Whether the write happened matters to the program, not to the reader of the message.
        (Some(s3::S3Failure::UnknownOutcome { cause, .. }), _) => cause.to_string(),
        (
            _,
            Generic { source, .. }
            | NotFound { source, .. }
            | AlreadyExists { source, .. }
            | Precondition { source, .. }
            | NotModified { source, .. }
            | NotSupported { source }
            | PermissionDenied { source, .. }
            | Unauthenticated { source, .. },
        ) => source.to_string(),
        (_, other) => other.to_string(),
    }
}

/// Whether a store's error says that this one object must not be read: its permissions forbid it, or it must first be
/// restored from an archive class.
pub fn refuses_to_read(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::PermissionDenied { .. })
}

/// What to do about a store's error: correct a setting, try again, or report a bug.
pub fn kind_of(error: &object_store::Error) -> ErrorKind {
    match error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            ErrorKind::Invalid
        }
        object_store::Error::InvalidPath { .. } | object_store::Error::NotImplemented { .. } => ErrorKind::Bug,
        // Trying again would give the same answer: a missing bucket, a wrong region, no S3 at that address.
        other if s3::S3Failure::of(other).is_some_and(|failure| !failure.is_retryable()) => ErrorKind::Invalid,
        _ => ErrorKind::Retry,
    }
}
