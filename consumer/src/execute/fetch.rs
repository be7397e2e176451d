//! Fetches the planned versions of a task's objects: short ones into memory, long ones in pieces while they are read.
//!
//! Invariant: an object ends without an error only after all bytes of the planned version; a short response never
//! counts as the end of the file.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use futures::TryStreamExt;
use lake::{
    error::describe,
    ledger::PlannedObject,
    store::{self, FoundVersion, Lake, Wanted, refuses_to_read},
    stream::Format,
};
use tokio::{runtime::Handle, sync::mpsc};
use tracing::warn;

use super::TaskRequest;
use crate::{
    decode::{Progress, Source, Streamed},
    error::Error,
    failpoint,
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

/// The objects of a task, in the plan's order.
///
/// Of long objects it only checks that they exist, except those that are known to be `refused`, by their place in the
/// task. An error is that of a store; the task can be tried again.
pub(super) struct Fetching {
    request: Arc<TaskRequest>,
    refused: BTreeSet<usize>,
    /// What stands for each object that is not read whole.
    unread: Vec<Option<Fetched>>,
    found: store::Fetching,
    at: usize,
    progress: Progress,
    waited: Duration,
    wanted: Weak<()>,
}

impl Fetching {
    /// Starts to fetch the objects of a task.
    pub(super) fn start(
        lake: &Lake,
        request: &Arc<TaskRequest>,
        refused: &BTreeSet<usize>,
        progress: &Progress,
    ) -> Self {
        let unread: Vec<_> = (0..request.objects.len()).map(|at| unread(lake, request, at)).collect();
        let wanted = request.objects.iter().zip(&unread).map(|(object, unread)| {
            let (key, etag) = (object.key.clone(), object.etag.clone());
            Wanted { key, etag, whole: unread.is_none() }
        });
        Self {
            request: Arc::clone(request),
            refused: refused.clone(),
            found: lake.fetch(wanted.collect()),
            unread,
            at: 0,
            progress: progress.clone(),
            waited: Duration::ZERO,
            wanted: Weak::new(),
        }
    }

    /// Fails the next object asked for once the result is dropped, so that a thread does not read on for a task that was
    /// given up.
    pub(super) fn while_wanted(&mut self) -> Arc<()> {
        let wanted = Arc::new(());
        self.wanted = Arc::downgrade(&wanted);
        wanted
    }

    /// Waits for the next objects; returns how many of them can now be taken without waiting for a network.
    pub(super) async fn arrived(&mut self) -> usize {
        let began = Instant::now();
        let arrived = self.found.arrived().await;
        self.waited += began.elapsed();
        arrived
    }

    /// How many objects were taken.
    pub(super) fn taken(&self) -> usize {
        self.at
    }

    /// How long it took so far until the objects were there.
    pub(super) fn waited(&self) -> Duration {
        self.waited
    }
}

impl Iterator for Fetching {
    type Item = Result<Fetched, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let object = self.request.objects.get(self.at)?;
        if self.wanted.strong_count() == 0 {
            return Some(Err(Error::Bug("the task was given up while it was read".to_owned())));
        }
        let (began, at) = (Instant::now(), self.at);
        let found = self.progress.wait(|| self.found.next())?;
        self.waited += began.elapsed();
        self.at += 1;
        if self.at == self.request.objects.len() {
            failpoint::reach("fetch:done", &"");
        }
        let unread = self.unread.get_mut(at).and_then(Option::take);
        Some(match fetched(object, unread, found) {
            Ok(_) if self.refused.contains(&at) => Ok(Fetched::Refused),
            Ok(Fetched::Object(source)) if is_poisoned(&self.request, at) => Ok(Fetched::Poison(source)),
            fetched => fetched,
        })
    }
}

fn is_poisoned(request: &TaskRequest, at: usize) -> bool {
    request.poisoned.contains(&(request.first_input + at))
}

/// What stands for an object that is not read whole; `None` for one that is.
fn unread(lake: &Lake, request: &TaskRequest, at: usize) -> Option<Fetched> {
    let (object, read) = (request.objects.get(at)?, &request.plan.read);
    let source = || {
        let (lake, object, runtime) = (lake.clone(), object.clone(), Handle::current());
        Source::Streamed(Arc::new(StoredObject { lake, object, runtime }))
    };
    let is_long = object.size > HELD_BYTES_MAX;
    match is_poisoned(request, at) {
        true => is_long.then(|| Fetched::Poison(source())),
        false if object.size > read.object_bytes_max => Some(Fetched::TooLarge(source())),
        false => (is_long && read.format != Format::JsonArray).then(|| Fetched::Object(source())),
    }
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
