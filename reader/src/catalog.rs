//! The state of the ledgers, checked before each statement: which streams there are, what was committed since, and
//! which columns each stream has.
//!
//! Knows the lake, and nothing about SQL. Invariant: a commit is read once, and reported until it was accepted; a stream
//! is followed when it is first seen, and from then on when a statement mentions it. Only files are kept of a history:
//! what became of each object is read when a statement asks for it.

mod published;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use lake::{
    Error, ErrorKind,
    error::describe,
    ids::{BatchId, SchemaId, StreamName},
    keys::{Key, ZoneName},
    ledger::{Commit, Fold, Ledger, SchemaRecord, Tail},
    store::Lake,
    stream::{InputNames, StreamDefinition},
};

use crate::mentioned::Mentioned;
pub use published::Published;

/// How many streams are read at a time: enough to hide a store's latency.
const STREAMS_AT_ONCE: usize = 16;

/// What is known about all streams.
#[derive(Debug)]
pub struct Catalog {
    lake: Lake,
    streams_dir: PathBuf,
    streams: BTreeMap<StreamName, Followed>,
    /// Whether the lake was searched for streams without a ledger.
    is_searched: bool,
}

/// A followed stream, and what was accepted of it.
#[derive(Debug)]
struct Followed {
    tail: Tail<Unreported>,
    /// Whether the lake has a ledger of it, or files that a lost ledger would name. Otherwise it is only defined, and
    /// there is nothing to ask the store.
    is_in_lake: bool,
    is_accepted: bool,
    last_batch: Option<BatchId>,
    record: Option<SchemaRecord>,
    damage: Option<String>,
}

/// Commits that were read and not accepted yet.
#[derive(Debug, Default)]
struct Unreported(Vec<Published>);

impl Fold for Unreported {
    type Commit = Published;

    fn add(&mut self, commit: Published) {
        self.0.push(commit);
    }
}

/// What is new about one stream.
#[derive(Debug)]
pub struct News {
    /// The stream.
    pub stream: StreamName,
    /// The commits since the last accepted news, in order.
    pub commits: Vec<Published>,
    /// The schema whose columns the stream has now; `None` if nothing defines them yet.
    pub record: Option<SchemaRecord>,
    /// Whether the stream or its columns are new, so that its views must be made again.
    pub columns_changed: bool,
    /// What is wrong with the stream's ledger; hides the whole stream until it is repaired.
    pub damage: Option<String>,
    /// Whether that has changed.
    pub damage_changed: bool,
}

impl Catalog {
    /// A catalog that knows nothing yet.
    pub fn new(lake: Lake, streams_dir: PathBuf) -> Self {
        Self { lake, streams_dir, streams: BTreeMap::new(), is_searched: false }
    }

    /// Its lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Which of a stream's objects are inputs: as its definition says, if there is one that can be read.
    pub fn inputs(&self, stream: &StreamName) -> InputNames {
        StreamDefinition::load(&self.streams_dir, stream).map_or_else(|_| InputNames::default(), |found| found.inputs)
    }

    /// What is new about the mentioned streams and about new ones, stream by stream, without those that have no news.
    /// Reads the streams at the same time. Costs one listing of the lake, and for each of these streams that has a ledger
    /// what [`Tail::follow`] costs.
    ///
    /// A ledger that contradicts itself is news of its stream, and does not affect any other.
    ///
    /// # Errors
    /// - [`Error::NoLake`]: no folder of the lake exists, and no stream is defined.
    /// - [`Error::Store`]: the store failed. Ask again later.
    pub async fn news(&mut self, mentioned: &Mentioned) -> Result<Vec<News>, Error> {
        let lake = self.lake.clone();
        let is_in_lake = |name: &StreamName| self.streams.get(name).is_some_and(|followed| followed.is_in_lake);
        let mut asked = mentioned.among(self.streams.keys());
        asked.retain(is_in_lake);
        // One wait for both: known streams are read while the lake is listed for new ones.
        let (followed, listed) = futures::join!(self.follow(&asked), lake.streams());
        let mut due = self.note_streams(listed?).await?;
        // A new stream may have changed the SQL names of others.
        due.extend(mentioned.among(self.streams.keys()));
        due.retain(|name| !asked.contains(name));
        let mut news = followed?;
        news.extend(self.follow(&due).await?);
        // Only now, when nothing can fail any more: what is taken and not reported would be lost.
        for news in news.iter_mut().filter(|news| news.damage.is_none()) {
            if let Some(followed) = self.streams.get_mut(&news.stream) {
                news.commits = std::mem::take(&mut followed.tail.state_mut().0);
            }
        }
        news.retain(|news| news.columns_changed || news.damage_changed || !news.commits.is_empty());
        Ok(news)
    }

