//! The child processes of a consumer in the simulation: some are killed from outside, and some die of what they read.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use consumer::{
    Error,
    execute::{ChildOutcome, Company, Death, DeathCause, Isolation, NoWatch, Purpose, TaskRequest, Worker},
};
use fastrand::Rng;
use lake::store::Lake;
use object_store::{memory::InMemory, path::Path};
use tokio::time::sleep;

use super::{
    millis,
    store::{Faults, SimStore, is_deadly},
};

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// Runs tasks in this process, and decides which of them die.
#[derive(Debug)]
pub(super) struct Children {
    store: Arc<InMemory>,
    faults: Faults,
    rng: Mutex<Rng>,
    killed: Arc<AtomicU64>,
}

impl Children {
    pub(super) fn new(store: Arc<InMemory>, faults: Faults, rng: Rng, killed: &Arc<AtomicU64>) -> Self {
        Self { store, faults, rng: Mutex::new(rng), killed: Arc::clone(killed) }
    }

    /// The first input that a child would die of.
    async fn deadly(&self, request: &TaskRequest) -> Option<usize> {
        for (at, object) in request.objects.iter().enumerate() {
            let input = request.first_input + at;
            if !request.poisoned.contains(&input) && is_deadly(&self.store, &Path::from(object.key.to_string())).await {
                return Some(input);
            }
        }
        None
    }
}

fn died(signal: i32, reading: Option<usize>) -> Result<ChildOutcome, Error> {
    Ok(ChildOutcome::Died(Death { cause: DeathCause::Signal(signal), reading, last_words: String::new() }))
}

#[async_trait]
impl Isolation for Children {
    async fn run(&self, request: &TaskRequest, purpose: Purpose, _: Company) -> Result<ChildOutcome, Error> {
        let (is_killed, lives_for, rng) = {
            let mut rng = self.rng.lock().unwrap();
            (rng.u8(0..8) == 0, millis(&mut rng, 0..300), rng.fork())
        };
        if is_killed {
            sleep(lives_for).await;
            self.killed.fetch_add(1, Ordering::Relaxed);
            let reading = rng.clone().usize(0..request.objects.len().max(1));
            return died(SIGKILL, Some(request.first_input + reading));
        }
        if let Some(input) = self.deadly(request).await {
            sleep(lives_for).await;
            return died(SIGABRT, Some(input));
        }
        let store = SimStore::harmless(Arc::clone(&self.store), self.faults, rng);
        let worker = Worker::new(Lake::on_store(Arc::new(store)), 1);
        let ended = match purpose {
            Purpose::Run => worker.run(request, Arc::new(NoWatch)).await.map(ChildOutcome::Reported),
            Purpose::Rehearse => worker.rehearse(request, Arc::new(NoWatch)).await.map(|()| ChildOutcome::Rehearsed),
        };
        Ok(ended.unwrap_or_else(ChildOutcome::Failed))
    }
}
