//! The frames of an input index: blocks of lines, and the directory that says where each block is.
//!
//! Sizes and offsets come from stored bytes, and are checked before anything is allocated for them. Invariant: what is
//! decoded is sorted and begins with the key that the directory says, or is reported as damage.

use std::{io::Read, ops::Range};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zstd::bulk::Compressor;

use super::{BuiltIndex, CommittedInput, InputIndex};
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

/// Writes the lines of an index in their order.
pub(in crate::ledger) struct IndexWriter {
    compressor: Compressor<'static>,
    bytes: Vec<u8>,
    lines: Vec<u8>,
    line: Vec<u8>,
    block_key: Option<Box<str>>,
    last_key: Box<str>,
    directory: Vec<IndexBlock>,
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
        let directory = std::mem::take(&mut self.directory);
        for block in &directory {
            serde_json::to_writer(&mut self.lines, block).map_err(|error| failed(error.into()))?;
            self.lines.push(b'\n');
        }
        let (offset, _) = self.frame()?;
        let index = InputIndex {
            size: self.bytes.len() as u64,
            sha256: sha256_hex(&self.bytes),
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
    /// Where its directory is.
    pub fn directory_range(&self) -> Range<u64> {
        self.directory..self.size
    }
}

/// The blocks of an index, from the bytes of its directory.
///
/// # Errors
/// [`Error::Damaged`] naming `key`.
pub(in crate::ledger) fn decode_directory(
    key: &Key,
    index: &InputIndex,
    bytes: &[u8],
) -> Result<Vec<IndexBlock>, Error> {
    let blocks: Vec<IndexBlock> = decode_lines(key, bytes, DIRECTORY_BYTES_MAX)?;
    let mut end = 0;
    for block in &blocks {
        if block.offset != end || block.length == 0 || block.length > index.directory - end {
            return Err(damaged(key, "has a directory that does not match its blocks"));
        }
        end += block.length;
    }
    let begins = blocks.first().map_or("", |block| &block.first_key) == index.first_key;
    if end != index.directory || !begins || !blocks.is_sorted_by(|one, next| one.first_key <= next.first_key) {
        return Err(damaged(key, "has a directory that does not match its blocks"));
    }
    Ok(blocks)
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
    pub fn decode(&self, key: &Key, bytes: &[u8]) -> Result<Vec<CommittedInput>, Error> {
        let inputs: Vec<CommittedInput> = decode_lines(key, bytes, BLOCK_BYTES_MAX)?;
        let begins = inputs.first().is_some_and(|input| input.key == self.first_key);
        let is_sorted = inputs.is_sorted_by(|one, next| (&one.key, one.batch) <= (&next.key, next.batch));
        if begins && is_sorted { Ok(inputs) } else { Err(damaged(key, "has a block whose keys are not in order")) }
    }
}

/// The lines of one frame.
fn decode_lines<T: DeserializeOwned>(key: &Key, bytes: &[u8], bytes_max: u64) -> Result<Vec<T>, Error> {
    let unreadable = |_| damaged(key, "can't be decompressed");
    let mut text = Vec::new();
    let decoder = zstd::Decoder::new(bytes).map_err(unreadable)?;
    decoder.take(bytes_max + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > bytes_max {
        return Err(damaged(key, "has a frame that is larger than any that is written"));
    }
    let lines = serde_json::Deserializer::from_slice(&text).into_iter();
    lines.collect::<Result<_, _>>().map_err(|_| damaged(key, "has a line that can't be read"))
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
