//! A folder as an [`ObjectStore`].
//!
//! Knows files. Knows nothing of zones, streams or ledgers. Each operation has a file of its own below.
//! Invariant: every file whose name is text is an object under that very name, and whatever else stands there is told;
//! [`PutMode::Create`] is decided by the file system, and an object shows up whole.

mod error;
mod name;
mod read;
mod walk;
mod write;

use std::{
    collections::HashSet,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};

pub use error::FolderFailure;
pub(super) use walk::Found;
use walk::Walk;

/// The files below one folder as an [`ObjectStore`]. Cheap to clone.
///
/// A location is a file's path below the folder as [`to_path`](super::s3::to_path) writes it, so every name that is
/// UTF-8 can be listed and read, and links are followed. Its version follows from its size and its time of change in
/// nanoseconds, so a copy that keeps both is the same version. The folder is created by the first write.
///
/// `object_store`'s own `LocalFileSystem` is not used: it passes over names that end in `#` and digits, fails on names
/// with control characters, and tells versions by inode.
#[derive(Clone)]
pub struct FolderStore {
    folder: Arc<Folder>,
}

struct Folder {
    root: PathBuf,
    /// What was told to be no object, so that it is told once.
    told: Mutex<HashSet<PathBuf>>,
}

impl FolderStore {
    /// The store of the files below `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { folder: Arc::new(Folder { root: root.into(), told: Mutex::default() }) }
    }

    /// Lists as [`ObjectStore::list`] does, and what is there and can't be an object, too.
    pub(super) fn walk(
        &self,
        prefix: Option<&Path>,
        offset: Option<&Path>,
    ) -> impl futures::Stream<Item = Result<Found>> + Send + 'static + use<> {
        walk::stream(Walk::below(&self.folder, prefix).after(offset))
    }

    /// Whether the folder is there.
    pub(super) async fn exists(&self) -> Result<bool> {
        let folder = Arc::clone(&self.folder);
        blocking(move || folder.root.try_exists().map_err(error::failed("look at", &folder.root))).await
    }

    fn objects(&self, prefix: Option<&Path>, offset: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let found = self.walk(prefix, offset);
        found.try_filter_map(async |found| Ok(found.into_object())).boxed()
    }

    /// Reads one version of a file whole, or without `whole` only looks whether it is there. Blocks.
    pub(super) fn read(&self, location: &Path, etag: &str, whole: bool) -> Result<Option<bytes::Bytes>> {
        read::whole(&self.file(location)?, etag, whole)
    }

    /// Whether a version can be of a file here.
    pub(super) fn names_version(&self, etag: &str) -> bool {
        read::is_version(etag)
    }

    /// The file that a location names, where one can have that name.
    fn file(&self, location: &Path) -> Result<PathBuf> {
        name::to_file(&self.folder.root, location).ok_or_else(|| {
            let source = "no file can have this name".into();
            Error::NotFound { path: location.to_string(), source }
        })
    }
}

impl fmt::Display for FolderStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file://{}", name::shown(&self.folder.root))
    }
}

impl fmt::Debug for FolderStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderStore").field("root", &self.folder.root).finish_non_exhaustive()
    }
}

/// Runs what waits for a disk where it may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

#[async_trait]
impl super::Versions for FolderStore {
    async fn delete_version(&self, location: &Path, etag: &str) -> Result<()> {
        let (file, etag) = (self.file(location)?, etag.to_owned());
        blocking(move || write::delete_version(&file, &etag)).await
    }

    async fn copy_version(&self, location: &Path, etag: &str, to: &Path) -> Result<()> {
        let (from, to, etag) = (self.file(location)?, self.file(to)?, etag.to_owned());
        blocking(move || write::copy(&from, Some(&etag), &to, true)).await
    }
}

#[async_trait]
impl ObjectStore for FolderStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.refuse(!options.attributes.is_empty(), "attributes of an object")?;
        self.refuse(matches!(options.mode, PutMode::Update(_)), "an update of one version")?;
        let file = self.file(location)?;
        let replace = options.mode == PutMode::Overwrite;
        blocking(move || write::put(&file, &payload, replace)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.refuse(!options.attributes.is_empty(), "attributes of an object")?;
        let file = self.file(location)?;
        Ok(Box::new(blocking(move || write::Upload::start(file)).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (file, location) = (self.file(location)?, location.clone());
        blocking(move || read::get(&file, location, &options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .and_then(move |location| {
                let file = store.file(&location);
                blocking(move || write::delete(&file?).map(|()| location))
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects(prefix, None)
    }

    /// Lists what sorts after `offset`'s own name, in the order of the names' bytes.
    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let walk = Walk::below(&self.folder, prefix);
        blocking(move || walk.one_level()).await
    }

    /// Copies the bytes: a second name of the same file would change together with the first.
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (from, to) = (self.file(from)?, self.file(to)?);
        blocking(move || write::copy(&from, None, &to, options.mode == CopyMode::Overwrite)).await
    }
}

impl FolderStore {
    fn refuse(&self, asked: bool, what: &str) -> Result<()> {
        if !asked {
            return Ok(());
        }
        Err(Error::NotImplemented { operation: what.to_owned(), implementer: self.to_string() })
    }
}
