//! History: every commit of a stream in order, old ones from the newest snapshot and the rest one by one.
//!
//! The only way in which programs learn what a stream has done, so that an old stream costs none of them more than
//! needed. Invariant: the result is each commit once, in order, without a gap.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::ObjectStoreExt;

use super::{
    Commit, Ledger, READS_AT_ONCE, decode, encode, encode_readable,
    snapshot::{COMMITS_PER_SNAPSHOT, Latest, Segment, Snapshot, compress, due_for_merge, read_segment},
};
use crate::{
    clock::Timestamp,
    error::Error,
    ids::BatchId,
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
        let mut snapshot = match after {
            Some(_) => None,
            None => self.hinted_snapshot().await?,
        };
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
        let last = tail.last().copied().or(covered);
        let segments = snapshot.as_ref().map(|snapshot| snapshot.segments.clone()).unwrap_or_default();
        let unread = segments.into_iter().filter(move |segment| Some(segment.last) > after);
        let old = stream::iter(unread)
            .map(move |segment| self.segment_commits(segment, after))
            .buffered(SEGMENTS_AT_ONCE)
            .flat_map(|read| match read {
                Ok(commits) => stream::iter(commits).map(Ok).boxed(),
                Err(error) => stream::once(async { Err(error) }).boxed(),
            });
        Ok(History { snapshot, last, commits: old.chain(self.commit_files(tail)).boxed() })
    }

    /// Reads these commits, several at a time, in the order given.
    fn commit_files<T: FromCommitFile>(&self, batches: Vec<BatchId>) -> BoxStream<'_, Result<T, Error>> {
        let read = move |batch| async move {
            let key = self.commit_key(batch);
            T::from_commit_file(&key, &self.commit_file(batch).await?)
        };
        stream::iter(batches).map(read).buffered(READS_AT_ONCE).boxed()
    }

    async fn commit_file(&self, batch: BatchId) -> Result<Bytes, Error> {
        let key = self.commit_key(batch);
        let bytes = self.lake.read(&key).await?;
        bytes.ok_or_else(|| Error::damaged(key, "was listed and is gone; restore it from a backup"))
    }

    /// The commits in a segment, except those up to `after`.
    async fn segment_commits<T: FromCommitFile>(
        &self,
        segment: Segment,
        after: Option<BatchId>,
    ) -> Result<Vec<T>, Error> {
        let key = segment.key(&self.stream);
        let bytes = self.lake.read(&key).await?;
        let bytes = bytes.ok_or_else(|| Error::damaged(&key, "is missing, though a snapshot names it; restore it"))?;
        // Decompressing and parsing need a core; they must not block the threads that wait for the store.
        let read = move || {
            let mut number = segment.first;
            let commits = read_segment(&key, &segment, &bytes, |file| {
                let is_known = Some(number) <= after;
                number = number.next();
                if is_known { Ok(None) } else { T::from_commit_file(&key, file).map(Some) }
            })?;
            Ok(commits.into_iter().flatten().collect())
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(commits) => commits,
            Err(error) => Err(Error::Bug(format!("reading a segment ended without a result: {error}"))),
        }
    }

    /// The snapshot that the hint names; `None` without a usable hint.
    async fn hinted_snapshot(&self) -> Result<Option<Snapshot>, Error> {
        let Some(hinted) = self.latest().await? else { return Ok(None) };
        if let Some(snapshot) = self.snapshot(hinted).await? {
            return Ok(Some(snapshot));
        }
        // A later one may have replaced it.
        let newest = self.listed_snapshot().await?.filter(|newest| newest.batch > hinted);
        let key = self.snapshot_key(hinted);
        newest.map(Some).ok_or_else(|| Error::damaged(key, "is missing, though it is the newest; restore it"))
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
    /// Reads each commit since `previous` once. Adopts what another consumer wrote meanwhile. Deletes plans and commits
    /// that `previous` covers and that were committed before `keep_after`, if that is given.
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
        let covered = previous.as_ref().map_or(0, |snapshot| snapshot.batch.number());
        let due = (last.number() - covered.min(last.number())) / COMMITS_PER_SNAPSHOT;
        let mut segments = previous.as_ref().map(|snapshot| snapshot.segments.clone()).unwrap_or_default();
        for run in 0..due {
            let first = covered + run * COMMITS_PER_SNAPSHOT + 1;
            segments.push(self.segment_of(first, first + COMMITS_PER_SNAPSHOT - 1).await?);
            loop {
                let merged = due_for_merge(&segments);
                if merged == 0 {
                    break;
                }
                let parts = segments.split_off(segments.len() - merged);
                segments.push(self.merge(&parts).await?);
            }
        }
        let Some(last) = segments.last().map(|segment| segment.last).filter(|_| due > 0) else { return Ok(previous) };
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
        match batches.as_slice() {
            [first, .., last] => self.store_segment(*first, *last, compress(&files)?).await,
            _ => Err(Error::Bug("a segment of fewer than two commits".to_owned())),
        }
    }

    async fn merge(&self, parts: &[Segment]) -> Result<Segment, Error> {
        let mut bytes = Vec::new();
        for part in parts {
            let key = part.key(&self.stream);
            let read = self.lake.read(&key).await?;
            let read = read.filter(|read| crate::ids::sha256_hex(read) == part.sha256);
            let read = read.ok_or_else(|| Error::damaged(key, "is not what its snapshot says; restore it"))?;
            bytes.extend_from_slice(&read);
        }
        match parts {
            [first, .., last] => self.store_segment(first.first, last.last, bytes).await,
            _ => Err(Error::Bug("a merge of fewer than two segments".to_owned())),
        }
    }

    async fn store_segment(&self, first: BatchId, last: BatchId, bytes: Vec<u8>) -> Result<Segment, Error> {
        let segment = Segment::of(first, last, &bytes);
        let key = segment.key(&self.stream);
        match self.lake.create(&key, bytes.into()).await? {
            Created::Ours => Ok(segment),
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
