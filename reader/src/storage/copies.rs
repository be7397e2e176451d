//! Copies of committed files on this machine, for files that DuckDB can't read where they are.
//!
//! A committed file never changes, so a copy of the right size is kept for good. Invariant: a copy shows up under its
//! name complete or not at all.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use lake::{Error, ids::sha256_hex, ledger::OutputFile, store::Lake};

use crate::error;

/// Tells copies apart that are being written at the same time.
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

    /// The folder of all copies, of all lakes.
    pub(super) fn root() -> PathBuf {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        cache.unwrap_or_else(std::env::temp_dir).join("sluice").join("files")
    }

    /// The path of a copy of `file`, which is at `location`; made if there is none.
    ///
    /// # Errors
    /// [`Error::Store`] when it can't be read; [`Error::Damaged`] when it is not there or has another size.
    pub(super) async fn path(&self, location: &str, file: &OutputFile) -> Result<String, error::Error> {
        // The checksum tells two lakes apart that stood at one place one after the other.
        let name = format!("{}.parquet", sha256_hex(format!("{location} {}", file.sha256).as_bytes()));
        let path = Self::root().join(name);
        if !std::fs::metadata(&path).is_ok_and(|found| found.len() == file.size) {
            let bytes = self.lake.read(&file.key).await?;
            let bytes = bytes.ok_or_else(|| Error::damaged(&file.key, "is missing, though a commit names it"))?;
            if bytes.len() as u64 != file.size || sha256_hex(&bytes) != file.sha256 {
                return Err(Error::damaged(&file.key, "is not the file that a commit names; restore it").into());
            }
            store(&path, &bytes)?;
        }
        Ok(path.display().to_string())
    }
}

fn store(path: &Path, bytes: &[u8]) -> Result<(), error::Error> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let partial = path.with_extension(format!("{}-{number}.partial", std::process::id()));
    let stored = std::fs::create_dir_all(Copies::root())
        .and_then(|()| std::fs::write(&partial, bytes))
        .and_then(|()| std::fs::rename(&partial, path));
    stored.map_err(|source| error::Error::Copy { path: path.display().to_string(), source })
}
