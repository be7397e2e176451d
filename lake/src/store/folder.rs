//! A folder as an [`ObjectStore`].
//!
//! Knows files. Knows nothing about zones, streams or ledgers. Each operation has its own file below.
//! Invariant: every file with a UTF-8 name is an object under exactly that name, and everything else is reported; the
//! file system decides a [`PutMode::Create`], an object appears whole or not at all, and no file outside the folder is
//! ever moved or deleted.

mod error;
mod leftovers;
mod links;
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
pub(super) use links::CheckedFolder;
pub use links::OutwardLinks;
pub(super) use walk::Found;
use walk::Walk;

/// Why a path is left alone.
const LEADS_OUT: &str =
    "it is a link that leads out of the lake, or below one; set FOLLOW_LINKS=true to follow such links";

/// The files below one folder as an [`ObjectStore`]. Cheap to clone.
///
/// A location is a file's path below the folder as [`to_path`](super::s3::to_path) writes it, so every UTF-8 name can
/// be listed and read. Links are followed within the folder, and out of it only with [`OutwardLinks::Follow`]. A version is made of the file's size and its modification time in
/// nanoseconds, so a copy that keeps both is the same version. The first write creates the folder.
///
/// `object_store`'s own `LocalFileSystem` is not used: it skips names that end in `#` and digits, fails on names with
/// control characters, and its versions depend on the inode.
#[derive(Clone)]
pub struct FolderStore {
    folder: Arc<Folder>,
}

struct Folder {
    root: PathBuf,
    outward_links: OutwardLinks,
    /// What was reported as not an object, so that it is reported only once.
    told: Mutex<HashSet<PathBuf>>,
}

impl FolderStore {
    /// The store of the files below `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::with_links(root, OutwardLinks::Ignore)
    }

    /// Like [`FolderStore::new`], and says what to do with links that lead out of `root`.
    pub fn with_links(root: impl Into<PathBuf>, outward_links: OutwardLinks) -> Self {
        Self { folder: Arc::new(Folder { root: root.into(), outward_links, told: Mutex::default() }) }
    }

    /// What is done with links that lead out of the folder.
    pub(super) fn outward_links(&self) -> OutwardLinks {
        self.folder.outward_links
    }

    /// Lists like [`ObjectStore::list`], and also what exists but can't be an object.
    pub(super) fn walk(
        &self,
        prefix: Option<&Path>,
        offset: Option<&Path>,
    ) -> impl futures::Stream<Item = Result<Found>> + Send + 'static + use<> {
        walk::stream(Walk::below(&self.folder, prefix).after(offset))
    }

    /// Whether the folder exists.
    pub(super) async fn exists(&self) -> Result<bool> {
        let folder = Arc::clone(&self.folder);
        blocking(move || folder.root.try_exists().map_err(error::failed("access", &folder.root))).await
    }

    fn objects(&self, prefix: Option<&Path>, offset: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let found = self.walk(prefix, offset);
        found.try_filter_map(async |found| Ok(found.into_object())).boxed()
    }

    /// Reads one version of a file whole; without `whole`, only checks that it exists. Blocks. `checked` remembers the
    /// folder of the file before, so that many files of one folder cost one look at the links above them.
    pub(super) fn read(
        &self,
        checked: &mut CheckedFolder,
        location: &Path,
        etag: &str,
        whole: bool,
    ) -> Result<Option<bytes::Bytes>> {
        let file = self.file(location)?;
        if checked.has(&self.folder, &file)
            && let Some(opened) = read::open_unless_link(&file)?
        {
            return opened.whole(&file, etag, whole);
        }
        let file = self.file_to_read(location)?;
        read::open(&file)?.whole(&file, etag, whole)
    }

    /// Removes what killed processes left half written below `prefix`. Returns how many files that were.
    pub(super) async fn remove_leftovers(&self, prefix: &Path) -> Result<u64> {
        let below = self.file_to_remove(prefix)?;
        blocking(move || Ok(if below.is_symlink() { 0 } else { leftovers::remove(&below) })).await
    }

    /// Whether `etag` can be the version of a file.
    pub(super) fn names_version(&self, etag: &str) -> bool {
        read::is_version(etag)
    }

    /// The file that a location names, if a file can have that name.
    fn file(&self, location: &Path) -> Result<PathBuf> {
        name::to_file(&self.folder.root, location).ok_or_else(|| {
            let source = "no file can have this name".into();
            Error::NotFound { path: location.to_string(), source }
        })
    }

    /// The same, unless links out of the folder are ignored and one leads there: then no such object exists.
    fn file_to_read(&self, location: &Path) -> Result<PathBuf> {
        let file = self.file(location)?;
        if self.folder.ignores(&file) {
            return Err(Error::NotFound { path: name::shown(&file), source: LEADS_OUT.into() });
        }
        Ok(file)
    }

    /// The same for writing. A link at the very end does not matter: it is replaced and not followed.
    fn file_to_write(&self, location: &Path) -> Result<PathBuf> {
        let file = self.file(location)?;
        if file.parent().is_some_and(|parent| self.folder.ignores(parent)) {
            return Err(Error::PermissionDenied { path: name::shown(&file), source: LEADS_OUT.into() });
        }
        Ok(file)
    }

    /// The same for moving or deleting a file, which no setting allows outside the folder.
    fn file_to_remove(&self, location: &Path) -> Result<PathBuf> {
        let file = self.file(location)?;
        if file.parent().is_some_and(|parent| links::leads_out(&self.folder.root, parent)) {
            let source = "a link leads out of the lake there; nothing outside of it is deleted".into();
            return Err(Error::PermissionDenied { path: name::shown(&file), source });
        }
        Ok(file)
    }
}

