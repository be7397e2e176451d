//! One input index: its directory, once it is needed, and how it is made again if it is lost.
//!
//! Invariant: an index whose directory or block can't be read is mended or reported, never passed over.

use std::ops::{Range, RangeInclusive};

use bytes::Bytes;
use lake::{
    Error, ErrorKind,
    ids::BatchId,
    ledger::{IndexBlock, IndexDirectory, InputBlock, InputIndex, KeyHash, Ledger, Segment},
};
use tracing::warn;
use uuid::Uuid;

/// What to do with an index that was made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mending {
    /// Store it, so that it is made again only once.
    Store,
    /// Keep it in memory: this program changes nothing.
    Keep,
}

/// The input index of one segment.
#[derive(Debug)]
pub(super) struct Index {
    /// Distinguishes its blocks from those of another index.
    id: Uuid,
    /// The segment, as it names the index.
    segment: Segment,
    index: InputIndex,
    /// Its blocks and its filter, once they were read.
    directory: Option<IndexDirectory>,
    /// All its bytes, if it was made again and must not be stored.
    kept: Option<Bytes>,
}

impl Index {
    /// The index that a segment names, if it names one. Sends no request to the store.
    pub(super) fn of(segment: &Segment) -> Option<Self> {
        let index = segment.inputs.clone()?;
        Some(Self { id: Uuid::new_v4(), segment: segment.clone(), index, directory: None, kept: None })
    }

    /// The index of a segment, made from its commits.
    ///
    /// # Errors
    /// As [`Ledger::build_inputs`] and [`Ledger::store_inputs`].
    pub(super) async fn make(ledger: &Ledger, segment: &Segment, mending: Mending) -> Result<Self, Error> {
        let (index, bytes) = ledger.build_inputs(segment).await?;
        let kept = (mending == Mending::Keep).then(|| bytes.clone());
        let named = Segment { inputs: Some(index.clone()), ..segment.clone() };
        if mending == Mending::Store {
            ledger.store_inputs(segment, (index.clone(), bytes)).await?;
        }
        Ok(Self { id: Uuid::new_v4(), segment: named, index, directory: None, kept })
    }

    /// Makes the index again from its segment. It is another one then: its blocks may be other ones.
    ///
    /// # Errors
    /// As [`Index::make`].
    pub(super) async fn mend(&mut self, ledger: &Ledger, mending: Mending) -> Result<(), Error> {
        *self = Self::make(ledger, &self.segment, mending).await?;
        let (first, last) = (self.segment.first.number(), self.segment.last.number());
        warn!(first, last, "the input index of these batches is missing or damaged; made it again from their segment");
        Ok(())
    }

    /// Reads its directory, if that was not done yet.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails; those of [`Index::mend`] when the directory is lost.
    pub(super) async fn open(&mut self, ledger: &Ledger, mending: Mending) -> Result<(), Error> {
        if self.directory.is_some() {
            return Ok(());
        }
        match ledger.index_directory(&self.segment, &self.index, self.kept.as_ref()).await {
            Ok(directory) => self.directory = Some(directory),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.mend(ledger, mending).await?;
                let directory = ledger.index_directory(&self.segment, &self.index, self.kept.as_ref()).await?;
                self.directory = Some(directory);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The inputs in these blocks, each block for itself; `None` if one is damaged.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails.
    pub(super) async fn read(&self, ledger: &Ledger, blocks: Range<usize>) -> Result<Option<Vec<InputBlock>>, Error> {
        let blocks = self.blocks().get(blocks).unwrap_or_default().to_vec();
        match ledger.block_inputs(&self.segment, &self.index, self.kept.as_ref(), blocks).await {
            Ok(inputs) => Ok(Some(inputs)),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The keys that it may have.
    pub(super) fn keys(&self) -> RangeInclusive<&str> {
        self.index.first_key.as_str()..=self.index.last_key.as_str()
    }

    /// The keys that one of its blocks may have.
    pub(super) fn keys_of_block(&self, block: usize) -> RangeInclusive<&str> {
        let blocks = self.blocks();
        let first = blocks.get(block).map_or("", |block| &block.first_key);
        let last = blocks.get(block + 1).map_or(self.index.last_key.as_str(), |next| &next.first_key);
        first..=last
    }

    /// Its blocks that may have one of these keys, which are in order; in order, each once.
    pub(super) fn blocks_of<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Vec<usize> {
        let blocks = self.blocks();
        let mut found: Vec<usize> = Vec::new();
        for key in keys {
            // A key that begins a block may have lines at the end of the block before.
            let first = blocks.partition_point(|block| &*block.first_key < key).saturating_sub(1);
            let end = blocks.partition_point(|block| &*block.first_key <= key);
            let first = found.last().map_or(first, |last| first.max(last + 1));
            found.extend(first..end);
        }
        found
    }

    /// Whether it may have this key. What is not open may have any.
    pub(super) fn may_have(&self, key: KeyHash) -> bool {
        self.directory.as_ref().is_none_or(|directory| directory.may_have(key))
    }

    fn blocks(&self) -> &[IndexBlock] {
        self.directory.as_ref().map_or(&[], |directory| &directory.blocks)
    }

    /// The first and the last batch whose inputs it has.
    pub(super) fn span(&self) -> (BatchId, BatchId) {
        (self.segment.first, self.segment.last)
    }

    /// The segment, as it names the index.
    pub(super) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// How many inputs in it are accounted for for good.
    pub(super) fn inputs(&self) -> u64 {
        self.index.inputs
    }

    /// Distinguishes it from every other index of this process.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }
}