    /// Notes which streams there are, given those with a ledger. Returns those that must be followed whether or not they
    /// are mentioned: new ones, and those whose columns only their definition says, which costs no request.
    async fn note_streams(&mut self, with_ledger: Vec<StreamName>) -> Result<BTreeSet<StreamName>, Error> {
        let defined = StreamDefinition::names_in(&self.streams_dir);
        let mut in_lake: BTreeSet<StreamName> = with_ledger.into_iter().collect();
        if !self.is_searched {
            in_lake.extend(lost_streams(&self.lake, &in_lake).await?);
            if in_lake.is_empty() {
                check_exists(&self.lake, !defined.is_empty()).await?;
            }
            self.is_searched = true;
        }
        let mut due = BTreeSet::new();
        for name in defined.into_iter().chain(in_lake.iter().cloned()) {
            let tail = || Tail::new(Ledger::new(self.lake.clone(), name.clone()), Unreported::default());
            let followed = self.streams.entry(name.clone()).or_insert_with(|| Followed::new(tail()));
            if !followed.is_in_lake {
                followed.is_in_lake = in_lake.contains(&name);
                due.insert(name);
            }
        }
        // A stream that is gone from the folder before its first batch keeps its view: it is empty.
        Ok(due)
    }

    /// Reads what is new about these streams. The commits stay with the streams.
    async fn follow(&mut self, wanted: &BTreeSet<StreamName>) -> Result<Vec<News>, Error> {
        let streams_dir = &self.streams_dir;
        let wanted = self.streams.iter_mut().filter(|(name, _)| wanted.contains(*name));
        let asked: Vec<_> = wanted.map(|(name, followed)| followed.news(name, streams_dir)).collect();
        futures::stream::iter(asked).buffered(STREAMS_AT_ONCE).try_collect().await
    }

    /// Notes that `news` was applied.
    pub fn accept(&mut self, news: &News) {
        if let Some(followed) = self.streams.get_mut(&news.stream) {
            followed.is_accepted = true;
            followed.last_batch = news.commits.last().map(|published| published.commit.batch).or(followed.last_batch);
            followed.record.clone_from(&news.record);
            followed.damage.clone_from(&news.damage);
        }
    }

    /// Takes back news that could not be applied: they are reported again.
    pub fn give_back(&mut self, news: News) {
        if let Some(followed) = self.streams.get_mut(&news.stream) {
            followed.tail.state_mut().0.splice(0..0, news.commits);
        }
    }

    /// Every accepted commit of a stream, with the outcome of each object.
    ///
    /// # Errors
    /// As [`Ledger::history`].
    pub async fn accepted_commits<'a>(
        &self,
        ledger: &'a Ledger,
    ) -> Result<BoxStream<'a, Result<Commit, Error>>, Error> {
        let followed = self.streams.get(ledger.stream());
        let last = followed.and_then(|followed| followed.last_batch);
        if last.is_none() && followed.is_some_and(|followed| followed.damage.is_none()) {
            return Ok(futures::stream::empty().boxed());
        }
        let commits = ledger.history::<Commit>().await?.commits;
        let is_accepted = move |commit: &Commit| futures::future::ready(Some(commit.batch) <= last);
        Ok(commits.try_filter(is_accepted).boxed())
    }
}

impl Followed {
    fn new(tail: Tail<Unreported>) -> Self {
        Self { tail, is_in_lake: false, is_accepted: false, last_batch: None, record: None, damage: None }
    }