impl Folder {
    /// Whether `path` is left alone because a link leads out of the folder there.
    fn ignores(&self, path: &std::path::Path) -> bool {
        self.outward_links == OutwardLinks::Ignore && links::leads_out(&self.root, path)
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

/// Runs work that waits for a disk on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

#[async_trait]
impl super::Versions for FolderStore {
    async fn delete_version(&self, location: &Path, etag: &str) -> Result<()> {
        let (file, etag) = (self.file_to_remove(location)?, etag.to_owned());
        blocking(move || write::delete_version(&file, &etag)).await
    }

    async fn copy_version(&self, location: &Path, etag: &str, to: &Path) -> Result<()> {
        let (from, to, etag) = (self.file_to_read(location)?, self.file_to_write(to)?, etag.to_owned());
        blocking(move || write::copy(&from, Some(&etag), &to, true)).await
    }
}

#[async_trait]
impl ObjectStore for FolderStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.refuse(!options.attributes.is_empty(), "attributes of an object")?;
        self.refuse(matches!(options.mode, PutMode::Update(_)), "an update of one version")?;
        let file = self.file_to_write(location)?;
        let replace = options.mode == PutMode::Overwrite;
        blocking(move || write::put(&file, &payload, replace)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.refuse(!options.attributes.is_empty(), "attributes of an object")?;
        let file = self.file_to_write(location)?;
        Ok(Box::new(blocking(move || write::Upload::start(file)).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (file, location) = (self.file_to_read(location)?, location.clone());
        blocking(move || read::get(&file, location, &options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .and_then(move |location| {
                let file = store.file_to_remove(&location);
                blocking(move || write::delete(&file?).map(|()| location))
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects(prefix, None)
    }

    /// Lists what sorts after the name of `offset`, comparing names as bytes.
    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let walk = Walk::below(&self.folder, prefix);
        blocking(move || walk.one_level()).await
    }

    /// Copies the bytes: a hard link would change together with the original.
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (from, to) = (self.file_to_read(from)?, self.file_to_write(to)?);
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
