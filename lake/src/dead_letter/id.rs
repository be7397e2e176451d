//! The id of a dead letter: what a person types, and what a replay resolves.
//!
//! Stored, and computed for files that were written before it was: never change the rule. It is the first 16 hex digits of
//! the SHA-256 (FIPS 180-4) of `<etag> <key> <index>`, with `-` as the index of a whole object. An ETag and an index have no
//! space, so no two records share a text. In SQL:
//! `left(sha256(concat(_source_etag, ' ', _source_key, ' ', coalesce(_record_index::varchar, '-'))), 16)`.

use sha2::{Digest, Sha256};

use crate::ids::hex_number;

/// A dead letter's id: 16 hex digits that follow from its object's key and version and its place there.
///
/// The same however often its batch is executed, and after a replay that failed. Unique in a stream among the dead letters
/// that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(u64);

/// The ids of one object's dead letters.
#[derive(Clone, Debug)]
pub struct DeadLetterIds(Sha256);

impl DeadLetterIds {
    /// The ids for this version of this object.
    pub fn of(key: &str, etag: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [etag, " ", key, " "] {
            hash.update(part);
        }
        Self(hash)
    }

    /// The id of the record with this index; without one, of the object as a whole.
    pub fn id(&self, index: Option<u64>) -> DeadLetterId {
        let mut hash = self.0.clone();
        match index {
            Some(index) => hash.update(index.to_string()),
            None => hash.update("-"),
        }
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        DeadLetterId(u64::from_be_bytes(first))
    }
}

hex_number!(DeadLetterId, u64, "a dead letter's id of 16 hex digits");
