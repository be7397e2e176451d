//! The frames of an input index: blocks of lines, the filter, and the directory that says where each block is.
//!
//! Sizes and offsets come from stored bytes, and are checked before anything is allocated for them. Invariant: what is
//! decoded is sorted and begins with the key that the directory says, or is reported as damage.

use std::{io::Read, ops::Range};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use zstd::bulk::Compressor;

use super::{BuiltIndex, CommittedInput, InputBlock, InputIndex, KeyHash, filter::KeyFilter};
use crate::{
    error::Error,
    ids::sha256_hex,
    keys::Key,
    ledger::{Outcome, snapshot::ZSTD_LEVEL},
};

/// How much text a block has: little enough to read one for a single key, enough to compress well. A block with a longer
/// line has that line alone.
pub const BLOCK_BYTES: usize = 64 << 10;

/// The most text that a frame may claim to contain: many times the longest key that a store allows.
const BLOCK_BYTES_MAX: u64 = 64 << 20;

/// The same for the directory: enough for millions of blocks.
const DIRECTORY_BYTES_MAX: u64 = 1 << 30;

/// Where a block of an index is, and where its keys begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexBlock {
    /// The key of its first line.
    pub first_key: Box<str>,
    /// Where it begins in the index.
    pub offset: u64,
    /// How many bytes it has there.
    pub length: u64,
}

/// What is read of an index before any block.
#[derive(Debug)]
pub struct IndexDirectory {
    /// Its blocks, in order.
    pub blocks: Vec<IndexBlock>,
    filter: Option<KeyFilter>,
}

impl IndexDirectory {
    /// Whether the index may have a key with this hash.
    pub fn may_have(&self, key: KeyHash) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.may_have(key))
    }
}

/// Writes the lines of an index in their order.
pub(in crate::ledger) struct IndexWriter {
    compressor: Compressor<'static>,
    bytes: Vec<u8>,
    lines: Vec<u8>,
    line: Vec<u8>,
    block_key: Option<Box<str>>,
    last_key: Box<str>,
    directory: Vec<IndexBlock>,
    keys: Vec<KeyHash>,
    inputs: u64,
    deferred: u64,
}

fn failed(error: std::io::Error) -> Error {
    Error::Bug(format!("cannot write an input index: {error}"))
}

impl IndexWriter {
    pub(super) fn new() -> Result<Self, Error> {
        let mut compressor = Compressor::new(ZSTD_LEVEL).map_err(failed)?;
        compressor.include_checksum(true).map_err(failed)?;
        Ok(Self {
            compressor,
            bytes: Vec::new(),
            lines: Vec::new(),
            line: Vec::new(),
            block_key: None,
            last_key: Box::default(),
            directory: Vec::new(),
            keys: Vec::new(),
            inputs: 0,
            deferred: 0,
        })
    }

    /// Adds the next input; the caller keeps the order.
    pub(super) fn push(&mut self, input: &CommittedInput) -> Result<(), Error> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, input).map_err(|error| failed(error.into()))?;
        self.line.push(b'\n');
        if self.lines.len() + self.line.len() > BLOCK_BYTES {
            self.end_block()?;
        }
        self.lines.extend_from_slice(&self.line);
        self.block_key.get_or_insert_with(|| input.key.clone());
        self.last_key.clone_from(&input.key);
        self.keys.push(KeyHash::of(&input.key));
        let count = if input.outcome == Outcome::Deferred { &mut self.deferred } else { &mut self.inputs };
        *count += 1;
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), Error> {
        let Some(first_key) = self.block_key.take() else { return Ok(()) };
        let (offset, length) = self.frame()?;
        self.directory.push(IndexBlock { first_key, offset, length });
        Ok(())
    }

    /// Writes the lines so far as one frame: its offset and its length.
    fn frame(&mut self) -> Result<(u64, u64), Error> {
        let frame = self.compressor.compress(&self.lines).map_err(failed)?;
        let offset = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&frame);
        self.lines.clear();
        Ok((offset, frame.len() as u64))
    }

    pub(super) fn finish(mut self) -> Result<BuiltIndex, Error> {
        self.end_block()?;
        let filter = KeyFilter::of(std::mem::take(&mut self.keys)).map(|filter| {
            let offset = self.bytes.len() as u64;
            self.bytes.extend_from_slice(&filter.frame());
            offset
        });
        let directory = std::mem::take(&mut self.directory);
        for block in &directory {
            serde_json::to_writer(&mut self.lines, block).map_err(|error| failed(error.into()))?;
            self.lines.push(b'\n');
        }
        let (offset, _) = self.frame()?;
        let index = InputIndex {
            size: self.bytes.len() as u64,
            sha256: sha256_hex(&self.bytes),
            filter,
            directory: offset,
            inputs: self.inputs,
            deferred: self.deferred,
            first_key: directory.first().map(|block| block.first_key.to_string()).unwrap_or_default(),
            last_key: self.last_key.into(),
        };
        Ok((index, self.bytes.into()))
    }
}