    async fn news(&mut self, stream: &StreamName, streams_dir: &std::path::Path) -> Result<News, Error> {
        let (record, damage) = match self.read(streams_dir).await {
            Ok(record) => (record, None),
            Err(error) if error.kind() == ErrorKind::Corrupt => (self.record.clone(), Some(describe(&error))),
            Err(error) => return Err(error),
        };
        let columns_changed = !self.is_accepted || self.record != record;
        let damage_changed = damage != self.damage;
        Ok(News { stream: stream.clone(), commits: Vec::new(), record, columns_changed, damage, damage_changed })
    }

    /// Reads what is new in the ledger. Returns the schema whose columns the stream then has.
    async fn read(&mut self, streams_dir: &std::path::Path) -> Result<Option<SchemaRecord>, Error> {
        if !self.is_in_lake {
            return Ok(self.defined_record(streams_dir));
        }
        self.tail.follow().await?;
        match self.tail.state().0.last() {
            Some(published) => {
                let id = published.commit.schema_id.clone();
                schema(self.tail.ledger(), &id, self.record.as_ref()).await.map(Some)
            }
            None if self.tail.last().is_some() => Ok(self.record.clone()),
            None => self.record_before_commits(streams_dir).await,
        }
    }

    /// The schema of a stream without a commit: of its newest plan, else the newest stored, else from its definition.
    async fn record_before_commits(&self, streams_dir: &std::path::Path) -> Result<Option<SchemaRecord>, Error> {
        let (ledger, known_record) = (self.tail.ledger(), self.record.as_ref());
        let planned = ledger.plans_after(None).await?.last().copied();
        match planned {
            Some(planned) => ledger.refuse_lost_commits(planned).await?,
            // Later, a stream that has done nothing yet is taken for one: a look costs two listings.
            None if !self.is_accepted || self.damage.is_some() => drop(ledger.refuse_lost().await?),
            None => {}
        }
        if let Some(batch) = planned
            && let Some(plan) = ledger.plan(batch).await?
            && let Some(id) = plan.schema_id()
        {
            return schema(ledger, id, known_record).await.map(Some);
        }
        if let Some(id) = ledger.schema_ids().await?.last() {
            return schema(ledger, id, known_record).await.map(Some);
        }
        Ok(self.defined_record(streams_dir))
    }

    /// The schema that the stream's definition makes, as the first of its ledger.
    fn defined_record(&self, streams_dir: &std::path::Path) -> Option<SchemaRecord> {
        let stream = self.tail.ledger().stream();
        let definition = StreamDefinition::load(streams_dir, stream).map_err(|error| error.to_string());
        match definition.and_then(|definition| SchemaRecord::derive(stream, &definition.schema, None)) {
            Ok(record) => Some(record),
            Err(what) => {
                if !self.is_accepted {
                    tracing::warn!("the columns of stream {:?} are unknown: {what}", stream.as_str());
                }
                None
            }
        }
    }
}

/// The streams that have rows or dead letters, and no ledger: it was lost.
async fn lost_streams(lake: &Lake, with_ledger: &BTreeSet<StreamName>) -> Result<BTreeSet<StreamName>, Error> {
    let (rows, dead_letters) =
        futures::try_join!(lake.streams_in(ZoneName::Bronze), lake.streams_in(ZoneName::DeadLetters))?;
    let mut lost = BTreeSet::new();
    for name in rows.into_iter().chain(dead_letters).filter(|name| !with_ledger.contains(name)) {
        // A file with another name is not a consumer's.
        let file = Ledger::new(lake.clone(), name.clone()).any_file().await?;
        if file.is_some_and(|file| Key::parse(&file).is_ok()) {
            lost.insert(name);
        }
    }
    Ok(lost)
}

/// Refuses a place where no lake is. If a stream is defined, or if the place is a bucket that exists, it may be a new
/// one: then only a warning says so.
async fn check_exists(lake: &Lake, is_any_defined: bool) -> Result<(), Error> {
    match lake.check_exists().await {
        Err(error @ Error::NoLake { .. }) if is_any_defined || !lake.is_in_folders() => {
            tracing::warn!("{error}; until then, every relation is empty");
            Ok(())
        }
        other => other,
    }
}

async fn schema(ledger: &Ledger, id: &SchemaId, known: Option<&SchemaRecord>) -> Result<SchemaRecord, Error> {
    match known {
        Some(record) if record.id() == *id => Ok(record.clone()),
        _ => ledger.schema(id).await,
    }
}
