//! Writes files so that each appears whole or not at all.
//!
//! Knows how a file gets its name. Invariant: bytes are written under a name that no listing shows, in the object's own
//! folder, and get the final name in one step of the file system, which also decides who wins a free name.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use futures::FutureExt;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use tempfile::{NamedTempFile, TempPath};

use super::{
    blocking,
    error::{FolderFailure, failed},
    name::{Staged, shown},
    read::{check_version, version},
};

pub(super) fn put(file: &Path, payload: &PutPayload, replace: bool) -> Result<PutResult> {
    let mut staged = stage(file, Staged::Partial)?;
    payload.iter().try_for_each(|bytes| staged.write_all(bytes)).map_err(failed("write", file))?;
    let (written, path) = staged.into_parts();
    publish(path, &written, file, replace)
}

/// Copies a file; with `etag`, only that version.
pub(super) fn copy(from: &Path, etag: Option<&str>, to: &Path, replace: bool) -> Result<()> {
    let mut source = File::open(from).map_err(failed("open", from))?;
    let mut staged = stage(to, Staged::Partial)?;
    io::copy(&mut source, &mut staged).map_err(failed("write", to))?;
    if let Some(etag) = etag {
        // Checked after reading, because the file may be written in place.
        check_version(from, &source.metadata().map_err(failed("access", from))?, etag)?;
    }
    let (written, path) = staged.into_parts();
    publish(path, &written, to, replace).map(drop)
}

pub(super) fn delete(file: &Path) -> Result<()> {
    std::fs::remove_file(file).map_err(failed("delete", file))
}

/// Deletes the file if it is the version that `etag` names. No file system has a conditional delete, so the file is
/// moved aside and checked there. If it was overwritten at that moment, it is put back, unless yet another file has
/// taken its place. A process that dies in between leaves it in the same folder under a staging name.
pub(super) fn delete_version(file: &Path, etag: &str) -> Result<()> {
    check_version(file, &file.metadata().map_err(failed("access", file))?, etag)?;
    let (_, aside) = stage(file, Staged::Aside)?.into_parts();
    std::fs::rename(file, &aside).map_err(failed("move aside", file))?;
    let found = aside.metadata().map_err(failed("access", file))?;
    let Err(changed) = check_version(file, &found, etag) else {
        return aside.close().map_err(failed("delete", file));
    };
    match aside.persist_noclobber(file) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(failed("put back", file)(error.error)),
        _ => Err(changed),
    }
}

/// A new file in the folder of its target, because a rename can't cross file systems. Creates missing folders.
///
/// It is locked while it is open, so that another process can see that its writer lives: see [`super::leftovers`].
fn stage(file: &Path, staged: Staged) -> Result<NamedTempFile> {
    let folder = file.parent().unwrap_or(file);
    let mut staging = tempfile::Builder::new();
    let (prefix, suffix) = staged.affixes();
    staging.prefix(prefix).suffix(suffix).rand_bytes(16);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Like any new file: the umask decides who may read it.
        staging.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let created = match staging.tempfile_in(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(folder).map_err(failed("create the folder", folder))?;
            staging.tempfile_in(folder).map_err(failed("create", file))?
        }
        created => created.map_err(failed("create", file))?,
    };
    if let Err(error) = created.as_file().try_lock() {
        // The file is as good without: it is also too new to be taken for a leftover.
        tracing::debug!("no lock for {}: {error}", shown(created.path()));
    }
    Ok(created)
}

fn publish(staged: TempPath, written: &File, file: &Path, replace: bool) -> Result<PutResult> {
    let found = written.metadata().map_err(failed("access", file))?;
    let named = if replace { staged.persist(file) } else { staged.persist_noclobber(file) };
    named.map_err(|error| failed("create", file)(error.error))?;
    Ok(PutResult { e_tag: Some(version(&found)), version: None })
}

/// An upload in parts, each written at its own offset in the staged file.
#[derive(Debug)]
pub(super) struct Upload {
    file: PathBuf,
    written: Arc<Mutex<File>>,
    /// `None` once it is completed or aborted. Dropping it deletes the staged file.
    staged: Option<TempPath>,
    bytes: u64,
}

impl Upload {
    pub(super) fn start(file: PathBuf) -> Result<Self> {
        let (written, staged) = stage(&file, Staged::Partial)?.into_parts();
        Ok(Self { file, written: Arc::new(Mutex::new(written)), staged: Some(staged), bytes: 0 })
    }

    fn take(&mut self) -> Result<TempPath> {
        let over = || -> Error {
            let detail = "the upload was already completed or aborted".to_owned();
            FolderFailure::Other { doing: "write", path: shown(&self.file), detail }.into()
        };
        self.staged.take().ok_or_else(over)
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let offset = self.bytes;
        self.bytes += payload.content_length() as u64;
        let (written, file) = (Arc::clone(&self.written), self.file.clone());
        blocking(move || {
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            written.seek(SeekFrom::Start(offset)).map_err(failed("write", &file))?;
            payload.iter().try_for_each(|bytes| written.write_all(bytes)).map_err(failed("write", &file))
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (staged, written, file) = (self.take()?, Arc::clone(&self.written), self.file.clone());
        blocking(move || {
            let written = written.lock().unwrap_or_else(PoisonError::into_inner);
            publish(staged, &written, &file, true)
        })
        .await
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.take()?;
        blocking(move || {
            let path = staged.to_path_buf();
            staged.close().map_err(failed("delete", &path))
        })
        .await
    }
}
