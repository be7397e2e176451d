//! What the ledgers say, asked again before each statement: which streams there are, what was committed since, and
//! which columns each stream has.
//!
//! Knows the lake and nothing of SQL. Invariant: a commit is read once; what was told is not asked for again. Of an old
//! history only files are kept: what became of each object is read when somebody asks for it.

mod published;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use lake::{
    Error, ErrorKind,
    ids::{BatchId, SchemaId, StreamName},
    ledger::{Commit, Ledger, SchemaRecord},
    store::Lake,
    stream::StreamDefinition,
};

pub use published::Published;

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
    damage: Option<String>,
}

/// What is new about one stream.
#[derive(Clone, Debug)]
pub struct News {
    /// The stream.
    pub stream: StreamName,
    /// The commits since the last news, in order.
    pub commits: Vec<Published>,
    /// The schema whose columns the stream has now; `None` when nothing says them yet.
    pub record: Option<SchemaRecord>,
    /// Whether the stream or its columns are new, so that its views must be made.
    pub columns_changed: bool,
    /// What is wrong with the stream's ledger, which hides all of the stream until it is repaired.
    pub damage: Option<String>,
    /// Whether that has changed.
    pub damage_changed: bool,
}

impl Catalog {
    /// Knows nothing yet.
    pub fn new(lake: Lake, streams_dir: PathBuf) -> Self {
        Self { lake, streams_dir, known: BTreeMap::new() }
    }

    /// The lake that it is about.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// What is new, stream by stream, those without news left out. All streams are asked at the same time.
    ///
    /// A ledger that contradicts itself is news of its stream, and hinders no other.
    ///
    /// # Errors
    /// [`Error::Store`]: the store failed. Ask again later.
    pub async fn news(&self) -> Result<Vec<News>, Error> {
        let known: Vec<StreamName> = self.known.keys().cloned().collect();
        // One wait for all of them: known streams are asked while the lake is asked for new ones.
        let (told, listed) = futures::join!(self.news_of(known), self.lake.streams());
        let mut names: BTreeSet<StreamName> = listed?.into_iter().collect();
        names.extend(StreamDefinition::names_in(&self.streams_dir));
        // A stream that is gone from the folder before its first batch keeps its view: it is empty.
        let new = names.into_iter().filter(|name| !self.known.contains_key(name)).collect();
        let mut news = told?;
        news.extend(self.news_of(new).await?);
        let is_news = |news: &News| news.columns_changed || news.damage_changed || !news.commits.is_empty();
        Ok(news.into_iter().filter(is_news).collect())
    }

    /// Takes note that `news` was acted on.
    pub fn accept(&mut self, news: &News) {
        let known = self.known.entry(news.stream.clone()).or_default();
        known.last_batch = news.commits.last().map(|published| published.commit.batch).or(known.last_batch);
        known.record.clone_from(&news.record);
        known.damage.clone_from(&news.damage);
    }

    /// Every commit of a stream that was told of so far, with what became of each object.
    ///
    /// # Errors
    /// As [`Ledger::history`].
    pub async fn told_commits<'a>(&self, ledger: &'a Ledger) -> Result<BoxStream<'a, Result<Commit, Error>>, Error> {
        let last = self.known.get(ledger.stream()).and_then(|known| known.last_batch);
        let commits = ledger.history::<Commit>().await?.commits;
        let is_told = move |commit: &Commit| futures::future::ready(Some(commit.batch) <= last);
        Ok(commits.try_filter(is_told).boxed())
    }

    async fn news_of(&self, streams: Vec<StreamName>) -> Result<Vec<News>, Error> {
        let asked = futures::stream::iter(streams).map(|stream| self.news_or_damage(stream));
        asked.buffered(STREAMS_AT_ONCE).try_collect().await
    }

    async fn news_or_damage(&self, stream: StreamName) -> Result<News, Error> {
        let known = self.known.get(&stream);
        let record = known.and_then(|known| known.record.clone());
        let (commits, record, damage) = match self.commits_and_record(&stream).await {
            Ok((commits, record)) => (commits, record, None),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                (Vec::new(), record, Some(lake::error::describe(&error)))
            }
            Err(error) => return Err(error),
        };
        let columns_changed = known.is_none_or(|known| known.record != record);
        let damage_changed = damage != known.and_then(|known| known.damage.clone());
        Ok(News { stream, commits, record, columns_changed, damage, damage_changed })
    }

    async fn commits_and_record(&self, stream: &StreamName) -> Result<(Vec<Published>, Option<SchemaRecord>), Error> {
        let ledger = Ledger::new(self.lake.clone(), stream.clone());
        let known = self.known.get(stream);
        let commits: Vec<Published> = match known.and_then(|known| known.last_batch) {
            Some(last) => {
                let commits = ledger.read_commits(ledger.commits_after(Some(last)).await?);
                commits.map_ok(Published::with_inputs).try_collect().await?
            }
            // Most of a long history lies in snapshots.
            None => ledger.history().await?.commits.try_collect().await?,
        };
        let known_record = known.and_then(|known| known.record.as_ref());
        let record = match commits.last() {
            Some(published) => Some(schema(&ledger, &published.commit.schema_id, known_record).await?),
            None if known.is_some_and(|known| known.last_batch.is_some()) => known_record.cloned(),
            None => self.record_before_commits(&ledger, known).await?,
        };
        Ok((commits, record))
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
