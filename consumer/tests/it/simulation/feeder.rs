//! What lands in the simulation: objects in and out of order, overwritten, uploaded again, deleted; some are broken.

use std::{collections::BTreeMap, sync::Arc};

use fastrand::Rng;
use object_store::{ObjectStore, ObjectStoreExt, PutOptions, PutPayload, memory::InMemory, path::Path};
use tokio::time::{Instant, sleep};

use super::{herald::News, millis, store::DEADLY};

/// What one object contains, and what must become of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) text: String,
    /// The index and id of each valid record.
    pub(super) rows: Vec<(u64, i64)>,
    /// The index of each invalid record; `None` for an object that can't be read.
    pub(super) dead_letters: Vec<Option<u64>>,
    /// Whether it kills each process that reads it.
    pub(super) is_deadly: bool,
}

/// Everything that landed under one key, in order.
#[derive(Debug, Default)]
pub(super) struct Landed {
    /// Each version's ETag and content.
    pub(super) versions: Vec<(String, Content)>,
    /// Whether the last version still exists.
    pub(super) stands: bool,
}

/// Lands objects and remembers them all.
pub(super) struct Feeder {
    store: Arc<InMemory>,
    rng: Rng,
    next_id: i64,
    landed: BTreeMap<String, Landed>,
    landed_in_order: Vec<String>,
    news: News,
}

impl Feeder {
    pub(super) fn new(store: Arc<InMemory>, rng: Rng) -> Self {
        Self { store, rng, next_id: 0, landed: BTreeMap::new(), landed_in_order: Vec::new(), news: News::default() }
    }

    /// By key below `raw/events/`.
    pub(super) fn landed(&self) -> &BTreeMap<String, Landed> {
        &self.landed
    }

    pub(super) fn news(&self) -> News {
        Arc::clone(&self.news)
    }

    /// In some simulations, so much is passed over that most looks are short ones.
    pub(super) async fn crowd(&mut self) {
        if self.rng.u8(0..8) == 0 {
            for number in 0..2_500 {
                let path = Path::from(format!("raw/events/_crowd/{number:05}"));
                self.store.put(&path, PutPayload::default()).await.unwrap();
            }
        }
    }

    pub(super) async fn feed(&mut self, ends: Instant) {
        while Instant::now() < ends {
            match (self.rng.u8(0..20), self.any_key()) {
                (0 | 1, Some(key)) => {
                    let content = self.content();
                    self.put(key, content).await;
                }
                (2, Some(key)) => {
                    // The same bytes as some earlier version.
                    let versions = &self.landed[&key].versions;
                    let (_, content) = versions[self.rng.usize(0..versions.len())].clone();
                    self.put(key, content).await;
                }
                (3 | 4, Some(key)) => self.delete(&key).await,
                _ => {
                    let (key, content) = (self.new_key(), self.content());
                    self.put(key, content).await;
                }
            }
            // Sometimes many at once.
            let pause = if self.rng.u8(0..4) == 0 { 0..1 } else { 0..250 };
            sleep(millis(&mut self.rng, pause)).await;
        }
    }

    /// Any key; half of the time one of the newest, which a plan may just have named.
    fn any_key(&mut self) -> Option<String> {
        let newest = self.landed_in_order.len().saturating_sub(5);
        let first = if self.rng.bool() { newest } else { 0 };
        let at = self.rng.usize(first..self.landed_in_order.len().max(1));
        self.landed_in_order.get(at).cloned()
    }

    fn new_key(&mut self) -> String {
        match self.rng.bool() {
            true => format!("t/{:08}.json", self.landed.len()),
            false => format!("{:016x}.json", self.rng.u64(..)),
        }
    }

    fn content(&mut self) -> Content {
        if self.rng.u8(0..12) == 0 {
            self.next_id += 1;
            let text = format!("[{{\"id\": {}}}, ", self.next_id);
            return Content { text, dead_letters: vec![None], ..Content::default() };
        }
        let mut content = Content::default();
        let mut records = Vec::new();
        for index in 0..self.rng.u64(0..6) {
            self.next_id += 1;
            if self.rng.u8(0..6) == 0 {
                records.push(format!("{{\"id\": \"{}\"}}", self.next_id));
                content.dead_letters.push(Some(index));
            } else {
                records.push(format!("{{\"id\": {}}}", self.next_id));
                content.rows.push((index, self.next_id));
            }
        }
        content.is_deadly = !content.rows.is_empty() && self.rng.u8(0..60) == 0;
        if content.is_deadly {
            let id = content.rows[0].1;
            let place = records.iter().position(|record| *record == format!("{{\"id\": {id}}}")).unwrap();
            records[place] = format!("{{\"id\": {id}, \"{DEADLY}\": 1}}");
        }
        content.text = format!("[{}]", records.join(", "));
        content
    }

    async fn put(&mut self, key: String, content: Content) {
        let path = Path::from(format!("raw/events/{key}"));
        let put = self.store.put_opts(&path, content.text.clone().into(), PutOptions::default()).await.unwrap();
        if !self.landed.contains_key(&key) {
            self.landed_in_order.push(key.clone());
        }
        self.news.lock().unwrap().push(key.clone());
        let landed = self.landed.entry(key).or_default();
        landed.versions.push((put.e_tag.unwrap(), content));
        landed.stands = true;
    }

    async fn delete(&mut self, key: &str) {
        self.store.delete(&Path::from(format!("raw/events/{key}"))).await.unwrap();
        self.landed.get_mut(key).unwrap().stands = false;
    }
}
