//! The ledger of one stream: plans, commits and schemas, each created once and never changed.
//!
//! Knows storage and the stored formats. Knows nothing about records, and decides nothing: the consumer decides what to
//! plan and when to take over. Invariant: a row exists if and only if a commit adds its file and none removes it.

mod attempt;
mod commit;
mod history;
mod inputs;
mod live;
mod lost;
mod plan;
mod retention;
mod schema;
mod snapshot;
mod tail;
mod versioned;

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::TryStreamExt;
use serde::{Serialize, de::DeserializeOwned};

pub use attempt::{Attempt, AttemptEnd, Attempts};
pub use commit::{Commit, InputOutcome, Outcome, OutputFile, RemovedFile, ResolvedDeadLetters, Totals};
pub use history::{FromCommitFile, History};
pub use inputs::{
    BLOCK_BYTES, BuiltIndex, CommittedInput, CommittedInputs, IndexBlock, IndexDirectory, InputBlock, InputIndex,
    KeyHash,
};
pub use live::{LiveFile, LiveFiles, OpenDeadLetters};
pub use plan::{ChosenDeadLetters, Discard, Ingest, Plan, PlannedObject, PlannedTask, Replay, Rewrite, Work};
pub use schema::SchemaRecord;
pub use snapshot::{COMMITS_PER_SNAPSHOT, SEGMENT_BYTES_MAX, Segment, Snapshot};
pub use tail::{Fold, Tail};
use versioned::encode_readable;
pub use versioned::{StoredFormat, decode, encode};

use crate::{
    error::Error,
    ids::{BatchId, SchemaId, StreamName},
    keys::{Key, Prefix},
    store::{Created, Lake},
};

/// How many ledger files are read at a time: enough to hide a store's latency.
const READS_AT_ONCE: usize = 16;

/// The outcome of creating a plan or a commit.
#[derive(Clone, Debug, PartialEq)]
pub enum Claimed<T> {
    /// It is stored as given.
    Ours,
    /// Another consumer's is stored.
    Theirs(T),
}

/// One stream's ledger in a lake.
#[derive(Clone, Debug)]
pub struct Ledger {
    lake: Lake,
    stream: StreamName,
}

impl Ledger {
    /// The ledger of `stream`; does not check whether it has any file.
    pub fn new(lake: Lake, stream: StreamName) -> Self {
        Self { lake, stream }
    }

    /// The lake of the ledger.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Its stream.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The numbers of all commits after `after`, in order, without a gap.
    ///
    /// # Errors
    /// - [`Error::Damaged`]: a number is missing, or a file there is not a commit.
    /// - [`Error::Store`]: the store failed.
    pub async fn commits_after(&self, after: Option<BatchId>) -> Result<Vec<BatchId>, Error> {
        let listed = self.commit_numbers(after).await?;
        self.without_gap(after, &listed).await
    }

    /// The numbers of the commits after `after` that a listing shows, in order.
    async fn commit_numbers(&self, after: Option<BatchId>) -> Result<Vec<BatchId>, Error> {
        let after_key = after.map(|batch| self.commit_key(batch));
        let mut numbers = self.numbers(&Prefix::Commits(&self.stream), after_key.as_ref()).await?;
        numbers.retain(|batch| Some(*batch) > after);
        Ok(numbers)
    }

    /// All numbers from `after` to the last of `listed`; one that was not listed must still exist.
    async fn without_gap(&self, after: Option<BatchId>, listed: &[BatchId]) -> Result<Vec<BatchId>, Error> {
        let first = after.map_or(BatchId::FIRST, BatchId::next);
        let last = listed.last().map_or(0, |last| last.number());
        // A damaged name could claim any number: missing ones are looked up one by one, up to the first that does not
        // exist.
        let mut all = Vec::with_capacity(listed.len());
        let mut listed = listed.iter().peekable();
        for batch in (first.number()..=last).filter_map(BatchId::new) {
            if listed.next_if_eq(&&batch).is_none() && self.lake.head(&self.commit_key(batch)).await?.is_none() {
                let what = format!("is missing, though batch {last} is committed; restore it from a backup");
                return Err(Error::damaged(self.commit_key(batch), what));
            }
            all.push(batch);
        }
        Ok(all)
    }

    /// The numbers of all plans after `after`, in order; the caller decides about gaps.
    ///
    /// # Errors
    /// As [`Ledger::commits_after`].
    pub async fn plans_after(&self, after: Option<BatchId>) -> Result<Vec<BatchId>, Error> {
        let after_key = after.map(|batch| self.plan_key(batch));
        self.numbers(&Prefix::Plans(&self.stream), after_key.as_ref()).await
    }

    async fn numbers(&self, prefix: &Prefix<'_>, after: Option<&Key>) -> Result<Vec<BatchId>, Error> {
        let mut listing = self.lake.list(prefix, after);
        let mut numbers = BTreeSet::new();
        while let Some(listed) = listing.try_next().await? {
            match Key::parse(&listed.key) {
                Ok(Key::Plan { batch, .. } | Key::Commit { batch, .. }) => numbers.insert(batch),
                _ => return Err(Error::damaged(listed.key, "is not a file of a ledger; move it elsewhere")),
            };
        }
        Ok(numbers.into_iter().collect())
    }