impl InputIndex {
    /// Where its blocks end.
    fn blocks_end(&self) -> u64 {
        self.filter.unwrap_or(self.directory)
    }

    /// Where its filter and its directory are.
    pub fn directory_range(&self) -> Range<u64> {
        self.blocks_end()..self.size
    }
}

/// The filter and the blocks of an index, from the bytes of its [`InputIndex::directory_range`].
///
/// # Errors
/// [`Error::Damaged`] naming `key`.
pub(in crate::ledger) fn decode_directory(
    key: &Key,
    index: &InputIndex,
    bytes: &Bytes,
) -> Result<IndexDirectory, Error> {
    let filter_bytes = index.directory.saturating_sub(index.blocks_end());
    let filter = match index.filter {
        Some(_) => Some(
            KeyFilter::of_frame(&part(bytes, 0..filter_bytes))
                .ok_or_else(|| damaged(key, "has a filter that can't be read"))?,
        ),
        None => None,
    };
    let blocks = decompressed(key, &part(bytes, filter_bytes..bytes.len() as u64), DIRECTORY_BYTES_MAX)?;
    let blocks = serde_json::Deserializer::from_slice(&blocks).into_iter().collect::<Result<Vec<IndexBlock>, _>>();
    let blocks = blocks.map_err(|_| damaged(key, "has a directory with a line that can't be read"))?;
    match are_all_of(index, &blocks) {
        true => Ok(IndexDirectory { blocks, filter }),
        false => Err(damaged(key, "has a directory that does not match its blocks")),
    }
}

/// Whether these blocks are all of an index, in order, without a gap.
fn are_all_of(index: &InputIndex, blocks: &[IndexBlock]) -> bool {
    let mut end = 0;
    for block in blocks {
        if block.offset != end || block.length == 0 || block.length > index.blocks_end() - end {
            return false;
        }
        end += block.length;
    }
    let begins = blocks.first().map_or("", |block| &block.first_key) == index.first_key;
    end == index.blocks_end() && begins && blocks.is_sorted_by(|one, next| one.first_key <= next.first_key)
}

impl IndexBlock {
    /// Where it is in its index.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.length)
    }

    /// The inputs in it, from its bytes.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming `key`.
    pub fn decode(&self, key: &Key, bytes: &[u8]) -> Result<InputBlock, Error> {
        let text = decompressed(key, bytes, BLOCK_BYTES_MAX)?;
        let block = InputBlock::of(text).filter(|block| !block.is_empty() && block.key(0) == &*self.first_key);
        block.ok_or_else(|| damaged(key, "has a block whose keys are not in order"))
    }
}

/// The text of one frame.
fn decompressed(key: &Key, bytes: &[u8], bytes_max: u64) -> Result<Vec<u8>, Error> {
    let unreadable = |_| damaged(key, "can't be decompressed");
    // Most frames are blocks, which need no more; a longer one grows.
    let mut text = Vec::with_capacity(BLOCK_BYTES);
    let decoder = zstd::Decoder::new(bytes).map_err(unreadable)?;
    decoder.take(bytes_max + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > bytes_max {
        return Err(damaged(key, "has a frame that is larger than any that is written"));
    }
    Ok(text)
}

/// An input index that is not what it should be. It is made again from its segment, so this is an error only where the
/// segment is lost too.
pub(super) fn damaged(key: &Key, what: &str) -> Error {
    Error::damaged(key, format!("{what}; delete it, and it is made again from its segment"))
}

/// The bytes of `range` in a whole index; empty if it has none there.
pub(super) fn part(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let (start, end) = (place(range.start), place(range.end));
    bytes.slice(start.min(end)..end)
}
