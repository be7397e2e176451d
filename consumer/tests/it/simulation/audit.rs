//! The auditor: checks the lake against all that landed, and at every moment that a reader sees only whole batches.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    time::Duration,
};

use consumer::inspect::verify;
use futures::TryStreamExt;
use lake::{
    keys::{Key, Prefix, ZoneName},
    ledger::{Commit, Ledger, Outcome},
    store::Lake,
};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::feeder::{Content, Landed};
use crate::lake_in_a_folder::{Contents, contents, events};

/// Figures of one simulation, or the sum of many.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) hints: u64,
    pub(super) kills: u64,
    pub(super) freezes: u64,
    pub(super) stops: u64,
    pub(super) refusals: u64,
    pub(super) deaths: u64,
    pub(super) child_kills: u64,
    commits: u64,
    versions: u64,
    rows: u64,
    dead_letters: u64,
    unchanged: u64,
    deferred: u64,
    missing: u64,
    changed: u64,
    orphans: u64,
    poisoned: u64,
}

impl Figures {
    pub(super) fn add(&mut self, other: &Self) {
        self.hints += other.hints;
        self.kills += other.kills;
        self.freezes += other.freezes;
        self.stops += other.stops;
        self.refusals += other.refusals;
        self.deaths += other.deaths;
        self.child_kills += other.child_kills;
        self.commits += other.commits;
        self.versions += other.versions;
        self.rows += other.rows;
        self.dead_letters += other.dead_letters;
        self.unchanged += other.unchanged;
        self.deferred += other.deferred;
        self.missing += other.missing;
        self.changed += other.changed;
        self.orphans += other.orphans;
        self.poisoned += other.poisoned;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} freezes, {} orderly stops, {} consumers whose writes were refused, {} that died of an object, \
             {} kills of their children, {} hints, {} commits; {} versions landed, {} were missing, {} changed, {} unchanged, {} refused when read; \
             {} rows, {} dead letters, {} of them poison, each with cause; {} files that no commit names",
            self.kills,
            self.freezes,
            self.stops,
            self.refusals,
            self.deaths,
            self.child_kills,
            self.hints,
            self.commits,
            self.versions,
            self.missing,
            self.changed,
            self.unchanged,
            self.deferred,
            self.rows,
            self.dead_letters,
            self.poisoned,
            self.orphans
        )
    }
}

/// Reads the lake during the whole simulation.
pub(super) struct Reader {
    ledger: Ledger,
}

impl Reader {
    pub(super) fn new(lake: Lake) -> Self {
        Self { ledger: Ledger::new(lake, events()) }
    }

    /// Checks that whatever is visible is complete and stays.
    pub(super) async fn poll(&self, ends: Instant) {
        let mut seen: Vec<Commit> = Vec::new();
        while Instant::now() < ends {
            let history = self.ledger.history::<Commit>().await.unwrap();
            let commits: Vec<Commit> = history.commits.try_collect().await.unwrap();
            assert!(commits.starts_with(&seen), "a commit has changed or disappeared");
            for file in commits[seen.len()..].iter().flat_map(|commit| &commit.files) {
                let found = self.ledger.lake().head(&file.key).await.unwrap();
                assert_eq!(found.map(|found| found.size), Some(file.size), "{} is visible and not complete", file.key);
            }
            seen = commits;
            sleep(Duration::from_millis(700)).await;
        }
    }
}

/// The place of a record in a version of an object; without an index, the object as a whole.
type Place = (String, String, Option<u64>);

fn place(record: &Map<String, Value>) -> Place {
    let text = |name: &str| record[name].as_str().unwrap().to_owned();
    (text("_source_key"), text("_source_etag"), record.get("_record_index").and_then(Value::as_u64))
}

