//! Bodies: from the network into a blob, and from a blob to the network.
//!
//! Knows chunks. Knows nothing about keys or conditions.
//! Invariant: a request keeps at most [`WRITE_BYTES`] and one network chunk, or two times [`READ_BYTES`], in memory,
//! whatever the object's size.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{Body, S3Result, StdError, s3_error};
use tokio::task::JoinHandle;

use super::digests::{Claims, Digester, Digests};
use crate::store::blobs::{BlobStore, BlobWriter, PendingBlob, read_chunk};
use crate::store::{blocking, internal};

/// How much to gather before a thread hashes and writes it.
const WRITE_BYTES: usize = 1 << 20;
/// How much a thread reads at once.
pub(crate) const READ_BYTES: u64 = 256 << 10;

/// A body that has been written and verified.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) blob: PendingBlob,
    pub(crate) size: u64,
    pub(crate) digests: Digests,
}

/// Writes `body` to a blob and verifies it against `claims` and `length`.
///
/// # Errors
/// `BadDigest` or `IncompleteBody` if the bytes do not match; nothing is stored then.
pub(crate) async fn receive(
    blobs: &Arc<BlobStore>,
    body: Option<StreamingBlob>,
    claims: Claims,
    length: Option<i64>,
) -> S3Result<Received> {
    let mut body = body.unwrap_or_else(|| Body::empty().into());
    let mut sink = Sink::new(blobs, &claims);
    loop {
        let (chunks, ended) = gather(&mut body).await?;
        let written = blocking(move || {
            sink.write(&chunks)?;
            if ended { sink.finish().map(Written::All) } else { Ok(Written::Some(sink)) }
        });
        match written.await? {
            Written::Some(more) => sink = more,
            Written::All(received) => {
                claims.verify(&received.digests)?;
                check_length(received.size, length)?;
                return Ok(received);
            }
        }
    }
}

fn check_length(size: u64, length: Option<i64>) -> S3Result<()> {
    match length {
        Some(length) if u64::try_from(length) != Ok(size) => {
            Err(s3_error!(IncompleteBody, "expected {length} bytes, got {size}: send them again"))
        }
        _ => Ok(()),
    }
}

/// Reads chunks from the network until there are enough to write; also returns whether they were the last.
async fn gather(body: &mut StreamingBlob) -> S3Result<(Vec<Bytes>, bool)> {
    let mut chunks = Vec::new();
    let mut gathered = 0;
    while gathered < WRITE_BYTES {
        match body.next().await {
            None => return Ok((chunks, true)),
            Some(Ok(chunk)) => {
                gathered += chunk.len();
                chunks.push(chunk);
            }
            Some(Err(error)) => return Err(s3_error!(IncompleteBody, "the body could not be read: {error}")),
        }
    }
    Ok((chunks, false))
}

enum Written {
    Some(Sink),
    All(Received),
}

/// Where the chunks go; moves between the task and the threads that write.
struct Sink {
    blobs: Arc<BlobStore>,
    writer: Option<BlobWriter>,
    /// Boxed: five hashers are large, and a sink moves with every chunk.
    digester: Box<Digester>,
    size: u64,
}

impl Sink {
    fn new(blobs: &Arc<BlobStore>, claims: &Claims) -> Self {
        Self { blobs: Arc::clone(blobs), writer: None, digester: Box::new(Digester::new(claims)), size: 0 }
    }

    fn writer(&mut self) -> S3Result<&mut BlobWriter> {
        if self.writer.is_none() {
            self.writer = Some(self.blobs.create().map_err(internal("creating a blob"))?);
        }
        self.writer.as_mut().ok_or_else(|| s3_error!(InternalError))
    }

    fn write(&mut self, chunks: &[Bytes]) -> S3Result<()> {
        for chunk in chunks {
            self.digester.update(chunk);
            self.size += chunk.len() as u64;
            self.writer()?.write(chunk).map_err(internal("writing a blob"))?;
        }
        Ok(())
    }

    fn finish(mut self) -> S3Result<Received> {
        self.writer()?;
        let writer = self.writer.ok_or_else(|| s3_error!(InternalError))?;
        Ok(Received {
            blob: writer.finish().map_err(internal("writing a blob"))?,
            size: self.size,
            digests: self.digester.finish(),
        })
    }
}

/// Copies the bytes `range` of an open blob to a new blob. Blocks.
pub(crate) fn copy(blobs: &Arc<BlobStore>, mut file: File, mut range: Range<u64>) -> S3Result<Received> {
    let mut sink = Sink::new(blobs, &Claims::default());
    while !range.is_empty() {
        let chunk = read_chunk(&mut file, &mut range, WRITE_BYTES as u64).map_err(internal("reading a blob"))?;
        sink.write(&[chunk.into()])?;
    }
    sink.finish()
}

/// The digests that `claims` needs, of a whole open blob. Blocks.
pub(crate) fn digest(mut file: File, size: u64, claims: &Claims) -> S3Result<Digests> {
    let mut digester = Digester::new(claims);
    let mut range = 0..size;
    while !range.is_empty() {
        let chunk = read_chunk(&mut file, &mut range, WRITE_BYTES as u64).map_err(internal("reading a blob"))?;
        digester.update(&chunk);
    }
    Ok(digester.finish())
}

/// The rest of a range of an open blob, after the bytes `first`, which were read already.
pub(crate) fn send(first: Vec<u8>, file: File, rest: Range<u64>) -> StreamingBlob {
    if rest.is_empty() {
        return Body::from(Bytes::from(first)).into();
    }
    StreamingBlob::new(BlobBody { first: Some(first.into()), rest: Rest::Idle(file, rest) })
}

/// Streams a blob, one chunk at a time, each read by a thread that may block.
struct BlobBody {
    first: Option<Bytes>,
    rest: Rest,
}

/// A chunk, with the file it came from and what is left of the range.
type ChunkRead = (Vec<u8>, File, Range<u64>);

enum Rest {
    Idle(File, Range<u64>),
    /// A chunk being read, and how much is left including it.
    Reading(JoinHandle<io::Result<ChunkRead>>, u64),
    Done,
}

impl Stream for BlobBody {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            match std::mem::replace(&mut self.rest, Rest::Done) {
                Rest::Done => return Poll::Ready(None),
                Rest::Idle(_, range) if range.is_empty() => return Poll::Ready(None),
                Rest::Idle(mut file, mut range) => {
                    let left = range.end - range.start;
                    let reading = tokio::task::spawn_blocking(move || {
                        let chunk = read_chunk(&mut file, &mut range, READ_BYTES)?;
                        Ok((chunk, file, range))
                    });
                    self.rest = Rest::Reading(reading, left);
                }
                Rest::Reading(mut reading, left) => {
                    let Poll::Ready(joined) = Pin::new(&mut reading).poll(context) else {
                        self.rest = Rest::Reading(reading, left);
                        return Poll::Pending;
                    };
                    let (chunk, file, range) = joined.map_err(io::Error::other)??;
                    self.rest = Rest::Idle(file, range);
                    return Poll::Ready(Some(Ok(chunk.into())));
                }
            }
        }
    }
}

impl ByteStream for BlobBody {
    fn remaining_length(&self) -> RemainingLength {
        let rest = match &self.rest {
            Rest::Idle(_, range) => range.end - range.start,
            Rest::Reading(_, left) => *left,
            Rest::Done => 0,
        };
        let first = self.first.as_ref().map_or(0, Bytes::len);
        usize::try_from(rest)
            .map_or_else(|_| RemainingLength::unknown(), |rest| RemainingLength::new_exact(first + rest))
    }
}
