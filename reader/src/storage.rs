//! Where DuckDB reads a committed file from: the file itself, `s3://` through httpfs, or a copy on this machine.
//!
//! Knows places and credentials. Knows nothing about streams or columns. Invariant: httpfs comes from a pinned file or
//! not at all; DuckDB never fetches an extension by itself.

mod copies;
mod httpfs;

use duckdb::Connection;
use lake::{
    keys::ZoneName,
    ledger::OutputFile,
    settings::{LakeUrls, StoreUrl},
    store::Lake,
};

use crate::{error::Error, ledger_tables::PlacedFile};
use copies::Copies;
use httpfs::Httpfs;

/// Turns the files of commits into paths that DuckDB can read.
#[derive(Debug)]
pub struct Storage {
    lake: Lake,
    urls: LakeUrls,
    httpfs: Option<Httpfs>,
    /// How often the lake's credentials had been replaced when httpfs got them.
    renewals: u64,
    copies: Copies,
}

impl Storage {
    /// Prepares `connection` to read the zones that the settings name.
    ///
    /// # Errors
    /// [`Error::Lake`] without S3 credentials; [`Error::Bug`] when DuckDB rejects its setup.
    pub async fn open(connection: &Connection, lake: Lake, urls: LakeUrls) -> Result<Self, Error> {
        let on_s3 = |zone| matches!(urls.zone(zone).1, StoreUrl::S3 { .. });
        let needed = on_s3(ZoneName::Bronze) || on_s3(ZoneName::DeadLetters);
        let httpfs = if needed { Httpfs::load(connection).await? } else { None };
        if needed && httpfs.is_none() {
            let folder = Copies::root();
            program::output::note(format_args!(
                "httpfs not found (scripts/fetch-duckdb.sh fetches it): committed files are copied to {}",
                folder.display()
            ));
        }
        let copies = Copies::new(lake.clone());
        Ok(Self { renewals: lake.credential_renewals(), lake, urls, httpfs, copies })
    }

    /// Renews credentials that expire soon or that S3 has refused, so that the next statement can read.
    ///
    /// # Errors
    /// As [`Storage::open`].
    pub async fn renew(&mut self, connection: &Connection) -> Result<(), Error> {
        let renewals = self.lake.credential_renewals();
        if let Some(httpfs) = &mut self.httpfs {
            httpfs.renew(connection, renewals > self.renewals).await?;
        }
        self.renewals = renewals;
        Ok(())
    }

    /// Where a file is, where DuckDB reads it, and what is wrong with it. A file that DuckDB can't read in place is
    /// copied to this machine first.
    ///
    /// # Errors
    /// [`Error::Lake`]: the store failed.
    pub async fn place<'a>(&self, file: &'a OutputFile) -> Result<PlacedFile<'a>, Error> {
        let location = self.lake.location(&file.key);
        let (path, fault) = match self.urls.zone(file.key.zone()).1 {
            StoreUrl::File { .. } => {
                let path = location.strip_prefix("file://").unwrap_or(&location).to_owned();
                let fault = fault_on_disk(&path, file);
                (path, fault)
            }
            // httpfs notices a missing file when it reads.
            StoreUrl::S3 { .. } if self.httpfs.is_some() && is_plain(&location) => (location.clone(), None),
            StoreUrl::S3 { .. } | StoreUrl::Memory { .. } => {
                let path = self.copies.path(&location, file);
                let fault = self.copies.make(&path, file).await?;
                (path.display().to_string(), fault)
            }
        };
        Ok(PlacedFile { file, location, path, fault })
    }

    /// Reads a committed file whole, unless its version is still `before`. Returns its version, or what is wrong with
    /// its bytes. A wrong copy on this machine is made again.
    ///
    /// # Errors
    /// As [`Storage::place`].
    pub async fn verify(&self, file: &OutputFile, before: Option<&str>) -> Result<Result<String, String>, Error> {
        let Some(found) = self.lake.head(&file.key).await? else { return Ok(Err(copies::missing(file))) };
        if before != Some(&found.etag) {
            let Some(bytes) = self.lake.read(&file.key).await? else { return Ok(Err(copies::missing(file))) };
            if let Some(fault) = copies::fault(&bytes, file) {
                return Ok(Err(fault));
            }
            if self.copies.correct(&self.lake.location(&file.key), file)? {
                self.place(file).await?;
            }
        }
        Ok(Ok(found.etag))
    }
}

/// What is wrong with a file on disk, judged by its size.
fn fault_on_disk(path: &str, file: &OutputFile) -> Option<String> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() == file.size => None,
        Ok(found) => {
            let (key, is, said) = (&file.key, found.len(), file.size);
            Some(format!("{key} has {is} bytes, but its commit says {said}; restore it"))
        }
        Err(_) => Some(copies::missing(file)),
    }
}

/// Whether httpfs takes a URL literally: it reads `*`, `?` and `[` as patterns or parameters.
fn is_plain(location: &str) -> bool {
    location.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/:._-=~".contains(&byte))
}