/// Checks the lake against what landed.
pub(super) async fn audit(lake: &Lake, landed: &BTreeMap<String, Landed>) -> Figures {
    let ledger = Ledger::new(lake.clone(), events());
    assert_eq!(verify(&ledger).await.unwrap().violations, Vec::<String>::new());
    let held = contents(&ledger).await;
    let mut figures = Figures {
        commits: held.commits.len() as u64,
        rows: held.rows.len() as u64,
        dead_letters: held.dead_letters.len() as u64,
        orphans: orphans(lake, &held).await,
        ..Figures::default()
    };
    let inputs = inputs_by_version(&held, &mut figures);
    let mut places = Places::of(&held);
    for (name, landed) in landed {
        let key = format!("raw/events/{name}");
        figures.versions += landed.versions.len() as u64;
        let (mut contents_read, mut accounted): (Vec<&Content>, Vec<&Content>) = Default::default();
        for (etag, content) in &landed.versions {
            if inputs.contains(&(key.clone(), etag.clone())) {
                let poisoned = places.take(&key, etag, content);
                figures.poisoned += poisoned;
                // What a poisonous object contains is not known.
                if poisoned == 0 {
                    assert!(!contents_read.contains(&content), "{key}: the same bytes were read twice");
                    contents_read.push(content);
                }
                accounted.push(content);
            }
        }
        let last = landed.versions.last().map(|(_, content)| content);
        assert!(!landed.stands || last.is_some_and(|last| accounted.contains(&last)), "{key} was never read");
    }
    assert!(places.0.is_empty(), "the lake has records that did not land: {:?}", places.0);
    figures
}

/// The versions that were read, each by one batch.
fn inputs_by_version(held: &Contents, figures: &mut Figures) -> BTreeSet<(String, String)> {
    let mut read = BTreeSet::new();
    for input in held.commits.iter().flat_map(|commit| &commit.inputs) {
        match input.outcome {
            Outcome::Missing => figures.missing += 1,
            Outcome::Changed => figures.changed += 1,
            Outcome::Unchanged => figures.unchanged += 1,
            Outcome::Deferred => figures.deferred += 1,
            Outcome::Unreadable => panic!("{} was given up after less than a minute", input.key),
            Outcome::Ingested | Outcome::DeadLettered => {
                let version = (input.key.to_string(), input.etag.clone());
                assert!(read.insert(version), "{} was read by two batches", input.key);
            }
        }
    }
    read
}

/// The number of files in the data zones that no commit names: invisible, and left by executions that lost.
async fn orphans(lake: &Lake, held: &Contents) -> u64 {
    let named: BTreeSet<String> =
        held.commits.iter().flat_map(|commit| &commit.files).map(|file| file.key.to_string()).collect();
    let mut orphans = 0;
    for prefix in [Prefix::Bronze(&events()), Prefix::DeadLetters(&events())] {
        let listed: Vec<_> = lake.list(&prefix, None).try_collect().await.unwrap();
        let files = listed.iter().filter(|listed| !matches!(Key::parse(&listed.key), Ok(Key::ObjectCopy { .. })));
        orphans += files.filter(|listed| !named.contains(&listed.key)).count() as u64;
    }
    orphans
}

/// Every visible row and dead letter by its place; removed once it is accounted for.
#[derive(Debug)]
struct Places(HashMap<Place, (ZoneName, Map<String, Value>)>);

impl Places {
    fn of(held: &Contents) -> Self {
        let rows = held.rows.iter().map(|row| (ZoneName::Bronze, row));
        let letters = held.dead_letters.iter().map(|letter| (ZoneName::DeadLetters, letter));
        let mut places = HashMap::new();
        for (zone, record) in rows.chain(letters) {
            let doubled = places.insert(place(record), (zone, record.clone()));
            assert_eq!(doubled, None, "a record is visible twice");
        }
        Self(places)
    }

    /// Removes all records of a version that was read. Returns 1 if the version was given up as poison, else 0.
    fn take(&mut self, key: &str, etag: &str, content: &Content) -> u64 {
        let place = |index| (key.to_owned(), etag.to_owned(), index);
        if let Some((_, letter)) = self.0.remove(&place(None)) {
            let is_poison = letter["_error_code"] == "poison";
            let is_fair = if is_poison { content.is_deadly } else { content.dead_letters == [None] };
            assert!(is_fair, "{key} is readable: {letter:?}");
            return u64::from(is_poison);
        }
        for (index, id) in &content.rows {
            let (zone, row) = self.0.remove(&place(Some(*index))).unwrap_or_else(|| panic!("{key} {index} is lost"));
            assert_eq!((zone, row["id"].as_i64()), (ZoneName::Bronze, Some(*id)), "{key} {index}");
        }
        for index in &content.dead_letters {
            let (zone, _) = self.0.remove(&place(*index)).unwrap_or_else(|| panic!("{key} {index:?} is lost"));
            assert_eq!(zone, ZoneName::DeadLetters, "{key} {index:?}");
        }
        0
    }
}
