//! Input indexes: which versions of which objects the commits of a segment account for, sorted by key.
//!
//! Derived from the segment and from nothing else, so that a lost index costs reading its segment, and no fact. Created
//! once and never changed. Stored: golden files contain an index's lines.
//!
//! An index is a sequence of zstd frames (RFC 8878), each with a checksum: blocks of about [`BLOCK_BYTES`] of JSON
//! lines, one for each version, sorted by key (bytewise) and then in the order of the commits; the *filter* of all keys;
//! and one last frame, the *directory*, with a line for each block. A table of sorted strings with an index block (Chang et al., *Bigtable*,
//! 2006), in a form that `zstdcat` shows. Invariant: the same commits give the same lines, however they were merged.

mod block;
mod build;
mod entry;
mod filter;
mod frames;
mod stored;

use serde::{Deserialize, Serialize};

pub use block::InputBlock;
pub(super) use build::IndexBuilder;
use build::merge;
pub use entry::{CommittedInput, CommittedInputs};
pub use filter::KeyHash;
pub use frames::{BLOCK_BYTES, IndexBlock, IndexDirectory};
use frames::{IndexWriter, decode_directory};
pub(super) use stored::compute;

use super::Segment;
use crate::{
    ids::{Fingerprint, StreamName},
    keys::Key,
};

/// An input index, as the snapshot that names it describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputIndex {
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// Where the filter of its keys begins, which ends with the directory's beginning; it may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<u64>,
    /// Where its directory begins, which ends with the object.
    pub directory: u64,
    /// How many versions in it are accounted for for good.
    pub inputs: u64,
    /// How many more lines it has, of versions that the store refused to let be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deferred: u64,
    /// The smallest key in it; empty if it has no line.
    pub first_key: String,
    /// The largest key in it; empty if it has no line.
    pub last_key: String,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The bytes of an index, and their description.
pub type BuiltIndex = (InputIndex, bytes::Bytes);

impl Segment {
    /// Where the segment's input index is stored, if its snapshot names one. Its checksum is part of the name, so that
    /// two programs with different compressors do not conflict.
    pub fn inputs_key(&self, stream: &StreamName) -> Option<Key> {
        self.inputs.as_ref().map(|index| self.key_of_index(stream, index))
    }

    /// Where an index of this segment is stored.
    pub(super) fn key_of_index(&self, stream: &StreamName, index: &InputIndex) -> Key {
        let fingerprint: Fingerprint = Fingerprint::of(index.sha256.as_bytes());
        Key::InputIndex { stream: stream.clone(), first: self.first, last: self.last, fingerprint }
    }
}
