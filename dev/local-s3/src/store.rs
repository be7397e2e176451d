//! Objects that survive a crash: an ordered index over immutable blobs.
//!
//! Knows records, blobs and how they stay consistent. Knows nothing about HTTP or S3's inputs and outputs, but uses
//! S3's error codes.
//! Invariant: every record refers to a complete blob, and an object exists if and only if the index says so.

pub(crate) mod backend;
pub(crate) mod blobs;
pub(crate) mod committer;
pub(crate) mod listing;
pub(crate) mod records;
pub(crate) mod tables;

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use redb::{Database, ReadableDatabase, ReadableTable};
use s3s::{S3Error, S3Result, s3_error};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use self::backend::IndexFile;
use self::blobs::{BlobId, BlobStore};
use self::committer::{Applied, Committer};
use self::listing::{Page, PageQuery, read_page};
use self::records::{FORMAT, META, ObjectRecord, PartRecord};
use self::tables::{ReadTables, WriteTables, open_for_reading, open_for_writing};
use crate::Error;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// The contents of one root directory. Fields are dropped in order: the lock last, after the index is closed.
pub(crate) struct Store {
    committer: Committer,
    database: Arc<Database>,
    blobs: Arc<BlobStore>,
    entries_visited: AtomicU64,
    _lock: File,
    /// Dropped with the store, which signals to a shutdown that the root can be opened again.
    _closed: oneshot::Sender<()>,
}

impl Store {
    /// Opens the store under `root`. Creates it if it does not exist, and sweeps what a crash left.
    ///
    /// The receiver resolves once the store is closed.
    ///
    /// # Errors
    /// [`Error::RootInUse`], [`Error::Root`] or [`Error::Index`].
    pub(crate) fn open(root: &Path, fsync: bool) -> Result<(Self, oneshot::Receiver<()>), Error> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Root { path, source }
        };
        std::fs::create_dir_all(root).map_err(at(root))?;
        let lock = lock(root)?;
        let folder = root.join("blobs");
        let blobs = Arc::new(BlobStore::open(folder.clone(), fsync).map_err(at(&folder))?);
        let index = root.join("index.redb");
        let (database, referenced) = open_index(&index, &blobs, fsync)?;
        let swept = blobs.sweep(&referenced).map_err(at(&folder))?;
        if swept > 0 {
            tracing::info!(swept, "unlinked blobs that interrupted writes left");
        }
        let database = Arc::new(database);
        let committer = Committer::start(Arc::clone(&database), Arc::clone(&blobs)).map_err(at(root))?;
        let (closed, when_closed) = oneshot::channel();
        let store =
            Self { committer, database, blobs, entries_visited: AtomicU64::new(0), _lock: lock, _closed: closed };
        Ok((store, when_closed))
    }

    pub(crate) fn blobs(&self) -> &Arc<BlobStore> {
        &self.blobs
    }

    /// How many index entries listings have read since the store was opened.
    pub(crate) fn entries_visited(&self) -> u64 {
        self.entries_visited.load(Ordering::Relaxed)
    }

    /// Applies one change; see [`Committer::change`].
    pub(crate) async fn change<T, F>(&self, change: F) -> S3Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTables<'_>) -> S3Result<Applied<T>> + Send + 'static,
    {
        self.committer.change(change).await
    }

    /// Runs `read` on a thread that may block, over one consistent state of the index.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, read: F) -> S3Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&ReadTables) -> S3Result<T> + Send + 'static,
    {
        let store = Arc::clone(self);
        blocking(move || read(&store.read_tables()?)).await
    }

    /// One page of a listing, counted in [`Store::entries_visited`].
    pub(crate) async fn page(self: &Arc<Self>, query: PageQuery) -> S3Result<Page> {
        let store = Arc::clone(self);
        blocking(move || {
            let tables = store.read_tables()?;
            tables.bucket(&query.bucket)?;
            let page = read_page(&tables.objects, &query)?;
            store.entries_visited.fetch_add(page.visited, Ordering::Relaxed);
            Ok(page)
        })
        .await
    }

    /// An object's record and what `open` returns for its blob. Both are of the same version, even if the object is
    /// overwritten in the meantime.
    ///
    /// Blocks.
    pub(crate) fn with_blob<T>(
        &self,
        (bucket, key): (&str, &str),
        open: impl Fn(&Arc<BlobStore>, BlobId) -> std::io::Result<T>,
    ) -> S3Result<(ObjectRecord, T)> {
        let mut missing = None;
        loop {
            let record = self.read_tables()?.object(bucket, key)?;
            match open(&self.blobs, record.blob) {
                Ok(opened) => return Ok((record, opened)),
                // Overwritten between the two steps, so its blob is gone: try again. If the same blob is missing
                // twice, it is not a race.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && missing != Some(record.blob) => {
                    missing = Some(record.blob);
                }
                Err(error) => return Err(internal("opening a blob")(error)),
            }
        }
    }

    fn read_tables(&self) -> S3Result<ReadTables> {
        let transaction = self.database.begin_read().map_err(internal("reading the index"))?;
        open_for_reading(&transaction).map_err(internal("reading the index"))
    }
}

