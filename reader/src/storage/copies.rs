//! Local copies of committed files that DuckDB can't read in place.
//!
//! A committed file never changes, so a copy of the right size stays valid. Invariant: a copy appears under its name
//! complete or not at all.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

#[cfg(doc)]
use lake::Error;
use lake::{ids::sha256_hex, ledger::OutputFile, store::Lake};

use crate::error;

/// Gives copies that are being written at the same time different names.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The copies of one lake's files.
#[derive(Debug)]
pub(super) struct Copies {
    lake: Lake,
}

impl Copies {
    pub(super) fn new(lake: Lake) -> Self {
        Self { lake }
    }

    /// The folder with the copies of all lakes.
    pub(super) fn root() -> PathBuf {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        cache.unwrap_or_else(std::env::temp_dir).join("sluice").join("files")
    }

    /// The path of the copy of `file`, which is at `location`. The copy may not exist yet.
    pub(super) fn path(&self, location: &str, file: &OutputFile) -> PathBuf {
        // Two lakes may have used the same place one after the other: the checksum keeps their files apart.
        let name = format!("{}.parquet", sha256_hex(format!("{location} {}", file.sha256).as_bytes()));
        Self::root().join(name)
    }

    /// Makes the copy if it is missing. Returns what is wrong with the committed file if it can't be copied.
    ///
    /// # Errors
    /// [`Error::Store`] when the file can't be read; [`error::Error::Copy`] when the copy can't be written.
    pub(super) async fn make(&self, path: &Path, file: &OutputFile) -> Result<Option<String>, error::Error> {
        if std::fs::metadata(path).is_ok_and(|found| found.len() == file.size) {
            return Ok(None);
        }
        let Some(bytes) = self.lake.read(&file.key).await? else { return Ok(Some(missing(file))) };
        match fault(&bytes, file) {
            Some(fault) => Ok(Some(fault)),
            None => store(path, &bytes).map(|()| None),
        }
    }

    /// Removes the copy if its bytes are wrong. Returns whether it must be made again.
    ///
    /// # Errors
    /// [`error::Error::Copy`] when it can't be removed.
    pub(super) fn correct(&self, location: &str, file: &OutputFile) -> Result<bool, error::Error> {
        let path = self.path(location, file);
        match std::fs::read(&path) {
            Ok(bytes) if fault(&bytes, file).is_some() => std::fs::remove_file(&path)
                .map(|()| true)
                .map_err(|source| error::Error::Copy { path: path.display().to_string(), source }),
            _ => Ok(false),
        }
    }
}

/// What is wrong with the bytes of a committed file.
pub(super) fn fault(bytes: &[u8], file: &OutputFile) -> Option<String> {
    let is_right = bytes.len() as u64 == file.size && sha256_hex(bytes) == file.sha256;
    (!is_right).then(|| format!("{} is not the file that its commit names; restore it", file.key))
}

/// The message for a missing committed file.
pub(super) fn missing(file: &OutputFile) -> String {
    format!("{} is missing, though a commit names it; restore it", file.key)
}

fn store(path: &Path, bytes: &[u8]) -> Result<(), error::Error> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let partial = path.with_extension(format!("{}-{number}.partial", std::process::id()));
    let stored = std::fs::create_dir_all(Copies::root())
        .and_then(|()| std::fs::write(&partial, bytes))
        .and_then(|()| std::fs::rename(&partial, path));
    stored.map_err(|source| error::Error::Copy { path: path.display().to_string(), source })
}
