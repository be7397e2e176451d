//! The file under the index.
//!
//! Knows only that redb syncs after every commit.
//! Invariant: without `fsync`, no sync runs. A killed process loses nothing by that, since the kernel already has the
//! bytes in order; only a power cut or a kernel crash can lose data.

use std::fmt;
use std::fs::File;
use std::io;

use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend};

/// A file whose syncs are optional. The store's own lock file does the locking, so that we word the error.
pub(crate) struct IndexFile {
    file: FileBackend,
    fsync: bool,
}

impl IndexFile {
    pub(crate) fn new(file: File, fsync: bool) -> Result<Self, DatabaseError> {
        Ok(Self { file: FileBackend::new(file)?, fsync })
    }
}

impl fmt::Debug for IndexFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexFile").field("fsync", &self.fsync).finish_non_exhaustive()
    }
}

impl StorageBackend for IndexFile {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        if self.fsync { self.file.sync_data() } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }
}
