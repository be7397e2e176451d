//! What commits account for: every version of every object that was read.
//!
//! A stream may have hundreds of millions of inputs, so they are not in memory. Those up to the newest snapshot are in
//! its input indexes, of which only the directories, the filters of those that were needed, and a bounded number of blocks
//! are kept; the inputs of the commits since then are kept until the next snapshot covers them. Invariant: an input whose index is lost is never taken for
//! an unknown one: the index is made again from its segment, or the look fails.

mod cache;
mod index;
mod page;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt, stream};
use lake::{
    Error,
    ids::BatchId,
    keys::Key,
    ledger::{CommittedInput, CommittedInputs, InputBlock, Ledger, Outcome, Segment, Snapshot},
};

use cache::BlockCache;
use index::Index;
pub use index::Mending;
pub use page::KnownAs;
use page::{Damaged, Page};

/// How much memory the blocks of indexes take: all blocks of a small stream, so that looking at a small prefix again and
/// again reads nothing, and a block of each of a thousand indexes, so that a long listing of names in no order of time
/// reads each block about once.
const CACHE_BYTES: usize = 128 << 20;

/// How many indexes are searched with one round of reads.
const INDEXES_AT_ONCE: usize = 64;

/// How many blocks are searched with one round of reads.
const BLOCKS_AT_ONCE: usize = 64;

/// How many segments without an index are read at once; each takes as much memory as a run that is sorted.
const SEGMENTS_AT_ONCE: usize = 2;

/// How many reads are under way at once: enough to hide a store's latency.
const READS_AT_ONCE: usize = 16;

/// The inputs that commits account for.
#[derive(Debug)]
pub struct KnownInputs {
    ledger: Ledger,
    mending: Mending,
    /// The last batch whose inputs are in the indexes.
    covered: Option<BatchId>,
    /// In the order of their batches.
    indexes: Vec<Index>,
    /// The inputs of the commits since then, each sorted by key.
    recent: BTreeMap<BatchId, Vec<CommittedInput>>,
    cache: BlockCache,
}

/// A block of an index that may have what is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Among the indexes.
    index: usize,
    /// Among its blocks.
    block: usize,
}

impl KnownInputs {
    /// No input of this stream is known yet. Sends no request to the store.
    pub fn new(ledger: Ledger, mending: Mending) -> Self {
        let (indexes, recent) = (Vec::new(), BTreeMap::new());
        Self { ledger, mending, covered: None, indexes, recent, cache: BlockCache::new(CACHE_BYTES) }
    }

    /// Adds what a commit accounts for, unless an index has it already.
    pub fn add(&mut self, commit: CommittedInputs) {
        if Some(commit.batch) > self.covered {
            let mut inputs = commit.inputs;
            // Stable: two versions of one object stay in the commit's order.
            inputs.sort_by(|one, other| one.key.cmp(&other.key));
            self.recent.insert(commit.batch, inputs);
        }
    }

    /// Takes the inputs up to a snapshot's batch from its indexes from now on, and forgets what it kept of them.
    ///
    /// Reads nothing, unless a segment has no index: an earlier program wrote it, and its index is made now. An older
    /// snapshot than the last one changes nothing.
    ///
    /// # Errors
    /// [`Error::Damaged`] when such a segment is lost or damaged; [`Error::Store`] when the store fails. Nothing has
    /// changed then.
    pub async fn cover(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let (mut batch, mut taken) = (snapshot.batch, self.take_over(snapshot).await);
        while let Err(error) = taken {
            let newer = self.ledger.replaced(error, Some(batch)).await?;
            (batch, taken) = (newer.batch, self.take_over(&newer).await);
        }
        Ok(())
    }

