//! Decoded blocks of input indexes, as many as fit into a bounded number of bytes.
//!
//! The least recently used ones make room. Invariant: what is kept takes at most the limit, or is one block.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use lake::ledger::InputBlock;
use uuid::Uuid;

/// An index, and the place of a block in it.
type BlockId = (Uuid, usize);

/// Blocks that were used lately.
#[derive(Debug)]
pub(super) struct BlockCache {
    bytes_max: usize,
    bytes: usize,
    blocks: HashMap<BlockId, Kept>,
    /// By the time of their last use.
    used: BTreeMap<u64, BlockId>,
    time: u64,
}

#[derive(Debug)]
struct Kept {
    block: Arc<InputBlock>,
    bytes: usize,
    used: u64,
}

impl BlockCache {
    /// An empty cache.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, blocks: HashMap::new(), used: BTreeMap::new(), time: 0 }
    }

    /// A block, if it is kept.
    pub(super) fn get(&mut self, index: Uuid, block: usize) -> Option<Arc<InputBlock>> {
        let kept = self.blocks.get_mut(&(index, block))?;
        self.time += 1;
        self.used.remove(&kept.used);
        kept.used = self.time;
        self.used.insert(self.time, (index, block));
        Some(Arc::clone(&kept.block))
    }

    /// Keeps a block, and returns it.
    pub(super) fn insert(&mut self, index: Uuid, block: usize, inputs: InputBlock) -> Arc<InputBlock> {
        let id = (index, block);
        self.remove(id);
        let bytes = inputs.memory();
        let block = Arc::new(inputs);
        self.time += 1;
        self.bytes += bytes;
        self.used.insert(self.time, id);
        self.blocks.insert(id, Kept { block: Arc::clone(&block), bytes, used: self.time });
        while self.bytes > self.bytes_max
            && let Some((_, least)) = self.used.first_key_value()
            && *least != id
        {
            self.remove(*least);
        }
        block
    }

    /// Drops the blocks of an index.
    pub(super) fn forget(&mut self, index: Uuid) {
        let of_index: Vec<BlockId> = self.blocks.keys().filter(|(of, _)| *of == index).copied().collect();
        of_index.into_iter().for_each(|id| self.remove(id));
    }

    fn remove(&mut self, id: BlockId) {
        if let Some(kept) = self.blocks.remove(&id) {
            self.bytes -= kept.bytes;
            self.used.remove(&kept.used);
        }
    }
}
