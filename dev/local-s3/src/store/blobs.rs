//! Immutable files with the bytes of objects and parts.
//!
//! Knows files and ids. Knows nothing about buckets, keys or the index.
//! Invariant: a finished blob is never written to again, and a blob that no index record adopted is unlinked: by its
//! [`PendingBlob`] or, after a crash, by [`BlobStore::sweep`].

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Names a blob. Random, so that no name is used twice; stored in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BlobId(Uuid);

/// The folder of blobs, `blobs/ab/<id>` under the root.
#[derive(Debug)]
pub(crate) struct BlobStore {
    folder: PathBuf,
    fsync: bool,
}

/// A blob being written.
#[derive(Debug)]
pub(crate) struct BlobWriter {
    file: File,
    pending: PendingBlob,
}

/// A complete blob that nothing refers to yet: dropping it unlinks it.
#[derive(Debug)]
pub(crate) struct PendingBlob {
    id: BlobId,
    store: Arc<BlobStore>,
    adopted: bool,
}

impl BlobStore {
    /// Opens the folder. Creates it and its 256 subfolders, so that no write has to.
    pub(crate) fn open(folder: PathBuf, fsync: bool) -> io::Result<Self> {
        for shard in 0..=u8::MAX {
            fs::create_dir_all(folder.join(format!("{shard:02x}")))?;
        }
        Ok(Self { folder, fsync })
    }

    fn path(&self, id: BlobId) -> PathBuf {
        let name = id.0.simple().to_string();
        self.folder.join(&name[..2]).join(name)
    }

    /// Starts a blob under a new id.
    pub(crate) fn create(self: &Arc<Self>) -> io::Result<BlobWriter> {
        let pending = self.reserve();
        let file = OpenOptions::new().write(true).create_new(true).open(self.path(pending.id))?;
        Ok(BlobWriter { file, pending })
    }

    /// A second blob with the bytes of `source`, sharing its storage where the file system can.
    pub(crate) fn duplicate(self: &Arc<Self>, source: BlobId) -> io::Result<PendingBlob> {
        let pending = self.reserve();
        let (from, to) = (self.path(source), self.path(pending.id));
        match fs::hard_link(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
            Err(_) => fs::copy(&from, &to).map(drop)?,
            Ok(()) => {}
        }
        self.sync(&File::open(&to)?, pending.id)?;
        Ok(pending)
    }

    /// A new blob with the bytes of `parts`, one after the other.
    pub(crate) fn join(self: &Arc<Self>, parts: &[BlobId]) -> io::Result<PendingBlob> {
        let mut writer = self.create()?;
        for part in parts {
            // Between files, this copies within the kernel where possible.
            io::copy(&mut self.read(*part)?, &mut writer.file)?;
        }
        writer.finish()
    }

    /// Opens a blob for reading; an open blob stays readable after it is unlinked.
    pub(crate) fn read(&self, id: BlobId) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// Unlinks a blob that nothing refers to any more.
    ///
    /// A failure only costs disk space until the next start, so it is logged and not returned.
    pub(crate) fn unlink(&self, id: BlobId) {
        if let Err(error) = fs::remove_file(self.path(id))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(blob = %id.0, %error, "cannot unlink a blob; the next start sweeps it");
        }
    }

    /// Unlinks every blob that is not in `referenced`: those that a crash left between writing a blob and adopting it,
    /// or between releasing one and unlinking it. Returns how many.
    ///
    /// Only safe while nothing writes.
    pub(crate) fn sweep(&self, referenced: &HashSet<BlobId>) -> io::Result<u64> {
        let mut swept = 0;
        for shard in fs::read_dir(&self.folder)? {
            for file in fs::read_dir(shard?.path())? {
                let file = file?;
                let id = file.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok());
                if id.is_none_or(|id| !referenced.contains(&BlobId(id))) {
                    fs::remove_file(file.path())?;
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }

    /// Whether there is any blob.
    pub(crate) fn has_any(&self) -> io::Result<bool> {
        for shard in fs::read_dir(&self.folder)? {
            if fs::read_dir(shard?.path())?.next().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn reserve(self: &Arc<Self>) -> PendingBlob {
        PendingBlob { id: BlobId(Uuid::new_v4()), store: Arc::clone(self), adopted: false }
    }

    fn sync(&self, file: &File, id: BlobId) -> io::Result<()> {
        if self.fsync {
            file.sync_all()?;
            sync_folder(&self.path(id))?;
        }
        Ok(())
    }
}

/// Makes the name of a new file durable; a file's own sync does not.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

impl BlobWriter {
    /// Appends `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Finishes the blob; with `fsync`, it is on disk when this returns.
    pub(crate) fn finish(self) -> io::Result<PendingBlob> {
        self.pending.store.sync(&self.file, self.pending.id)?;
        Ok(self.pending)
    }
}

impl PendingBlob {
    pub(crate) fn id(&self) -> BlobId {
        self.id
    }

    /// Keeps the blob: a committed index record refers to it now.
    pub(crate) fn adopt(mut self) {
        self.adopted = true;
    }
}

impl Drop for PendingBlob {
    fn drop(&mut self) {
        if !self.adopted {
            self.store.unlink(self.id);
        }
    }
}

/// Reads at most `length_max` bytes of `range` from `file`, and moves the range's start past them.
pub(crate) fn read_chunk(file: &mut File, range: &mut Range<u64>, length_max: u64) -> io::Result<Vec<u8>> {
    let length = (range.end - range.start).min(length_max);
    file.seek(SeekFrom::Start(range.start))?;
    let mut chunk = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(length).read_to_end(&mut chunk)?;
    if chunk.len() as u64 != length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a blob is shorter than its record says"));
    }
    range.start += length;
    Ok(chunk)
}
