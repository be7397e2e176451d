//! Input indexes in a store: reads their parts, and makes lost ones again from their segments.
//!
//! Invariant: an index is stored only under the name that covers its bytes.

use std::ops::Range;

use bytes::Bytes;
use object_store::ObjectStoreExt;

use super::{
    BuiltIndex, CommittedInputs, IndexBlock, IndexBuilder, IndexDirectory, InputBlock, InputIndex, build::same_inputs,
    decode_directory, frames, merge,
};
use crate::{
    error::Error,
    keys::Key,
    ledger::{FromCommitFile, Ledger, Segment, snapshot::read_segment},
    store::Created,
};

impl Ledger {
    /// The directory of a segment's index, with its filter; from `kept`, if these are its bytes, and otherwise from the
    /// store.
    ///
    /// # Errors
    /// - [`Error::Damaged`]: it is missing or not what its snapshot says; [`Ledger::build_inputs`] makes it again.
    /// - [`Error::Store`]: the store failed.
    pub async fn index_directory(
        &self,
        segment: &Segment,
        index: &InputIndex,
        kept: Option<&Bytes>,
    ) -> Result<IndexDirectory, Error> {
        let key = segment.key_of_index(&self.stream, index);
        let bytes = self.part_of_index(&key, index, index.directory_range(), kept).await?;
        let index = index.clone();
        compute(move || decode_directory(&key, &index, &bytes)).await
    }

    /// The inputs in consecutive blocks of a segment's index, block by block, with one read.
    ///
    /// # Errors
    /// As [`Ledger::index_directory`].
    pub async fn block_inputs(
        &self,
        segment: &Segment,
        index: &InputIndex,
        kept: Option<&Bytes>,
        blocks: Vec<IndexBlock>,
    ) -> Result<Vec<InputBlock>, Error> {
        let key = segment.key_of_index(&self.stream, index);
        let start = blocks.first().map_or(0, |block| block.offset);
        let end = blocks.last().map_or(start, |block| block.range().end);
        let bytes = self.part_of_index(&key, index, start..end, kept).await?;
        let decode = move || {
            let of_block = |block: &IndexBlock| {
                let range = block.offset.saturating_sub(start)..block.range().end.saturating_sub(start);
                block.decode(&key, &frames::part(&bytes, range))
            };
            blocks.iter().map(of_block).collect()
        };
        compute(decode).await
    }

    /// The bytes of `range`, all of them.
    async fn part_of_index(
        &self,
        key: &Key,
        index: &InputIndex,
        range: Range<u64>,
        kept: Option<&Bytes>,
    ) -> Result<Bytes, Error> {
        if range.start >= range.end || range.end > index.size {
            return Err(frames::damaged(key, "is described by its snapshot with sizes that do not fit"));
        }
        let length = range.end - range.start;
        let read = match kept {
            Some(bytes) => Ok(Some(frames::part(bytes, range))),
            None => self.lake.read_range(key, range).await,
        };
        match read {
            Ok(Some(bytes)) if bytes.len() as u64 == length => Ok(bytes),
            Ok(Some(_)) => Err(frames::damaged(key, "is shorter than its snapshot says")),
            Ok(None) => Err(frames::damaged(key, "is missing")),
            // A store refuses a range beyond the object's end in its own way.
            Err(error) => match self.lake.head(key).await {
                Ok(Some(found)) if found.size == index.size => Err(error),
                Ok(_) => Err(frames::damaged(key, "is shorter than its snapshot says")),
                Err(_) => Err(error),
            },
        }
    }

    /// The input index of a segment, made from its commits. Stores nothing.
    ///
    /// # Errors
    /// - [`Error::Damaged`]: the segment is missing, or not what its snapshot says.
    /// - [`Error::Store`]: the store failed.
    pub async fn build_inputs(&self, segment: &Segment) -> Result<BuiltIndex, Error> {
        let key = segment.key(&self.stream);
        let bytes = self.segment_bytes(&key).await?;
        let segment = segment.clone();
        compute(move || index_of(&key, &segment, &bytes)).await
    }