    /// Reads a plan; `None` when the batch was never planned.
    ///
    /// # Errors
    /// - [`Error::Damaged`]: the file is unreadable, of an unknown version, or not this batch's.
    /// - [`Error::Store`]: the store failed.
    pub async fn plan(&self, batch: BatchId) -> Result<Option<Plan>, Error> {
        let key = self.plan_key(batch);
        let Some(plan) = self.read::<Plan>(&key).await? else { return Ok(None) };
        self.check_owner(&key, &plan.stream, plan.batch, batch)?;
        Ok(Some(plan))
    }

    /// Reads a commit; `None` when the batch is not committed.
    ///
    /// # Errors
    /// As [`Ledger::plan`].
    pub async fn commit(&self, batch: BatchId) -> Result<Option<Commit>, Error> {
        let key = self.commit_key(batch);
        let Some(commit) = self.read::<Commit>(&key).await? else { return Ok(None) };
        self.check_owner(&key, &commit.stream, commit.batch, batch)?;
        commit.check_balance().map_err(|what| Error::damaged(&key, what))?;
        Ok(Some(commit))
    }

    /// Reads a schema that a plan or commit names.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is missing or unreadable; [`Error::Store`] when the store failed.
    pub async fn schema(&self, id: &SchemaId) -> Result<SchemaRecord, Error> {
        let key = self.schema_key(id);
        let record = self.read::<SchemaRecord>(&key).await?;
        let record = record.ok_or_else(|| Error::damaged(&key, "is missing, though a plan names it; restore it"))?;
        if record.id() != *id {
            return Err(Error::damaged(&key, "is not the schema that its name says; restore it from a backup"));
        }
        Ok(record)
    }

    /// The ids of all schemas stored for the stream, the newest last by the store's own time.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed.
    pub async fn schema_ids(&self) -> Result<Vec<SchemaId>, Error> {
        let mut listed: Vec<_> = self.lake.list(&Prefix::Schemas(&self.stream), None).try_collect().await?;
        listed.sort_by_key(|listed| listed.last_modified);
        let ids = listed.iter().filter_map(|listed| match Key::parse(&listed.key) {
            Ok(Key::Schema { id, .. }) => Some(id),
            _ => None,
        });
        Ok(ids.collect())
    }

    /// Claims a batch by creating its plan.
    ///
    /// # Errors
    /// [`Error::Store`]: it is unknown whether the plan was stored; call again with the same plan.
    pub async fn create_plan(&self, plan: &Plan) -> Result<Claimed<Plan>, Error> {
        self.claim(&self.plan_key(plan.batch), plan).await
    }

    /// Publishes a batch by creating its commit: bronze, dead letters and progress become visible at once.
    ///
    /// # Errors
    /// - [`Error::Bug`]: the commit does not balance; nothing was written.
    /// - [`Error::Store`]: it is unknown whether the commit was stored; call again with the same commit.
    pub async fn create_commit(&self, commit: &Commit) -> Result<Claimed<Commit>, Error> {
        commit
            .check_balance()
            .map_err(|what| Error::Bug(format!("the commit of batch {} {what}", commit.batch.number())))?;
        self.claim(&self.commit_key(commit.batch), commit).await
    }

    /// Stores a schema, so that a plan may name it.
    ///
    /// # Errors
    /// [`Error::Damaged`] when other bytes are stored under its id; [`Error::Store`] when the store failed.
    pub async fn create_schema(&self, record: &SchemaRecord) -> Result<(), Error> {
        let key = self.schema_key(&record.id());
        match self.lake.create(&key, encode_readable(&key, record)?).await? {
            Created::Ours => Ok(()),
            Created::Theirs(bytes) if decode::<SchemaRecord>(&key, &bytes)? == *record => Ok(()),
            Created::Theirs(_) => Err(Error::damaged(&key, "is not the schema that its name says; restore it")),
        }
    }

    async fn claim<T: StoredFormat + Serialize + DeserializeOwned + PartialEq>(
        &self,
        key: &Key,
        value: &T,
    ) -> Result<Claimed<T>, Error> {
        match self.lake.create(key, encode_readable(key, value)?).await? {
            Created::Ours => Ok(Claimed::Ours),
            Created::Theirs(bytes) => Ok(Claimed::Theirs(decode(key, &bytes)?)),
        }
    }

    async fn read<T: StoredFormat + DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, Error> {
        let bytes: Option<Bytes> = self.lake.read(key).await?;
        bytes.map(|bytes| decode(key, &bytes)).transpose()
    }

    fn check_owner(&self, key: &Key, stream: &StreamName, found: BatchId, wanted: BatchId) -> Result<(), Error> {
        if *stream == self.stream && found == wanted {
            return Ok(());
        }
        let what = format!("is batch {} of stream {:?}; restore it from a backup", found.number(), stream.as_str());
        Err(Error::damaged(key, what))
    }

    fn plan_key(&self, batch: BatchId) -> Key {
        Key::Plan { stream: self.stream.clone(), batch }
    }

    fn commit_key(&self, batch: BatchId) -> Key {
        Key::Commit { stream: self.stream.clone(), batch }
    }

    fn schema_key(&self, id: &SchemaId) -> Key {
        Key::Schema { stream: self.stream.clone(), id: id.clone() }
    }
}