    async fn take_over(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        if Some(snapshot.batch) <= self.covered {
            return Ok(());
        }
        let before: HashSet<_> = self.indexes.iter().map(Index::span).collect();
        let is_made = |segment: &&Segment| segment.inputs.is_none() && !before.contains(&(segment.first, segment.last));
        let made = snapshot.segments.iter().filter(is_made).map(|segment| self.make(segment));
        let made: Vec<_> = made.collect();
        let made: Vec<Index> = stream::iter(made).buffered(SEGMENTS_AT_ONCE).try_collect().await?;
        let before = std::mem::take(&mut self.indexes).into_iter().chain(made);
        let mut before: HashMap<_, _> = before.map(|index| (index.span(), index)).collect();
        for segment in &snapshot.segments {
            let kept = before.remove(&(segment.first, segment.last));
            self.indexes.extend(kept.or_else(|| Index::of(segment)));
        }
        before.into_values().for_each(|gone| self.cache.forget(gone.id()));
        self.recent.retain(|batch, _| *batch > snapshot.batch);
        self.covered = Some(snapshot.batch);
        Ok(())
    }

    async fn make(&self, segment: &Segment) -> Result<Index, Error> {
        let (first, last) = (segment.first.number(), segment.last.number());
        tracing::info!(first, last, "an earlier program wrote these batches' segment; making the index of its inputs");
        Index::make(&self.ledger, segment, self.mending).await
    }

    /// The snapshot, with the indexes that were made again in the place of those that it names, so that the next one
    /// names them.
    pub fn mended(&self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let made = self.indexes.iter().map(Index::segment);
        if self.covered != Some(snapshot.batch) || made.clone().eq(&snapshot.segments) {
            return snapshot;
        }
        Arc::new(Snapshot { segments: made.cloned().collect(), ..Snapshot::clone(&snapshot) })
    }

    /// What is known of each of these versions of objects, given by key and ETag, in the order given.
    ///
    /// Reads the blocks of the indexes that may have them, several at a time, and none twice as long as the cache has
    /// it. Costs least for keys that are close to each other.
    ///
    /// # Errors
    /// [`Error::Damaged`] when an index is lost and its segment too; [`Error::Store`] when the store fails.
    pub async fn look_up<'a>(
        &mut self,
        versions: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Vec<KnownAs>, Error> {
        let versions: Vec<_> = versions.into_iter().collect();
        loop {
            let error = match self.decide(&versions).await {
                Ok(known_as) => return Ok(known_as),
                Err(error) => error,
            };
            let newer = self.ledger.replaced(error, self.covered).await?;
            self.cover(&newer).await?;
        }
    }

    async fn decide(&mut self, versions: &[(&str, &str)]) -> Result<Vec<KnownAs>, Error> {
        // Each round but the last has made an index again.
        for _ in 0..=self.indexes.len() {
            let mut page = Page::of(versions);
            if self.search(&mut page).await? {
                return Ok(page.answers());
            }
        }
        let key = Key::LatestSnapshot { stream: self.ledger.stream().clone() };
        let what = "leads to indexes that can't be read after they were made again; look for a fault of the store";
        Err(Error::damaged(key, what))
    }

    /// Compares the page with all that is known; false if an index was made again meanwhile.
    async fn search(&mut self, page: &mut Page<'_>) -> Result<bool, Error> {
        for inputs in self.recent.values().rev() {
            let Ok(()) = page.compare(inputs) else {
                return Err(Error::Bug("an input in memory is damaged".to_owned()));
            };
        }
        let mut end = self.indexes.len();
        while end > 0 && !page.is_decided() {
            let start = end.saturating_sub(INDEXES_AT_ONCE);
            for places in self.places(start..end, page).await?.chunks(BLOCKS_AT_ONCE) {
                if !self.compare(places, page).await? {
                    return Ok(false);
                }
            }
            end = start;
        }
        Ok(true)
    }

