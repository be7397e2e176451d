//! The ledger of one stream: plans, commits and schemas, each created once and never changed.
//!
//! Knows storage and the stored formats. Knows nothing of records, and takes no decision: what to plan and when to
//! take over is the consumer's. Invariant: a row exists if and only if a commit names its file.

mod attempt;
mod commit;
mod history;
mod plan;
mod retention;
mod schema;
mod snapshot;
mod versioned;

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::{TryStreamExt, stream::BoxStream};
use serde::{Serialize, de::DeserializeOwned};

pub use attempt::{Attempt, AttemptMade};
pub use commit::{Commit, InputOutcome, Outcome, OutputFile, Totals};
pub use history::{FromCommitFile, History};
pub use plan::{Plan, PlannedObject, PlannedTask};
pub use schema::SchemaRecord;
pub use snapshot::{COMMITS_PER_SNAPSHOT, SEGMENT_BYTES_MAX, Segment, Snapshot};
pub use versioned::{StoredFormat, decode, encode};

use crate::{
    error::Error,
    ids::{BatchId, SchemaId, StreamName},
    keys::{Key, Prefix},
    store::{Created, Lake},
};

/// How many ledger files are read at once: enough to hide a store's latency.
const READS_AT_ONCE: usize = 16;

/// What came of creating a plan or a commit.
#[derive(Clone, Debug, PartialEq)]
pub enum Claimed<T> {
    /// It stands there as given.
    Ours,
    /// Another consumer's stands there.
    Theirs(T),
}

/// One stream's ledger in a lake.
#[derive(Clone, Debug)]
pub struct Ledger {
    lake: Lake,
    stream: StreamName,
}

impl Ledger {
    /// The ledger of `stream`; whether it has any file is not asked.
    pub fn new(lake: Lake, stream: StreamName) -> Self {
        Self { lake, stream }
    }

    /// The lake that the ledger lies in.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The stream it is of.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The numbers of all commits after `after`, in order, without a gap.
    ///
    /// # Errors
    /// - [`Error::Damaged`]: a number is missing, or a file there is no commit.
    /// - [`Error::Store`]: the store failed.
    pub async fn commits_after(&self, after: Option<BatchId>) -> Result<Vec<BatchId>, Error> {
        let after_key = after.map(|batch| self.commit_key(batch));
        let numbers = self.numbers(&Prefix::Commits(&self.stream), after_key.as_ref()).await?;
        let numbers = numbers.into_iter().filter(|batch| Some(*batch) > after).collect::<BTreeSet<_>>();
        let first = after.map_or(BatchId::FIRST, BatchId::next);
        let last = numbers.last().map_or(0, |last| last.number());
        let all = (first.number()..=last).filter_map(BatchId::new).collect::<Vec<_>>();
        for missing in all.iter().filter(|batch| !numbers.contains(batch)) {
            let key = self.commit_key(*missing);
            // A listing may have left out what is there.
            if self.lake.head(&key).await?.is_none() {
                let what = format!("is missing, though batch {last} is committed; restore it from a backup");
                return Err(Error::damaged(key, what));
            }
        }
        Ok(all)
    }

    /// The numbers of all plans after `after`, in order; gaps are the caller's to judge.
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
                _ => return Err(Error::damaged(listed.key, "is no file of a ledger; move it elsewhere")),
            };
        }
        Ok(numbers.into_iter().collect())
    }

    /// Reads these commits, several at a time, in the order given.
    ///
    /// # Errors
    /// As [`Ledger::commit`]; a commit that is not there is [`Error::Damaged`].
    pub fn read_commits(&self, batches: Vec<BatchId>) -> BoxStream<'_, Result<Commit, Error>> {
        self.commit_files(batches)
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
    /// [`Error::Damaged`] when it is not there or unreadable; [`Error::Store`] when the store failed.
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
    /// [`Error::Store`]: it is unknown whether the plan stands; call again with the same plan.
    pub async fn create_plan(&self, plan: &Plan) -> Result<Claimed<Plan>, Error> {
        self.claim(&self.plan_key(plan.batch), plan).await
    }

    /// Publishes a batch by creating its commit: bronze, dead letters and progress become visible at once.
    ///
    /// # Errors
    /// - [`Error::Bug`]: the commit does not balance; nothing was written.
    /// - [`Error::Store`]: it is unknown whether the commit stands; call again with the same commit.
    pub async fn create_commit(&self, commit: &Commit) -> Result<Claimed<Commit>, Error> {
        commit
            .check_balance()
            .map_err(|what| Error::Bug(format!("the commit of batch {} {what}", commit.batch.number())))?;
        self.claim(&self.commit_key(commit.batch), commit).await
    }

    /// Stores a schema, so that a plan may name it.
    ///
    /// # Errors
    /// [`Error::Damaged`] when other bytes stand under its id; [`Error::Store`] when the store failed.
    pub async fn create_schema(&self, record: &SchemaRecord) -> Result<(), Error> {
        let key = self.schema_key(&record.id());
        match self.lake.create(&key, encode(record)?).await? {
            Created::Ours => Ok(()),
            Created::Theirs(bytes) if decode::<SchemaRecord>(&key, &bytes)? == *record => Ok(()),
            Created::Theirs(_) => Err(Error::damaged(&key, "is not the schema that its name says; restore it")),
        }
    }

    async fn claim<T: StoredFormat + Serialize + DeserializeOwned>(
        &self,
        key: &Key,
        value: &T,
    ) -> Result<Claimed<T>, Error> {
        match self.lake.create(key, encode(value)?).await? {
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
        let what = format!("holds batch {} of stream {:?}; restore it from a backup", found.number(), stream.as_str());
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
