//! Where an object's bytes come from: memory, or a store that sends them in pieces.
//!
//! Knows no format. Invariant: a reader that reaches the end without an error has read all of the planned version.

use std::{
    borrow::Cow,
    cell::RefCell,
    fmt,
    io::{self, Read},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use lake::ids::{ContentHasher, ContentId};

use crate::error::Error;

/// An object that is too large for memory.
pub trait Streamed: Send + Sync + fmt::Debug {
    /// Starts to read it at its first byte; may be called more than once.
    ///
    /// A store error is an [`io::Error`] that wraps an [`Error`]; it ends the task and is not a fault of the object.
    fn open(&self) -> Box<dyn Read + Send>;
}

/// Where an object's bytes come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// All of them, in memory.
    Whole(Bytes),
    /// A store, from the start each time.
    Streamed(Arc<dyn Streamed>),
}

/// Counts the work that was done, so that a watcher can distinguish work from a hang.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    ticks: AtomicU64,
    waits_for_store: AtomicBool,
}

impl Progress {
    /// Counts one step of work.
    pub fn tick(&self) {
        self.0.ticks.fetch_add(1, Ordering::Relaxed);
    }

    /// The steps counted so far; `None` while the worker waits for a store, which no object is to blame for.
    pub fn ticks(&self) -> Option<u64> {
        let waits = self.0.waits_for_store.load(Ordering::Relaxed);
        (!waits).then(|| self.0.ticks.load(Ordering::Relaxed))
    }

    /// Waits for a store.
    pub fn wait<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.0.waits_for_store.store(true, Ordering::Relaxed);
        let waited = wait();
        self.tick();
        self.0.waits_for_store.store(false, Ordering::Relaxed);
        waited
    }
}

impl Source {
    /// Starts to read at the first byte. What a store sends is hashed while it is read; for bytes in memory no hash is
    /// needed.
    pub(crate) fn open<'a>(&'a self, progress: &Progress) -> SourceReader<'a> {
        let (inner, hash): (Box<dyn Read + 'a>, _) = match self {
            Self::Whole(bytes) => (Box::new(bytes.as_ref()), None),
            Self::Streamed(streamed) => (streamed.open(), Some(ReadContent::default())),
        };
        SourceReader { inner, hash, progress: progress.clone() }
    }

    /// The first bytes of the object as stored, at most `bytes_max`.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn first_bytes(&self, bytes_max: u64, progress: &Progress) -> Result<Cow<'_, [u8]>, Error> {
        match self {
            Self::Whole(bytes) => {
                let length = usize::try_from(bytes_max).unwrap_or(usize::MAX).min(bytes.len());
                Ok(Cow::Borrowed(&bytes[..length]))
            }
            Self::Streamed(streamed) => {
                let mut first = Vec::new();
                let mut start = streamed.open().take(bytes_max);
                progress.wait(|| start.read_to_end(&mut first)).map_err(store_failure)?;
                Ok(Cow::Owned(first))
            }
        }
    }

    /// The object's content id, computed in a read of its own; `None` for one that a store sends and that need not be
    /// known.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn content(&self, must_know: bool, progress: &Progress) -> Result<Option<ContentId>, Error> {
        match self {
            Self::Whole(bytes) => Ok(Some(ContentId::of(bytes))),
            Self::Streamed(_) if must_know => {
                let mut reader = self.open(progress);
                io::copy(&mut reader, &mut io::sink()).map_err(store_failure)?;
                Ok(reader.hash.map(|hash| hash.id()))
            }
            Self::Streamed(_) => Ok(None),
        }
    }
}

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

/// What was read of an object so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadContent(Rc<RefCell<ContentHasher>>);

impl ReadContent {
    /// The content id, once the object was read to its end.
    pub(crate) fn id(&self) -> ContentId {
        self.0.borrow().finish()
    }
}

/// An object being read.
pub(crate) struct SourceReader<'a> {
    inner: Box<dyn Read + 'a>,
    pub(crate) hash: Option<ReadContent>,
    progress: Progress,
}

impl Read for SourceReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.progress.wait(|| self.inner.read(buffer))?;
        if let Some(hash) = &self.hash {
            hash.0.borrow_mut().update(&buffer[..read]);
        }
        Ok(read)
    }
}

/// Whether the store failed, rather than the object's content.
pub(crate) fn is_store_failure(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<Error>())
}

/// The store error inside a read error.
pub(crate) fn store_failure(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| Error::Bug(format!("reading memory failed: {error}")))
}
