//! Fetches the planned versions of a task's objects: short ones into memory, long ones in pieces while they are read.
//!
//! Invariant: an object ends without an error only after all bytes of the planned version; a short response never
//! counts as the end of the file.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    sync::Arc,
};

use bytes::{Buf, Bytes};
use futures::TryStreamExt;
use lake::{
    error::describe,
    ledger::PlannedObject,
    store::{FoundVersion, Lake, Wanted, refuses_to_read},
    stream::Format,
};
use tokio::{runtime::Handle, sync::mpsc};
use tracing::warn;

use super::TaskRequest;
use crate::{
    decode::{Source, Streamed},
    error::Error,
};

/// What was found in an object's place.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// The planned version.
    Object(Source),
    /// Nothing.
    Missing,
    /// Another version.
    Changed,
    /// The planned version, larger than an object may be: its records are not read.
    TooLarge(Source),
    /// The planned version, whose records are not read since it ended the processes that read it.
    Poison(Source),
    /// The planned version, which the store refuses to let be read.
    Refused,
}

/// Longer objects are not kept in memory if their format can be read in pieces.
const HELD_BYTES_MAX: u64 = 16 << 20;

/// How many pieces of a long object may wait for their reader.
const PIECES_AHEAD: usize = 4;

/// Fetches all objects of a task, in the plan's order. Of long ones, it only checks that they exist, except those that
/// are known to be `refused`, by their place in the task.
///
/// # Errors
/// The first object that the store fails to send; the task can be tried again.
pub(super) async fn fetch(lake: &Lake, task: &TaskRequest, refused: &BTreeSet<usize>) -> Result<Vec<Fetched>, Error> {
    let read = &task.plan.read;
    let is_poisoned = |at: usize| task.poisoned.contains(&(task.first_input + at));
    let unread = |(at, object): (usize, &PlannedObject)| {
        let source = || {
            let (lake, object, runtime) = (lake.clone(), object.clone(), Handle::current());
            Source::Streamed(Arc::new(StoredObject { lake, object, runtime }))
        };
        let is_long = object.size > HELD_BYTES_MAX;
        match is_poisoned(at) {
            true => is_long.then(|| Fetched::Poison(source())),
            false if object.size > read.object_bytes_max => Some(Fetched::TooLarge(source())),
            false => (is_long && read.format != Format::JsonArray).then(|| Fetched::Object(source())),
        }
    };
    let unread: Vec<Option<Fetched>> = task.objects.iter().enumerate().map(unread).collect();
    let wanted = task.objects.iter().zip(&unread).map(|(object, unread)| {
        let (key, etag) = (object.key.clone(), object.etag.clone());
        Wanted { key, etag, whole: unread.is_none() }
    });
    let found = lake.fetch(wanted.collect()).await;
    let found = task.objects.iter().zip(unread).zip(found).enumerate();
    let found = found.map(|(at, ((object, unread), found))| match fetched(object, unread, found) {
        Ok(_) if refused.contains(&at) => Ok(Fetched::Refused),
        Ok(Fetched::Object(source)) if is_poisoned(at) => Ok(Fetched::Poison(source)),
        fetched => fetched,
    });
    found.collect()
}

fn fetched(
    object: &PlannedObject,
    unread: Option<Fetched>,
    found: Result<FoundVersion, object_store::Error>,
) -> Result<Fetched, Error> {
    let key = || object.key.to_string();
    let found = match found {
        Err(error) if refuses_to_read(&error) => {
            warn_of_refusal(object, &error);
            return Ok(Fetched::Refused);
        }
        found => found,
    };
    match found.map_err(|source| Error::Fetch { key: key(), source })? {
        FoundVersion::Missing => Ok(Fetched::Missing),
        FoundVersion::Changed => Ok(Fetched::Changed),
        FoundVersion::There => unread.ok_or_else(|| Error::Bug(format!("{} was looked at and not read", key()))),
        FoundVersion::Whole(bytes) if bytes.len() as u64 == object.size => Ok(Fetched::Object(bytes.into())),
        FoundVersion::Whole(bytes) => {
            Err(Error::ShortBody { key: key(), received: bytes.len() as u64, expected: object.size })
        }
    }
}

/// The store's own words, for the person who can change that.
pub(super) fn warn_of_refusal(object: &PlannedObject, error: &object_store::Error) {
    let (key, error) = (object.key.to_string(), describe(error));
    let object = key.escape_debug();
    warn!(%object, error, "an object may not be read; it stays pending and is tried again from time to time");
}

/// A planned object that is read from its store, from the start each time.
#[derive(Debug)]
struct StoredObject {
    lake: Lake,
    object: PlannedObject,
    runtime: Handle,
}

impl Streamed for StoredObject {
    fn open(&self) -> Box<dyn Read + Send> {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        let (lake, object) = (self.lake.clone(), self.object.clone());
        self.runtime.spawn(async move {
            if let Err(error) = send(&lake, &object, &sender).await {
                // No reader is left that could miss it.
                let _gone = sender.send(Err(error)).await;
            }
        });
        Box::new(Pieces { pieces, piece: Bytes::new() })
    }
}

/// Sends all of the planned version, as long as it is being read.
async fn send(lake: &Lake, object: &PlannedObject, to: &mpsc::Sender<Result<Bytes, Error>>) -> Result<(), Error> {
    let failed = |source| Error::Fetch { key: object.key.to_string(), source };
    let mut body = lake.open_version(&object.key, &object.etag).await.map_err(failed)?.into_stream();
    let mut received = 0;
    while let Some(piece) = body.try_next().await.map_err(failed)? {
        received += piece.len() as u64;
        if to.send(Ok(piece)).await.is_err() {
            return Ok(());
        }
    }
    if received == object.size {
        return Ok(());
    }
    Err(Error::ShortBody { key: object.key.to_string(), received, expected: object.size })
}

/// What a store sends, for a reader on a thread that may block.
struct Pieces {
    pieces: mpsc::Receiver<Result<Bytes, Error>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
