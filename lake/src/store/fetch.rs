//! Reads versions of objects, many with one call.
//!
//! Invariant: what is handed on as a version is all of it and nothing else, or is reported as missing or changed.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use futures::{TryStreamExt, stream::BoxStream};
use object_store::{Error as StoreError, GetOptions, ObjectStore, path::Path};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Lake, Transfers,
    folder::{CheckedFolder, FolderStore},
};
use crate::keys::Key;

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

/// How many fetched bytes are handed on together: a change of threads then costs little.
const HANDED_ON_BYTES: usize = 256 << 10;

/// What was found of each wanted version, in order.
///
/// A file is read when it is asked for, by the thread that asks: for a small file a change of threads costs more than
/// reading it, and its bytes are still in the processor's cache when they are used. Other objects are fetched ahead, as
/// many at a time as the lake's [`Transfers`] allow. Dropping it ends what is still being fetched.
#[derive(Debug)]
pub struct Fetching {
    wanted: VecDeque<Place>,
    checked: CheckedFolder,
    fetched: mpsc::UnboundedReceiver<Result<FoundVersion, StoreError>>,
    arrived: VecDeque<Result<FoundVersion, StoreError>>,
    /// None if there are only files.
    _ahead: Option<AbortOnDropHandle<()>>,
}

/// Where a wanted version is read from.
#[derive(Debug)]
enum Place {
    File {
        folder: FolderStore,
        path: Path,
        etag: String,
        whole: bool,
    },
    /// The next one that was fetched ahead.
    Fetched,
}

impl Lake {
    /// Reads versions of objects, in order, each from the store of its zone.
    ///
    /// Must be called within a runtime. Everything that was fetched and not taken yet is in memory, so the caller limits
    /// how many bytes it asks for.
    pub fn fetch(&self, wanted: Vec<Wanted>) -> Fetching {
        let (mut places, mut remote) = (VecDeque::with_capacity(wanted.len()), Vec::new());
        for Wanted { key, etag, whole } in wanted {
            let path = self.path(&key);
            let zone = self.zone(key.zone());
            match &zone.folder {
                Some(folder) => places.push_back(Place::File { folder: folder.clone(), path, etag, whole }),
                None => {
                    places.push_back(Place::Fetched);
                    remote.push((Arc::clone(&zone.store), path, etag, whole));
                }
            }
        }
        let (sender, fetched) = mpsc::unbounded_channel();
        let ahead = (!remote.is_empty())
            .then(|| AbortOnDropHandle::new(tokio::spawn(fetch_ahead(remote, self.transfers().clone(), sender))));
        let (checked, arrived) = (CheckedFolder::default(), VecDeque::new());
        Fetching { wanted: places, checked, fetched, arrived, _ahead: ahead }
    }
}

impl Fetching {
    /// Waits for the next versions; returns how many of them can now be taken without waiting for a network, 0 at the
    /// end.
    pub async fn arrived(&mut self) -> usize {
        let due = self.wanted.iter().take_while(|place| matches!(place, Place::Fetched)).count();
        if due == 0 {
            return self.wanted.iter().take_while(|place| matches!(place, Place::File { .. })).count();
        }
        let mut bytes = self.arrived.iter().map(length).sum::<usize>();
        while self.arrived.len() < due && bytes < HANDED_ON_BYTES {
            let Some(found) = self.fetched.recv().await else { break };
            bytes += length(&found);
            self.arrived.push_back(found);
        }
        due.min(self.arrived.len()).max(1)
    }
}

impl Iterator for Fetching {
    /// The error is the store's own.
    type Item = Result<FoundVersion, StoreError>;

    /// Reads a file. Of the others, takes only what has [arrived](Fetching::arrived).
    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.wanted.pop_front()? {
            Place::File { folder, path, etag, whole } => found(folder.read(&mut self.checked, &path, &etag, whole)),
            Place::Fetched => self.arrived.pop_front().unwrap_or_else(|| Err(not_fetched())),
        })
    }
}

fn length(found: &Result<FoundVersion, StoreError>) -> usize {
    if let Ok(FoundVersion::Whole(bytes)) = found { bytes.len() } else { 0 }
}

/// Only at the end of the process, which stops its tasks, or if it was asked for too early.
fn not_fetched() -> StoreError {
    StoreError::Generic { store: "fetch", source: "the object was not fetched: the process is ending".into() }
}

type Remote = (Arc<dyn ObjectStore>, Path, String, bool);

/// Fetches these versions, several at a time, and hands them on in order. A slow one keeps no other from being fetched.
async fn fetch_ahead(
    remote: Vec<Remote>,
    transfers: Transfers,
    to: mpsc::UnboundedSender<Result<FoundVersion, StoreError>>,
) {
    let (begun, mut fetching) = mpsc::unbounded_channel();
    let begin = async move {
        let _turn = transfers.turn().await;
        for (store, path, etag, whole) in remote {
            let place = transfers.begin().await;
            // A task of its own, since each request takes a core some time.
            let one = AbortOnDropHandle::new(tokio::spawn(async move {
                let fetched = found(fetch_one(store.as_ref(), &path, &etag, whole).await);
                drop(place);
                fetched
            }));
            if begun.send(one).is_err() {
                return;
            }
        }
    };
    let hand_on = async move {
        while let Some(one) = fetching.recv().await {
            if to.send(one.await.unwrap_or_else(|error| Err(error.into()))).is_err() {
                return;
            }
        }
    };
    tokio::join!(begin, hand_on);
}

async fn fetch_one(
    store: &dyn ObjectStore,
    path: &Path,
    etag: &str,
    is_whole: bool,
) -> Result<Option<Bytes>, StoreError> {
    let options = GetOptions { head: !is_whole, ..GetOptions::new().with_if_match(Some(etag)) };
    let got = store.get_opts(path, options).await?;
    if !is_whole {
        return Ok(None);
    }
    let size = usize::try_from(got.range.end - got.range.start).unwrap_or(0);
    Ok(Some(whole(got.into_stream(), size).await?))
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
async fn whole(mut body: BoxStream<'static, Result<Bytes, StoreError>>, size: usize) -> Result<Bytes, StoreError> {
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
