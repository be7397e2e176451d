//! Hints to the consumers of the simulation: on time, lost, doubled, late, and forged.

use std::sync::{Arc, Mutex};

use consumer::hints::Hints;
use fastrand::Rng;
use lake::{ids::BatchId, keys::Key};
use tokio::time::{Instant, sleep};

use super::millis;
use crate::lake_in_a_folder::events;

/// The names of all that has landed, one for each version, in order.
pub(super) type News = Arc<Mutex<Vec<String>>>;

/// Gives hints, each to one consumer.
pub(super) struct Herald {
    news: News,
    consumers: Vec<Hints>,
    rng: Rng,
}

impl Herald {
    pub(super) fn new(news: News, consumers: Vec<Hints>, rng: Rng) -> Self {
        Self { news, consumers, rng }
    }

    /// Gives hints until `ends`. Returns how many.
    pub(super) async fn hint(&mut self, ends: Instant) -> u64 {
        let mut given = 0;
        while Instant::now() < ends {
            sleep(millis(&mut self.rng, 0..150)).await;
            let hints = self.consumers[self.rng.usize(0..self.consumers.len())].clone();
            match self.rng.u8(0..8) {
                0 => continue,
                1 => hints.wake(),
                2 => hints.name(self.forged()),
                3 | 4 => hints.name(self.any()),
                _ => hints.name(self.newest()),
            }
            given += 1;
        }
        given
    }

    fn newest(&mut self) -> Option<Key> {
        self.news.lock().unwrap().last().map(|name| raw(name))
    }

    /// Late ones, and those that were hinted at before; what they name may be known, or gone.
    fn any(&mut self) -> Vec<Key> {
        let news = self.news.lock().unwrap();
        let some = self.rng.usize(1..5);
        (0..some).filter_map(|_| news.get(self.rng.usize(0..news.len().max(1)))).map(|name| raw(name)).collect()
    }

    fn forged(&mut self) -> Vec<Key> {
        let name = self.any().first().map(ToString::to_string).unwrap_or_default();
        let name = name.trim_start_matches("raw/events/");
        vec![
            raw(&format!("{:016x}.json", self.rng.u64(..))),
            raw(&format!("/{name}")),
            raw(&format!("./{name}")),
            raw("_crowd/00000"),
            Key::Raw { stream: "other".parse().unwrap(), rest: name.to_owned() },
            Key::Commit { stream: events(), batch: BatchId::FIRST },
        ]
    }
}

fn raw(name: &str) -> Key {
    Key::Raw { stream: events(), rest: name.to_owned() }
}
