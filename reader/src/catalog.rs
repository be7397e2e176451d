//! What the ledgers say, asked again before each statement: which streams there are, what was committed since, and
//! which columns each stream has.
//!
//! Knows the lake and nothing of SQL. Invariant: a commit is read once; what was told is not asked for again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use futures::{StreamExt, TryStreamExt};
use lake::{
    Error,
    ids::{BatchId, SchemaId, StreamName},
    ledger::{Commit, Ledger, SchemaRecord},
    store::Lake,
    stream::StreamDefinition,
};

/// How many streams are asked for at once: enough to hide a store's latency.
const STREAMS_AT_ONCE: usize = 16;

/// What is known of all streams.
#[derive(Debug)]
pub struct Catalog {
    lake: Lake,
    streams_dir: PathBuf,
    known: BTreeMap<StreamName, Known>,
}

/// What was told of one stream.
#[derive(Clone, Debug, Default)]
struct Known {
    last_batch: Option<BatchId>,
    record: Option<SchemaRecord>,
}

/// What is new about one stream.
#[derive(Clone, Debug)]
pub struct News {
    /// The stream.
    pub stream: StreamName,
    /// The commits since the last news, in order.
    pub commits: Vec<Commit>,
    /// The schema whose columns the stream has now; `None` when nothing says them yet.
    pub record: Option<SchemaRecord>,
    /// Whether the stream or its columns are new, so that its views must be made.
    pub columns_changed: bool,
}

impl Catalog {
    /// Knows nothing yet.
    pub fn new(lake: Lake, streams_dir: PathBuf) -> Self {
        Self { lake, streams_dir, known: BTreeMap::new() }
    }

    /// What is new, stream by stream, those without news left out. All streams are asked at the same time.
    ///
    /// # Errors
    /// - [`Error::Store`]: the store failed. Ask again later.
    /// - [`Error::Damaged`]: a ledger contradicts itself; a person must look.
    pub async fn news(&self) -> Result<Vec<News>, Error> {
        let mut names: BTreeSet<StreamName> = self.lake.streams().await?.into_iter().collect();
        names.extend(StreamDefinition::names_in(&self.streams_dir));
        // A stream that is gone from the folder before its first batch keeps its view: it is empty.
        let asked = futures::stream::iter(names).map(|name| self.news_of(name)).buffered(STREAMS_AT_ONCE);
        let news: Vec<News> = asked.try_collect().await?;
        Ok(news.into_iter().filter(|news| news.columns_changed || !news.commits.is_empty()).collect())
    }

    /// Takes note that `news` was acted on.
    pub fn accept(&mut self, news: &News) {
        let known = self.known.entry(news.stream.clone()).or_default();
        known.last_batch = news.commits.last().map(|commit| commit.batch).or(known.last_batch);
        known.record.clone_from(&news.record);
    }

    async fn news_of(&self, stream: StreamName) -> Result<News, Error> {
        let ledger = Ledger::new(self.lake.clone(), stream.clone());
        let known = self.known.get(&stream);
        let commits: Vec<Commit> = match known.and_then(|known| known.last_batch) {
            Some(last) => ledger.read_commits(ledger.commits_after(Some(last)).await?).try_collect().await?,
            // Most of a long history lies in snapshots.
            None => ledger.history().await?.commits.try_collect().await?,
        };
        let known_record = known.and_then(|known| known.record.as_ref());
        let record = match commits.last() {
            Some(commit) => Some(schema(&ledger, &commit.schema_id, known_record).await?),
            None if known.is_some_and(|known| known.last_batch.is_some()) => known_record.cloned(),
            None => self.record_before_commits(&ledger, known).await?,
        };
        let columns_changed = known.is_none_or(|known| known.record != record);
        Ok(News { stream, commits, record, columns_changed })
    }

    /// The schema of a stream without a commit: of its newest plan, else the newest stored, else as it is defined.
    async fn record_before_commits(
        &self,
        ledger: &Ledger,
        known: Option<&Known>,
    ) -> Result<Option<SchemaRecord>, Error> {
        let known_record = known.and_then(|known| known.record.as_ref());
        if let Some(batch) = ledger.plans_after(None).await?.last().copied()
            && let Some(plan) = ledger.plan(batch).await?
        {
            return schema(ledger, &plan.schema_id, known_record).await.map(Some);
        }
        if let Some(id) = ledger.schema_ids().await?.last() {
            return schema(ledger, id, known_record).await.map(Some);
        }
        let stream = ledger.stream();
        let definition = StreamDefinition::load(&self.streams_dir, stream).map_err(|error| error.to_string());
        match definition.and_then(|definition| SchemaRecord::derive(stream, &definition.schema, None)) {
            Ok(record) => Ok(Some(record)),
            Err(what) => {
                if known.is_none() {
                    tracing::warn!("the columns of stream {:?} are not known: {what}", stream.as_str());
                }
                Ok(None)
            }
        }
    }
}

async fn schema(ledger: &Ledger, id: &SchemaId, known: Option<&SchemaRecord>) -> Result<SchemaRecord, Error> {
    match known {
        Some(record) if record.id() == *id => Ok(record.clone()),
        _ => ledger.schema(id).await,
    }
}
