//! Builds input indexes: from commits, and from the indexes of consecutive segments.
//!
//! Sorts in runs and merges them, so that memory is bounded whatever the number of inputs: the compressed indexes and
//! a block of each. Knows no store. Invariant: inputs with the same key stay in the order in which they were added.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, VecDeque},
};

use bytes::Bytes;

use super::{
    BuiltIndex, CommittedInput, IndexBlock, IndexWriter, InputBlock, decode_directory,
    frames::{damaged, part},
};
use crate::{error::Error, keys::Key};

/// How much memory the inputs of one run take.
const RUN_BYTES: usize = 32 << 20;

/// Builds an index of inputs that come in the order of their commits.
#[derive(Default)]
pub(in crate::ledger) struct IndexBuilder {
    run: Vec<CommittedInput>,
    run_bytes: usize,
    runs: Vec<BuiltIndex>,
}

impl IndexBuilder {
    /// Adds the next commit's inputs.
    pub(in crate::ledger) fn add(&mut self, inputs: Vec<CommittedInput>) -> Result<(), Error> {
        for input in inputs {
            self.run_bytes += input.memory();
            self.run.push(input);
            if self.run_bytes >= RUN_BYTES {
                self.end_run()?;
            }
        }
        Ok(())
    }

    fn end_run(&mut self) -> Result<(), Error> {
        let mut run = std::mem::take(&mut self.run);
        self.run_bytes = 0;
        // Stable: what has the same key stays in the order of the commits.
        run.sort_by(|one, other| one.key.cmp(&other.key));
        let mut writer = IndexWriter::new()?;
        run.iter().try_for_each(|input| writer.push(input))?;
        self.runs.push(writer.finish()?);
        Ok(())
    }

    /// The index of all that was added. `key` is for messages.
    pub(in crate::ledger) fn finish(mut self, key: &Key) -> Result<BuiltIndex, Error> {
        if self.runs.is_empty() || !self.run.is_empty() {
            self.end_run()?;
        }
        match self.runs.len() {
            1 => self.runs.pop().ok_or_else(|| Error::Bug("an index without a run".to_owned())),
            _ => merge(key, self.runs),
        }
    }
}

/// One index of what these contain, which are in the order of their commits. `key` is for messages.
///
/// # Errors
/// [`Error::Damaged`] naming `key`, when one of them can't be read.
pub(in crate::ledger) fn merge(key: &Key, parts: Vec<BuiltIndex>) -> Result<BuiltIndex, Error> {
    let mut cursors = parts.into_iter().map(|part| Cursor::at_start(key, part)).collect::<Result<Vec<_>, _>>()?;
    let mut heads = BinaryHeap::with_capacity(cursors.len());
    for (part, cursor) in cursors.iter_mut().enumerate() {
        heads.extend(cursor.next(key)?.map(|input| Head { input, part }));
    }
    let mut writer = IndexWriter::new()?;
    while let Some(Head { input, part }) = heads.pop() {
        writer.push(&input)?;
        heads.extend(cursors[part].next(key)?.map(|input| Head { input, part }));
    }
    writer.finish()
}

/// Whether two indexes have the same inputs, whatever compressed them, and describe them in the same way.
///
/// # Errors
/// As [`merge`].
pub(super) fn same_inputs(key: &Key, one: BuiltIndex, other: BuiltIndex) -> Result<bool, Error> {
    let described = |(index, _): &BuiltIndex| (index.inputs, index.deferred, index.last_key.clone());
    let mut is_same = described(&one) == described(&other);
    let (mut one, mut other) = (Cursor::at_start(key, one)?, Cursor::at_start(key, other)?);
    while is_same {
        let (next, same) = (one.next(key)?, other.next(key)?);
        is_same = next == same;
        if next.is_none() {
            break;
        }
    }
    Ok(is_same)
}

/// The next input of one of the merged indexes.
struct Head {
    input: CommittedInput,
    part: usize,
}

impl Ord for Head {
    /// The heap returns the greatest: here the smallest key, of the earliest index.
    fn cmp(&self, other: &Self) -> Ordering {
        other.input.key.cmp(&self.input.key).then(other.part.cmp(&self.part))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// Reads an index from its first line to its last, a block at a time.
struct Cursor {
    bytes: Bytes,
    blocks: VecDeque<IndexBlock>,
    block: Option<InputBlock>,
    /// The next line of the block.
    line: usize,
}

impl Cursor {
    fn at_start(key: &Key, (index, bytes): BuiltIndex) -> Result<Self, Error> {
        let directory = decode_directory(key, &index, &part(&bytes, index.directory_range()))?;
        Ok(Self { bytes, blocks: directory.blocks.into(), block: None, line: 0 })
    }

    fn next(&mut self, key: &Key) -> Result<Option<CommittedInput>, Error> {
        loop {
            if let Some(block) = self.block.as_ref().filter(|block| self.line < block.len()) {
                self.line += 1;
                let unreadable = || damaged(key, "has a line that can't be read");
                return block.input(self.line - 1).map(Some).ok_or_else(unreadable);
            }
            let Some(block) = self.blocks.pop_front() else { return Ok(None) };
            self.block = Some(block.decode(key, &part(&self.bytes, block.range()))?);
            self.line = 0;
        }
    }
}
