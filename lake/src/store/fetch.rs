//! Reads versions of objects, many with one call.
//!
//! Invariant: what is handed on as a version is all of it and nothing else, or is reported as missing or changed.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{Error as StoreError, GetOptions, ObjectStore, path::Path};

use super::Lake;
use crate::keys::Key;

/// How many objects of a remote store are read at once: enough to hide its latency for small objects.
const READS_AT_ONCE: usize = 8;

/// One version of an object that is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The object.
    pub key: Key,
    /// The version.
    pub etag: String,
    /// Whether its bytes are wanted, or only whether it is there.
    pub whole: bool,
}

/// What was found of one wanted version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundVersion {
    /// All that it holds.
    Whole(Bytes),
    /// It is there; its bytes were not wanted.
    There,
    /// The object is gone.
    Missing,
    /// The object is there in another version.
    Changed,
}

impl Lake {
    /// Reads versions of objects, in order, each from the store of its zone.
    ///
    /// From a folder they are read one after the other by one thread, since for a small file a change of threads costs more
    /// than reading it; from any other store several at a time.
    ///
    /// # Errors
    /// For each version the store's own error, where it failed.
    pub async fn fetch(&self, wanted: Vec<Wanted>) -> Vec<Result<FoundVersion, StoreError>> {
        let mut fetched = Vec::with_capacity(wanted.len());
        for of_one_zone in wanted.chunk_by(|one, next| one.key.zone() == next.key.zone()) {
            fetched.extend(self.fetch_from_zone(of_one_zone).await);
        }
        fetched
    }

    async fn fetch_from_zone(&self, wanted: &[Wanted]) -> Vec<Result<FoundVersion, StoreError>> {
        let Some(first) = wanted.first() else { return Vec::new() };
        let zone = self.zone(first.key.zone());
        if let Some(folder) = &zone.folder {
            let folder = folder.clone();
            let files: Vec<_> =
                wanted.iter().map(|wanted| (self.path(&wanted.key), wanted.etag.clone(), wanted.whole)).collect();
            let read = move || files.iter().map(|(path, etag, whole)| found(folder.read(path, etag, *whole))).collect();
            return match tokio::task::spawn_blocking(read).await {
                Ok(found) => found,
                // The next try reads them again.
                Err(error) => vec![Err(error.into())],
            };
        }
        let reads: Vec<_> =
            wanted.iter().map(|wanted| fetch_one(zone.store.as_ref(), self.path(&wanted.key), wanted)).collect();
        stream::iter(reads).buffered(READS_AT_ONCE).collect().await
    }
}

async fn fetch_one(store: &dyn ObjectStore, path: Path, wanted: &Wanted) -> Result<FoundVersion, StoreError> {
    let options = GetOptions { head: !wanted.whole, ..GetOptions::new().with_if_match(Some(&wanted.etag)) };
    let read = async {
        let got = store.get_opts(&path, options).await?;
        if !wanted.whole {
            return Ok(None);
        }
        let size = usize::try_from(got.range.end - got.range.start).unwrap_or(0);
        Ok(Some(whole(got.into_stream(), size).await?))
    };
    found(read.await)
}

fn found(read: Result<Option<Bytes>, StoreError>) -> Result<FoundVersion, StoreError> {
    match read {
        Ok(Some(bytes)) => Ok(FoundVersion::Whole(bytes)),
        Ok(None) => Ok(FoundVersion::There),
        Err(StoreError::NotFound { .. }) => Ok(FoundVersion::Missing),
        Err(StoreError::Precondition { .. }) => Ok(FoundVersion::Changed),
        Err(error) => Err(error),
    }
}

/// All that a body holds; without a copy where it came in one piece.
async fn whole(
    mut body: stream::BoxStream<'static, Result<Bytes, StoreError>>,
    size: usize,
) -> Result<Bytes, StoreError> {
    let Some(first) = body.try_next().await? else { return Ok(Bytes::new()) };
    let Some(second) = body.try_next().await? else { return Ok(first) };
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(&first);
    bytes.extend_from_slice(&second);
    while let Some(chunk) = body.try_next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}
