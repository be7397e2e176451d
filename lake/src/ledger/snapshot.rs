//! Snapshots: many commits in few objects, so that a start costs the same however old the stream is.
//!
//! A *segment* contains the commit files of consecutive batches, byte for byte, one after the other, compressed with
//! zstd (RFC 8878). A snapshot names the segments that together contain every commit up to its batch. Both are created
//! once and never changed. Stored: golden files contain a snapshot's shape. Next to each segment is the index of its
//! inputs: see [`InputIndex`].
//!
//! Segments merge like the runs of a log-structured merge tree (O'Neil et al., 1996): sixteen of one span become one,
//! so each commit is rewritten at most once per power of sixteen, until segments reach [`SEGMENT_BYTES_MAX`].

use std::io::{BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};

use super::{InputIndex, StoredFormat};
use crate::{
    error::Error,
    ids::{BatchId, Fingerprint, StreamName, sha256_hex},
    keys::Key,
};

/// How many commits a new snapshot adds: a start reads at most about this many commits one by one.
pub const COMMITS_PER_SNAPSHOT: u64 = 16;

/// How many segments of one span are merged into one.
const MERGE: usize = 16;

/// Segments are not merged beyond this size, so that none needs more memory than this to be written or read.
pub const SEGMENT_BYTES_MAX: u64 = 16 << 20;

/// zstd's own default: commits shrink to about a fifth at hundreds of megabytes a second.
pub(super) const ZSTD_LEVEL: i32 = 3;

/// `checkpoints/<stream>/snapshots/<batch>.json`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The stream.
    pub stream: StreamName,
    /// The last batch that it covers; the first is always batch 1.
    pub batch: BatchId,
    /// The segments that contain the covered commits, in order, without a gap.
    pub segments: Vec<Segment>,
    /// The last batch whose own plan and commit may be missing, since they were older than the user wants to keep them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<BatchId>,
}

/// The commits of consecutive batches in one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The first batch in it.
    pub first: BatchId,
    /// The last batch in it.
    pub last: BatchId,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// The index of its inputs; earlier programs wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<InputIndex>,
}

/// `checkpoints/<stream>/snapshots/latest.json`: where to look for the newest snapshot first. A hint, overwritten
/// freely: a stale or missing one costs a longer listing and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Latest {
    pub(super) batch: BatchId,
}

impl StoredFormat for Snapshot {
    const VERSION: u32 = 2;

    fn version(&self) -> u32 {
        if self.segments.iter().any(|segment| segment.inputs.is_some()) { 2 } else { 1 }
    }
}

impl StoredFormat for Latest {
    const VERSION: u32 = 1;
}

impl Segment {
    /// The segment of these bytes, without an index.
    pub(super) fn of(first: BatchId, last: BatchId, bytes: &[u8]) -> Self {
        Self { first, last, size: bytes.len() as u64, sha256: sha256_hex(bytes), inputs: None }
    }

    /// Where it is stored. Its checksum is part of the name, so that two programs with different compressors do not
    /// conflict.
    pub fn key(&self, stream: &StreamName) -> Key {
        let fingerprint: Fingerprint = Fingerprint::of(self.sha256.as_bytes());
        Key::Segment { stream: stream.clone(), first: self.first, last: self.last, fingerprint }
    }

    fn span(&self) -> u64 {
        self.last.number() - self.first.number()
    }
}

impl Snapshot {
    /// Whether the segments cover batch 1 to the snapshot's own, each batch once.
    pub(super) fn check_cover(&self) -> Result<(), String> {
        let mut next = BatchId::FIRST;
        for segment in &self.segments {
            if segment.first != next || segment.last < segment.first {
                return Err(format!("has no segment for batch {}; restore it from a backup", next.number()));
            }
            next = segment.last.next();
        }
        if next != self.batch.next() {
            return Err(format!("covers less than its batch {}; restore it from a backup", self.batch.number()));
        }
        Ok(())
    }
}

/// How many segments at the end of `segments` must be merged into one; 0 if none.
pub(super) fn due_for_merge(segments: &[Segment]) -> usize {
    let Some(start) = segments.len().checked_sub(MERGE) else { return 0 };
    let last = &segments[start..];
    let alike = last.iter().all(|segment| segment.span() == last[0].span());
    let small = last.iter().map(|segment| segment.size).sum::<u64>() <= SEGMENT_BYTES_MAX;
    if alike && small { MERGE } else { 0 }
}

/// Commit files, compressed into one segment's bytes. The bytes of several segments, concatenated, are a segment again.
pub(super) fn compress(commits: &[bytes::Bytes]) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| Error::Bug(format!("cannot compress commits: {error}"));
    let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    for commit in commits {
        std::io::Write::write_all(&mut encoder, commit).map_err(failed)?;
    }
    encoder.finish().map_err(failed)
}

/// Reads the commit files in a segment one after the other, and checks that they are the batches that it names.
///
/// # Errors
/// [`Error::Damaged`] naming the segment, if it does not match its snapshot; or the first error of `each`.
pub(super) fn read_segment<T>(
    key: &Key,
    segment: &Segment,
    bytes: &[u8],
    mut each: impl FnMut(&[u8]) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let damaged = |what: &str| Error::damaged(key, format!("{what}; restore it from a backup"));
    if sha256_hex(bytes) != segment.sha256 {
        return Err(damaged("has other bytes than its snapshot says"));
    }
    let decoder = zstd::Decoder::new(bytes).map_err(|_| damaged("can't be decompressed"))?;
    let mut lines = BufReader::new(decoder);
    let mut line = Vec::new();
    let mut commits = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().read_until(b'\n', &mut line).map_err(|_| damaged("can't be decompressed"))?;
        if read == 0 {
            break;
        }
        commits.push(each(&line)?);
    }
    if commits.len() as u64 != segment.span() + 1 {
        return Err(damaged("has another number of commits than its snapshot says"));
    }
    Ok(commits)
}