    /// The blocks of these indexes that may have what is undecided, the newest first.
    async fn places(&mut self, range: Range<usize>, page: &Page<'_>) -> Result<Vec<Place>, Error> {
        let wanted = |index: &&mut Index| page.undecided(index.keys()).next().is_some();
        let wanted: Vec<&mut Index> = self.indexes[range.clone()].iter_mut().filter(wanted).collect();
        let opened: Vec<_> = wanted.into_iter().map(|index| index.open(&self.ledger, self.mending)).collect();
        stream::iter(opened).buffer_unordered(READS_AT_ONCE).try_collect::<()>().await?;
        let mut places = Vec::new();
        for at in range.rev() {
            let index = &self.indexes[at];
            let keys = page.undecided(index.keys()).filter(|(_, hash)| index.may_have(*hash));
            let blocks = index.blocks_of(keys.map(|(key, _)| key));
            places.extend(blocks.into_iter().rev().map(|block| Place { index: at, block }));
        }
        Ok(places)
    }

    /// Compares the page with these blocks, which are in the order of [`KnownInputs::places`]; false if one was damaged
    /// and its index made again.
    async fn compare(&mut self, places: &[Place], page: &mut Page<'_>) -> Result<bool, Error> {
        // What was undecided when the places were collected may have been found since.
        let is_needed = |place: &&Place| {
            let keys = self.indexes[place.index].keys_of_block(place.block);
            page.undecided(keys).any(|(_, hash)| self.indexes[place.index].may_have(hash))
        };
        let places: Vec<Place> = places.iter().filter(is_needed).copied().collect();
        let cached = |place: &Place| self.cache.get(self.indexes[place.index].id(), place.block);
        let mut blocks: Vec<Option<Arc<InputBlock>>> = places.iter().map(cached).collect();
        let missing: Vec<Place> =
            places.iter().zip(&blocks).filter(|(_, block)| block.is_none()).map(|(place, _)| *place).collect();
        let mut read = match self.read(&missing).await? {
            Ok(read) => read.into_iter(),
            Err(damaged) => {
                self.mend(damaged).await?;
                return Ok(false);
            }
        };
        for (place, block) in places.iter().zip(&mut blocks) {
            if block.is_none() {
                let inputs = read.next().ok_or_else(|| Error::Bug("a block was not read".to_owned()))?;
                *block = Some(self.cache.insert(self.indexes[place.index].id(), place.block, inputs));
            }
        }
        for (place, block) in places.iter().zip(blocks.iter().flatten()) {
            if let Err(Damaged) = page.compare(&**block) {
                self.mend(place.index).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes a damaged index again.
    async fn mend(&mut self, index: usize) -> Result<(), Error> {
        self.cache.forget(self.indexes[index].id());
        self.indexes[index].mend(&self.ledger, self.mending).await
    }

    /// The inputs in these blocks, in their order; neighbours are read together. Instead of them, an index that is
    /// damaged.
    async fn read(&self, places: &[Place]) -> Result<Result<Vec<InputBlock>, usize>, Error> {
        let follows = |one: &Place, next: &Place| one.index == next.index && one.block == next.block + 1;
        let reads: Vec<_> = places.chunk_by(follows).map(|run| self.read_run(run)).collect();
        let read: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        Ok(read.into_iter().collect::<Result<Vec<_>, usize>>().map(|runs| runs.into_iter().flatten().collect()))
    }

    /// The inputs in neighbouring blocks of one index, the last block first; or the index, if it is damaged.
    async fn read_run(&self, run: &[Place]) -> Result<Result<Vec<InputBlock>, usize>, Error> {
        let (Some(last), Some(first)) = (run.first(), run.last()) else { return Ok(Ok(Vec::new())) };
        let read = self.indexes[first.index].read(&self.ledger, first.block..last.block + 1).await?;
        Ok(read.map(|inputs| inputs.into_iter().rev().collect()).ok_or(first.index))
    }

    /// How many inputs are known.
    pub fn len(&self) -> u64 {
        let is_final = |input: &&CommittedInput| input.outcome != Outcome::Deferred;
        let recent: u64 = self.recent.values().map(|inputs| inputs.iter().filter(is_final).count() as u64).sum();
        self.indexes.iter().map(Index::inputs).sum::<u64>() + recent
    }

    /// Whether no input is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many commits since the last snapshot are kept in memory.
    pub fn recent_commits(&self) -> usize {
        self.recent.len()
    }
}
