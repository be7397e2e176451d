//! Where an object's bytes come from: memory, or a store that sends them piece by piece.
//!
//! Knows no format. Invariant: whoever reads to the end without an error has read all of the planned version.

use std::{
    cell::RefCell,
    fmt,
    io::{self, Read},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use lake::ids::{ContentHasher, ContentId};

use crate::error::Error;

/// An object that is too large to be held in memory.
pub trait Streamed: Send + Sync + fmt::Debug {
    /// Begins to read it at its first byte; may be called more than once.
    ///
    /// An error of the store is an [`io::Error`] that wraps an [`Error`], which ends the task and is no fault of the object.
    fn open(&self) -> Box<dyn Read + Send>;
}

/// Where an object's bytes come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// All of them, in memory.
    Whole(Bytes),
    /// A store, each time anew.
    Streamed(Arc<dyn Streamed>),
}

/// Counts what is done, so that one who looks now and then can tell work from a hang.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Something was done.
    pub fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How much was done so far.
    pub fn ticks(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Source {
    /// Begins to read at the first byte. What a store sends is hashed on the way; what is in memory can be without.
    pub(crate) fn open<'a>(&'a self, progress: &Progress) -> SourceReader<'a> {
        let (inner, hash): (Box<dyn Read + 'a>, _) = match self {
            Self::Whole(bytes) => (Box::new(bytes.as_ref()), None),
            Self::Streamed(streamed) => (streamed.open(), Some(ReadContent::default())),
        };
        SourceReader { inner, hash, progress: progress.clone() }
    }

    /// What the object holds, read for that alone; `None` for one that a store sends and that need not be known.
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
    /// What the object holds, once it was read to its end.
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
        self.progress.tick();
        let read = self.inner.read(buffer)?;
        if let Some(hash) = &self.hash {
            hash.0.borrow_mut().update(&buffer[..read]);
        }
        Ok(read)
    }
}

/// Whether it was the store that failed, rather than what the object holds.
pub(crate) fn is_store_failure(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<Error>())
}

/// The store's failure within an error of reading.
pub(crate) fn store_failure(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| Error::Bug(format!("reading memory failed: {error}")))
}