    /// Checks that the index that a segment names contains exactly the inputs of its commits.
    ///
    /// # Errors
    /// - [`Error::Damaged`]: it does not, or the segment is damaged.
    /// - [`Error::Store`]: the store failed.
    pub async fn check_inputs(&self, segment: &Segment) -> Result<(), Error> {
        let Some(index) = &segment.inputs else { return Ok(()) };
        let key = segment.key_of_index(&self.stream, index);
        let stored = self.read_exactly(&key, &index.sha256).await?;
        let stored =
            stored.ok_or_else(|| frames::damaged(&key, "is missing, or has other bytes than its snapshot says"))?;
        let (made, stored) = (self.build_inputs(segment).await?, (index.clone(), stored));
        compute(move || match same_inputs(&key, stored, made)? {
            true => Ok(()),
            false => Err(frames::damaged(&key, "does not contain exactly the inputs of its segment")),
        })
        .await
    }

    /// Stores a segment's index, in the place of a damaged one. Returns the segment with it.
    ///
    /// # Errors
    /// [`Error::Store`]: the store failed; call again.
    pub async fn store_inputs(&self, segment: &Segment, (index, bytes): BuiltIndex) -> Result<Segment, Error> {
        let key = segment.key_of_index(&self.stream, &index);
        if let Created::Theirs(_) = self.lake.create(&key, bytes.clone()).await? {
            // The name covers the checksum of these bytes: what is stored there is damaged.
            let put = self.lake.store(&key).put(&self.lake.path(&key), bytes.into()).await;
            put.map_err(Error::store(format!("write {key}")))?;
        }
        Ok(Segment { inputs: Some(index), ..segment.clone() })
    }

    /// The segment with its index, which is made and stored if its snapshot names none.
    pub(in crate::ledger) async fn indexed(&self, segment: &Segment) -> Result<Segment, Error> {
        match segment.inputs {
            Some(_) => Ok(segment.clone()),
            None => self.store_inputs(segment, self.build_inputs(segment).await?).await,
        }
    }

    /// The index of consecutive segments, whose bytes are given. One that is lost or damaged is made again.
    pub(in crate::ledger) async fn merged_inputs(&self, parts: &[(Segment, Bytes)]) -> Result<BuiltIndex, Error> {
        let mut indexes = Vec::with_capacity(parts.len());
        for (segment, bytes) in parts {
            indexes.push(match self.whole_index(segment).await? {
                Some(index) => index,
                None => {
                    let (key, segment, bytes) = (segment.key(&self.stream), segment.clone(), bytes.clone());
                    compute(move || index_of(&key, &segment, &bytes)).await?
                }
            });
        }
        let Some((first, _)) = parts.first() else { return Err(Error::Bug("a merge of nothing".to_owned())) };
        let key = first.key(&self.stream);
        compute(move || merge(&key, indexes)).await
    }

    /// A whole index; `None` if it is not what its snapshot says.
    async fn whole_index(&self, segment: &Segment) -> Result<Option<BuiltIndex>, Error> {
        let Some(index) = &segment.inputs else { return Ok(None) };
        let key = segment.key_of_index(&self.stream, index);
        let bytes = self.read_exactly(&key, &index.sha256).await?;
        if bytes.is_none() {
            tracing::warn!(%key, "an input index is missing or damaged; making it again from its segment");
        }
        Ok(bytes.map(|bytes| (index.clone(), bytes)))
    }
}

/// The index of the commits in a segment's bytes.
fn index_of(key: &Key, segment: &Segment, bytes: &[u8]) -> Result<BuiltIndex, Error> {
    let mut builder = IndexBuilder::default();
    read_segment(key, segment, bytes, |file| builder.add(CommittedInputs::from_commit_file(key, file)?.inputs))?;
    builder.finish(key)
}

/// Decompressing, sorting and parsing need a core; they must not block the threads that wait for the store.
pub(in crate::ledger) async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Bug(format!("reading a segment or an index ended without a result: {error}"))),
    }
}
