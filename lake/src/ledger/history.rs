//! History: every commit of a stream in order, old ones from the newest snapshot and the rest one by one.
//!
//! The only way in which programs learn what a stream has done, so that an old stream costs none of them more than
//! needed. Invariant: the result is each commit once, in order, without a gap.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::ObjectStoreExt;

use super::{
    BuiltIndex, Commit, CommittedInputs, Ledger, READS_AT_ONCE, decode, encode, encode_readable,
    inputs::{IndexBuilder, compute},
    snapshot::{COMMITS_PER_SNAPSHOT, Latest, Segment, Snapshot, compress, due_for_merge, read_segment},
};
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind},
    ids::{BatchId, sha256_hex},
    keys::{Key, Prefix},
    store::Created,
};

/// How many segments are read at a time; each takes memory in proportion to what the reader keeps of its commits.
const SEGMENTS_AT_ONCE: usize = 2;

/// With this many commits after the hinted snapshot, the hint is probably stale.
const MANY_COMMITS: usize = 2 * COMMITS_PER_SNAPSHOT as usize;

/// What a reader of the history keeps of each commit file.
///
/// A commit of many inputs is large: a reader that needs only a part of it implements this for that part.
pub trait FromCommitFile: Sized + Send + 'static {
    /// Reads the file `key`.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the file.
    fn from_commit_file(key: &Key, bytes: &[u8]) -> Result<Self, Error>;

    /// Reads a commit file in the segment `key`: a snapshot covers it, and its inputs are in the segment's index.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the segment.
    fn from_segment(key: &Key, bytes: &[u8]) -> Result<Self, Error> {
        Self::from_commit_file(key, bytes)
    }
}

impl FromCommitFile for Commit {
    fn from_commit_file(key: &Key, bytes: &[u8]) -> Result<Self, Error> {
        let commit: Self = decode(key, bytes)?;
        commit.check_balance().map_err(|what| Error::damaged(key, what))?;
        Ok(commit)
    }
}

/// What a stream has committed.
pub struct History<'a, T> {
    /// The snapshot that the old commits are read from; `None` if they are all read one by one.
    pub snapshot: Option<Snapshot>,
    /// The last committed batch, if there is one.
    pub last: Option<BatchId>,
    /// The commits, in order.
    pub commits: BoxStream<'a, Result<T, Error>>,
}

/// Reads a commit file found under a key.
type ReadCommit<T> = fn(&Key, &[u8]) -> Result<T, Error>;

/// Which commits to read.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    after: Option<BatchId>,
    last: BatchId,
}

impl Wanted {
    /// Those of consecutive segments that have some of them.
    fn among(self, segments: Vec<Segment>) -> Vec<Segment> {
        let has_some = |segment: &Segment| Some(segment.last) > self.after && segment.first <= self.last;
        segments.into_iter().filter(has_some).collect()
    }
}

/// The batch before this one, if it is not the first.
fn before(batch: BatchId) -> Option<BatchId> {
    BatchId::new(batch.number() - 1)
}

