//! The filter of an index: of nearly every key that the index does not have, it says so without a read.
//!
//! A binary fuse filter (Graf and Lemire, *Binary Fuse Filters*, 2022) with fingerprints of 16 bits: about 18 bits for
//! each key, and one in 65,000 absent keys is not recognised as absent. It stands in a skippable frame (RFC 8878,
//! section 3.1.2), which `zstdcat` passes over: eight bytes of a BLAKE3 hash of what follows, the filter's four numbers
//! and its fingerprints, all little-endian. Invariant: a filter never denies a key of its index, and one that is not as
//! it was written is reported as damage.

use xorf::{BinaryFuse16, Descriptor, DmaSerializable, Filter};

/// The first of the magic numbers of skippable frames.
const SKIPPABLE: u32 = 0x184D_2A50;

/// The frame's magic number, its length, and the hash of what follows.
const HEAD_BYTES: usize = 4 + 4 + HASH_BYTES;

const HASH_BYTES: usize = 8;

/// A key, as the filters of indexes know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash(u64);

impl KeyHash {
    /// The hash of an object's key: the first 64 bits of its BLAKE3 hash.
    pub fn of(key: &str) -> Self {
        Self(u64::from_le_bytes(hash_of(key.as_bytes())))
    }
}

fn hash_of(bytes: &[u8]) -> [u8; HASH_BYTES] {
    let hash = blake3::hash(bytes);
    std::array::from_fn(|at| hash.as_bytes()[at])
}

/// The filter over the keys of one index.
#[derive(Debug)]
pub(super) struct KeyFilter(BinaryFuse16);

impl KeyFilter {
    /// The filter of these keys, which may repeat. `None` if there are none, or if none was found for them, which is as
    /// good as impossible: an index without a filter is only slower.
    pub(super) fn of(mut keys: Vec<KeyHash>) -> Option<Self> {
        keys.sort_unstable_by_key(|key| key.0);
        keys.dedup();
        if keys.is_empty() {
            return None;
        }
        let filter = BinaryFuse16::try_from_iterator(keys.iter().map(|key| key.0)).ok().map(Self)?;
        keys.into_iter().all(|key| filter.may_have(key)).then_some(filter)
    }

    /// Whether the index may have a key.
    pub(super) fn may_have(&self, key: KeyHash) -> bool {
        self.0.contains(&key.0)
    }

    /// The filter as a frame of its index.
    pub(super) fn frame(&self) -> Vec<u8> {
        let Self(filter) = self;
        let mut body = vec![0; BinaryFuse16::DESCRIPTOR_LEN];
        filter.dma_copy_descriptor_to(&mut body);
        filter.fingerprints.iter().for_each(|fingerprint| body.extend_from_slice(&fingerprint.to_le_bytes()));
        // A segment is limited, and with it the keys of its index: far below 4 GiB of fingerprints.
        let length = u32::try_from(HASH_BYTES + body.len()).unwrap_or(u32::MAX);
        [&SKIPPABLE.to_le_bytes(), &length.to_le_bytes(), &hash_of(&body)[..], &body].concat()
    }

    /// The filter of a frame; `None` if this is not exactly one that [`KeyFilter::frame`] wrote.
    pub(super) fn of_frame(frame: &[u8]) -> Option<Self> {
        let (head, body) = frame.split_at_checked(HEAD_BYTES)?;
        let length = u32::try_from(HASH_BYTES + body.len()).ok()?;
        if head != [&SKIPPABLE.to_le_bytes(), &length.to_le_bytes(), &hash_of(body)[..]].concat() {
            return None;
        }
        let (numbers, fingerprints) = body.split_at_checked(BinaryFuse16::DESCRIPTOR_LEN)?;
        let fingerprints: Box<[u16]> =
            fingerprints.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
        let descriptor = descriptor(numbers).filter(|numbers| fits(numbers, fingerprints.len()))?;
        Some(Self(BinaryFuse16 { descriptor, fingerprints }))
    }
}

/// The four numbers of a filter.
fn descriptor(bytes: &[u8]) -> Option<Descriptor> {
    let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    Some(Descriptor {
        seed: u64::from_le_bytes(*bytes.first_chunk()?),
        segment_length: number(8)?,
        segment_length_mask: number(12)?,
        segment_count_length: number(16)?,
    })
}

/// Whether a lookup with these numbers stays within so many fingerprints: it reads one in each of three consecutive
/// segments.
fn fits(numbers: &Descriptor, fingerprints: usize) -> bool {
    let (segment, all) = (u64::from(numbers.segment_length), u64::from(numbers.segment_count_length));
    segment.is_power_of_two()
        && u64::from(numbers.segment_length_mask) == segment - 1
        && all > 0
        && all.is_multiple_of(segment)
        && all + 2 * segment == fingerprints as u64
}

#[cfg(test)]
mod tests;