/// Locks the root for this process until the file is closed; a crash closes it too.
fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join("lock");
    let failed = |source| Error::Root { path: path.clone(), source };
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::RootInUse { root: root.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Opens the index and finds the blobs it refers to. A damaged index is refused before anything is swept by it.
fn open_index(path: &Path, blobs: &BlobStore, fsync: bool) -> Result<(Database, HashSet<BlobId>), Error> {
    let index = |source: AnyError| Error::Index { path: PathBuf::from(path), source };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|source| Error::Root { path: path.to_owned(), source })?;
    let opened = || -> Result<_, AnyError> {
        if file.metadata()?.len() == 0 && blobs.has_any()? {
            return Err("it is missing or empty, though blobs/ next to it has the bytes of objects".into());
        }
        let mut database = Database::builder().create_with_backend(IndexFile::new(file, fsync)?)?;
        // A damaged page would otherwise be noticed when it is read, or never.
        if !database.check_integrity()? {
            return Err("its checksums do not match what it contains".into());
        }
        check_format(&database)?;
        let referenced = referenced_blobs(&database)?;
        Ok((database, referenced))
    };
    // On some damage, redb panics.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(opened)) {
        Ok(opened) => opened.map_err(index),
        Err(_) => Err(index("redb panicked while it read it".into())),
    }
}

/// Creates the tables of a new index, and refuses an index of another format.
fn check_format(database: &Database) -> Result<(), AnyError> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        let found = meta.get("format")?.map(|format| format.value());
        match found {
            None => drop(meta.insert("format", FORMAT)?),
            Some(FORMAT) => {}
            Some(other) => return Err(format!("its format is {other}; this version reads {FORMAT}").into()),
        }
        open_for_writing(&transaction)?;
    }
    transaction.commit()?;
    Ok(())
}

fn referenced_blobs(database: &Database) -> Result<HashSet<BlobId>, AnyError> {
    let tables = open_for_reading(&database.begin_read()?)?;
    let mut referenced = HashSet::new();
    for entry in tables.objects.iter()? {
        referenced.insert(read_record::<ObjectRecord>(entry?.1.value())?.blob);
    }
    for entry in tables.parts.iter()? {
        referenced.insert(read_record::<PartRecord>(entry?.1.value())?.blob);
    }
    Ok(referenced)
}

fn read_record<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, AnyError> {
    serde_json::from_slice(bytes).map_err(|error| format!("one of its records can't be read: {error}").into())
}

/// Runs `work` on a thread that may block.
pub(crate) async fn blocking<T, F>(work: F) -> S3Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> S3Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(internal("waiting for a blocking task")(error)),
    }
}

/// Turns a failure of the server into S3's `InternalError`, and logs the cause.
pub(crate) fn internal<E: std::error::Error>(doing: &'static str) -> impl Fn(E) -> S3Error {
    move |error| {
        tracing::error!(%error, "failed while {doing}");
        s3_error!(InternalError, "failed while {doing}: see the server's log")
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