impl Ledger {
    /// Every commit of the stream, from the first on: [`Ledger::history_after`] nothing.
    ///
    /// # Errors
    /// As [`Ledger::history_after`].
    pub async fn history<T: FromCommitFile>(&self) -> Result<History<'_, T>, Error> {
        self.history_after(None).await
    }

    /// Every commit of the stream after batch `after`.
    ///
    /// Costs one listing of the commits since `after` or since the newest snapshot, and a few reads in addition to
    /// those of the segments and commits. A second listing, of snapshots, is needed only if the hint to the newest one
    /// is stale or missing, or if commits that the reader has not seen are already deleted.
    ///
    /// # Errors
    /// - [`Error::Damaged`]: a file is missing, unreadable, or does not match another; items can be this too.
    /// - [`Error::Store`]: the store failed.
    pub async fn history_after<T: FromCommitFile>(&self, after: Option<BatchId>) -> Result<History<'_, T>, Error> {
        let hinted = match after {
            Some(_) => None,
            None => self.hinted_snapshot().await?,
        };
        let (snapshot, covered, tail) = self.extent(hinted, after).await?;
        let segments = snapshot.as_ref().map(|snapshot| snapshot.segments.clone()).unwrap_or_default();
        let unread = segments.into_iter().filter(move |segment| Some(segment.last) > after);
        let old = stream::iter(unread)
            .map(move |segment| {
                let wanted = Wanted { after: after.max(before(segment.first)), last: segment.last };
                self.covered_commits(vec![segment], covered, wanted, T::from_segment)
            })
            .buffered(SEGMENTS_AT_ONCE)
            .flat_map(|read| match read {
                Ok(commits) => stream::iter(commits).map(Ok).boxed(),
                Err(error) => stream::once(async { Err(error) }).boxed(),
            });
        let last = tail.last().copied().or(covered);
        Ok(History { snapshot, last, commits: old.chain(self.commit_files(tail)).boxed() })
    }

    /// The commits after the newest snapshot alone, and that snapshot: no segment is read. `hinted` is what
    /// [`Ledger::hinted_snapshot`] has found.
    ///
    /// # Errors
    /// As [`Ledger::history_after`], for what is read.
    pub async fn history_after_snapshot<T: FromCommitFile>(
        &self,
        hinted: Option<Snapshot>,
    ) -> Result<History<'_, T>, Error> {
        let (snapshot, covered, tail) = self.extent(hinted, None).await?;
        let last = tail.last().copied().or(covered);
        Ok(History { snapshot, last, commits: self.commit_files(tail) })
    }

    /// The newest snapshot, as far as the hint to it shows; `None` without a hint.
    ///
    /// # Errors
    /// As [`Ledger::history_after`].
    pub async fn hinted_snapshot(&self) -> Result<Option<Snapshot>, Error> {
        let Some(hinted) = self.latest().await? else { return Ok(None) };
        if let Some(snapshot) = self.snapshot(hinted).await? {
            return Ok(Some(snapshot));
        }
        // A later one may have replaced it.
        let newest = self.listed_snapshot().await?.filter(|newest| newest.batch > hinted);
        let key = self.snapshot_key(hinted);
        newest.map(Some).ok_or_else(|| Error::damaged(key, "is missing, though it is the newest; restore it"))
    }

    /// A snapshot after batch `than`, if there is one.
    ///
    /// # Errors
    /// As [`Ledger::history_after`].
    pub async fn newer_snapshot(&self, than: Option<BatchId>) -> Result<Option<Snapshot>, Error> {
        let is_newer = |snapshot: &Snapshot| Some(snapshot.batch) > than;
        match self.hinted_snapshot().await?.filter(is_newer) {
            Some(newer) => Ok(Some(newer)),
            // The hint may be stale.
            None => Ok(self.listed_snapshot().await?.filter(is_newer)),
        }
    }

    /// The snapshot to go on from after damage in what one up to batch `covered` names: another consumer may have merged
    /// that into a newer one and deleted it.
    ///
    /// # Errors
    /// The same error, if it is not damage or that snapshot is the newest. Others as [`Ledger::history_after`].
    pub async fn replaced(&self, error: Error, covered: Option<BatchId>) -> Result<Snapshot, Error> {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        self.newer_snapshot(covered).await?.ok_or(error)
    }

    /// The last commit that a snapshot covers, from its own file or, if that is deleted, from its segment.
    ///
    /// # Errors
    /// As [`Ledger::history_after`].
    pub async fn last_covered<T: FromCommitFile>(&self, snapshot: &Snapshot) -> Result<T, Error> {
        let key = self.commit_key(snapshot.batch);
        if let Some(bytes) = self.lake.read(&key).await? {
            return T::from_commit_file(&key, &bytes);
        }
        let lost = || Error::damaged(&key, "is missing, and no segment contains it; restore it from a backup");
        let segment = snapshot.segments.last().cloned().ok_or_else(lost)?;
        let wanted = Wanted { after: before(snapshot.batch), last: snapshot.batch };
        let read = self.covered_commits(vec![segment], Some(snapshot.batch), wanted, T::from_segment).await?;
        read.into_iter().next_back().ok_or_else(lost)
    }

    /// The snapshot to read, the last batch that it or the reader has, and the commits after that.
    async fn extent(
        &self,
        mut snapshot: Option<Snapshot>,
        after: Option<BatchId>,
    ) -> Result<(Option<Snapshot>, Option<BatchId>, Vec<BatchId>), Error> {
        let covered = snapshot.as_ref().map(|snapshot| snapshot.batch).or(after);
        let mut listed = self.commit_numbers(covered).await?;
        let has_gap = listed.first().is_some_and(|first| *first != covered.map_or(BatchId::FIRST, BatchId::next));
        if has_gap || (after.is_none() && listed.len() >= MANY_COMMITS) {
            let newest = self.listed_snapshot().await?.filter(|newest| Some(newest.batch) > covered);
            snapshot = newest.or(snapshot);
        }
        let covered = snapshot.as_ref().map(|snapshot| snapshot.batch).or(after);
        listed.retain(|batch| Some(*batch) > covered);
        let tail = self.without_gap(covered, &listed).await?;
        Ok((snapshot, covered, tail))
    }

    /// Reads these commits, several at a time, in the order given.
    fn commit_files<T: FromCommitFile>(&self, batches: Vec<BatchId>) -> BoxStream<'_, Result<T, Error>> {
        stream::iter(batches).map(|batch| self.tail_commit(batch)).buffered(READS_AT_ONCE).boxed()
    }

    /// Reads a commit that no snapshot covered when it was listed.
    async fn tail_commit<T: FromCommitFile>(&self, batch: BatchId) -> Result<T, Error> {
        let error = match self.commit_file(batch).await {
            Ok(bytes) => return T::from_commit_file(&self.commit_key(batch), &bytes),
            Err(error) => error,
        };
        // A newer snapshot may have retired it, and then a segment contains it.
        let lost = error.to_string();
        let newer = self.replaced(error, before(batch)).await?;
        let wanted = Wanted { after: before(batch), last: batch };
        let segments = wanted.among(newer.segments);
        let read = self.covered_commits(segments, Some(newer.batch), wanted, T::from_commit_file).await?;
        read.into_iter().next_back().ok_or_else(|| Error::damaged(self.commit_key(batch), lost))
    }

    async fn commit_file(&self, batch: BatchId) -> Result<Bytes, Error> {
        let key = self.commit_key(batch);
        let bytes = self.lake.read(&key).await?;
        bytes.ok_or_else(|| Error::damaged(key, "was listed and is gone; restore it from a backup"))
    }

    /// The wanted commits from segments of a snapshot up to batch `covered`, or from the snapshot that replaced it.
    async fn covered_commits<T: FromCommitFile>(
        &self,
        mut segments: Vec<Segment>,
        mut covered: Option<BatchId>,
        wanted: Wanted,
        read: ReadCommit<T>,
    ) -> Result<Vec<T>, Error> {
        loop {
            match self.commits_of_segments(&segments, wanted, read).await {
                Ok(commits) => return Ok(commits),
                Err(error) => {
                    let newer = self.replaced(error, covered).await?;
                    (segments, covered) = (wanted.among(newer.segments), Some(newer.batch));
                }
            }
        }
    }

    async fn commits_of_segments<T: FromCommitFile>(
        &self,
        segments: &[Segment],
        wanted: Wanted,
        read: ReadCommit<T>,
    ) -> Result<Vec<T>, Error> {
        let mut commits = Vec::new();
        for segment in segments {
            commits.extend(self.segment_commits(segment.clone(), wanted, read).await?);
        }
        Ok(commits)
    }

    /// The wanted commits in a segment.
    async fn segment_commits<T: FromCommitFile>(
        &self,
        segment: Segment,
        wanted: Wanted,
        read: ReadCommit<T>,
    ) -> Result<Vec<T>, Error> {
        let key = segment.key(&self.stream);
        let bytes = self.segment_bytes(&key).await?;
        compute(move || {
            let mut number = segment.first;
            let commits = read_segment(&key, &segment, &bytes, |file| {
                let is_wanted = Some(number) > wanted.after && number <= wanted.last;
                number = number.next();
                if is_wanted { read(&key, file).map(Some) } else { Ok(None) }
            })?;
            Ok(commits.into_iter().flatten().collect())
        })
        .await
    }

    /// An object's bytes; `None` if it is missing or they have another SHA-256 than this one in hex.
    pub(super) async fn read_exactly(&self, key: &Key, sha256: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.lake.read(key).await?.filter(|bytes| sha256_hex(bytes) == sha256))
    }

    /// A segment's bytes as they are stored.
    pub(super) async fn segment_bytes(&self, key: &Key) -> Result<Bytes, Error> {
        let bytes = self.lake.read(key).await?;
        bytes.ok_or_else(|| Error::damaged(key, "is missing, though a snapshot names it; restore it"))
    }

    /// The newest snapshot, found by a listing.
    async fn listed_snapshot(&self) -> Result<Option<Snapshot>, Error> {
        let mut listing = self.lake.list(&Prefix::Snapshots(&self.stream), None);
        let mut newest = None;
        while let Some(listed) = listing.try_next().await? {
            match Key::parse(&listed.key) {
                Ok(Key::Snapshot { batch, .. }) => newest = newest.max(Some(batch)),
                Ok(Key::LatestSnapshot { .. }) => {}
                _ => return Err(Error::damaged(listed.key, "is not a file of a ledger; move it elsewhere")),
            }
        }
        match newest {
            Some(batch) => self.snapshot(batch).await,
            None => Ok(None),
        }
    }

    async fn snapshot(&self, batch: BatchId) -> Result<Option<Snapshot>, Error> {
        let key = self.snapshot_key(batch);
        let Some(snapshot) = self.read::<Snapshot>(&key).await? else { return Ok(None) };
        self.check_owner(&key, &snapshot.stream, snapshot.batch, batch)?;
        snapshot.check_cover().map_err(|what| Error::damaged(&key, what))?;
        Ok(Some(snapshot))
    }

    async fn latest(&self) -> Result<Option<BatchId>, Error> {
        let key = Key::LatestSnapshot { stream: self.stream.clone() };
        let Some(bytes) = self.lake.read(&key).await? else { return Ok(None) };
        match decode::<Latest>(&key, &bytes) {
            Ok(latest) => Ok(Some(latest.batch)),
            Err(error) => {
                tracing::warn!(%error, "the hint to the newest snapshot can't be read; listing snapshots if needed");
                Ok(None)
            }
        }
    }

    /// Writes a snapshot up to `last` after `previous`, if enough was committed since, and returns the newest.
    ///
    /// Reads each commit since `previous` once, and each segment of an earlier program that has no input index. Adopts
    /// what another consumer wrote meanwhile, and goes on from its snapshot where that has replaced `previous`. Deletes
    /// plans and commits that `previous` covers and that were committed before `keep_after`, if that is given.
    ///
    /// # Errors
    /// [`Error::Store`]: the store failed; nothing is lost, and the next call catches up.
    /// [`Error::Damaged`]: a commit or segment is not what it should be.
    pub async fn snapshot_if_due(
        &self,
        previous: Option<Arc<Snapshot>>,
        last: BatchId,
        keep_after: Option<Timestamp>,
    ) -> Result<Option<Arc<Snapshot>>, Error> {
        let mut previous = previous;
        loop {
            let covered = previous.as_ref().map(|snapshot| snapshot.batch);
            match self.snapshot_after(previous, last, keep_after).await {
                Ok(snapshot) => return Ok(snapshot),
                Err(error) => previous = Some(Arc::new(self.replaced(error, covered).await?)),
            }
        }
    }

    async fn snapshot_after(
        &self,
        previous: Option<Arc<Snapshot>>,
        last: BatchId,
        keep_after: Option<Timestamp>,
    ) -> Result<Option<Arc<Snapshot>>, Error> {
        let covered = previous.as_ref().map_or(0, |snapshot| snapshot.batch.number());
        let due = (last.number() - covered.min(last.number())) / COMMITS_PER_SNAPSHOT;
        if due == 0 {
            return Ok(previous);
        }
        let mut segments = Vec::new();
        for segment in previous.iter().flat_map(|snapshot| &snapshot.segments) {
            segments.push(self.indexed(segment).await?);
        }
        for run in 0..due {
            let first = covered + run * COMMITS_PER_SNAPSHOT + 1;
            segments.push(self.segment_of(first, first + COMMITS_PER_SNAPSHOT - 1).await?);
            loop {
                let merged = due_for_merge(&segments);
                if merged == 0 {
                    break;
                }
                let parts = segments.split_off(segments.len() - merged);
                segments.push(self.merge(parts).await?);
            }
        }
        let Some(last) = segments.last().map(|segment| segment.last) else { return Ok(previous) };
        let before = previous.as_ref().and_then(|snapshot| snapshot.retired);
        let retired = match &previous {
            Some(previous) => self.retired_by(previous, keep_after).await?,
            None => None,
        };
        let snapshot = Snapshot { stream: self.stream.clone(), batch: last, segments, retired };
        let key = self.snapshot_key(last);
        let snapshot = match self.lake.create(&key, encode_readable(&key, &snapshot)?).await? {
            Created::Ours => snapshot,
            Created::Theirs(bytes) => decode::<Snapshot>(&key, &bytes)?,
        };
        self.point_at(last).await?;
        self.delete_retired(&snapshot, before).await?;
        Ok(Some(Arc::new(snapshot)))
    }

    async fn segment_of(&self, first: u64, last: u64) -> Result<Segment, Error> {
        let batches: Vec<BatchId> = (first..=last).filter_map(BatchId::new).collect();
        let files: Vec<_> = batches.iter().map(|batch| self.commit_file(*batch)).collect();
        let files: Vec<Bytes> = stream::iter(files).buffered(READS_AT_ONCE).try_collect().await?;
        let [first, .., last] = batches.as_slice() else {
            return Err(Error::Bug("a segment of fewer than two commits".to_owned()));
        };
        let keys: Vec<Key> = batches.iter().map(|batch| self.commit_key(*batch)).collect();
        let (bytes, index) = compute(move || {
            let mut builder = IndexBuilder::default();
            for (key, file) in keys.iter().zip(&files) {
                builder.add(CommittedInputs::from_commit_file(key, file)?.inputs)?;
            }
            Ok((compress(&files)?, builder.finish(&keys[0])?))
        })
        .await?;
        self.store_segment(*first, *last, bytes, index).await
    }

    async fn merge(&self, parts: Vec<Segment>) -> Result<Segment, Error> {
        let mut read = Vec::with_capacity(parts.len());
        for part in parts {
            let key = part.key(&self.stream);
            let bytes = self.read_exactly(&key, &part.sha256).await?;
            let bytes = bytes.ok_or_else(|| Error::damaged(key, "is not what its snapshot says; restore it"))?;
            read.push((part, bytes));
        }
        let [(first, _), .., (last, _)] = read.as_slice() else {
            return Err(Error::Bug("a merge of fewer than two segments".to_owned()));
        };
        let bytes: Vec<&[u8]> = read.iter().map(|(_, bytes)| bytes.as_ref()).collect();
        self.store_segment(first.first, last.last, bytes.concat(), self.merged_inputs(&read).await?).await
    }

    /// Stores a segment and its index. Neither is part of the ledger before a snapshot names it.
    async fn store_segment(
        &self,
        first: BatchId,
        last: BatchId,
        bytes: Vec<u8>,
        index: BuiltIndex,
    ) -> Result<Segment, Error> {
        let segment = Segment::of(first, last, &bytes);
        let key = segment.key(&self.stream);
        match self.lake.create(&key, bytes.into()).await? {
            Created::Ours => self.store_inputs(&segment, index).await,
            Created::Theirs(_) => Err(Error::damaged(key, "has other bytes than its name says; restore it")),
        }
    }

    async fn point_at(&self, batch: BatchId) -> Result<(), Error> {
        let key = Key::LatestSnapshot { stream: self.stream.clone() };
        let put = self.lake.store(&key).put(&self.lake.path(&key), encode(&Latest { batch })?.into()).await;
        put.map(drop).map_err(Error::store(format!("write {key}")))
    }

    fn snapshot_key(&self, batch: BatchId) -> Key {
        Key::Snapshot { stream: self.stream.clone(), batch }
    }
}
