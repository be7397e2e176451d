//! Notifications: for each object that is created, one event is posted to a URL, as MinIO's webhooks do.
//!
//! Knows the queue between requests and the sender. Knows nothing about the store or about what reads the events.
//! Invariant: a request neither waits for a notification nor fails because of one. The queue is bounded: when it is
//! full, its oldest event is lost, and every lost event is counted.

mod event;
mod sender;
mod target;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub(crate) use self::event::{Cause, Event};
pub use self::target::NotifyTarget;

/// Takes events from requests and sends them in the background. Clones share the queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notifier {
    queue: Option<Arc<Queue>>,
}

/// The events that wait to be sent.
#[derive(Debug, Default)]
struct Queue {
    waiting_max: usize,
    waiting: Mutex<VecDeque<Event>>,
    added: Notify,
    lost: AtomicU64,
}

impl Notifier {
    /// Starts to send to `target`, until the returned task is aborted; without a target, events are dropped.
    pub(crate) fn start(target: Option<NotifyTarget>) -> (Self, Option<AbortHandle>) {
        let Some(target) = target else { return (Self::default(), None) };
        let queue = Arc::new(Queue { waiting_max: target.waiting_max, ..Queue::default() });
        let sending = tokio::spawn(sender::send_all(Arc::clone(&queue), target)).abort_handle();
        (Self { queue: Some(queue) }, Some(sending))
    }

    /// Whether events are sent at all.
    pub(crate) fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Queues an event; it never waits.
    pub(crate) fn send(&self, event: Event) {
        if let Some(queue) = &self.queue {
            queue.add(event);
        }
    }

    /// How many events were lost since the start: dropped from a full queue, or refused by the target.
    pub(crate) fn lost(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.lost.load(Ordering::Relaxed))
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, event: Event) {
        let mut waiting = self.waiting();
        if waiting.len() >= self.waiting_max && waiting.pop_front().is_some() {
            self.count_lost();
        }
        waiting.push_back(event);
        drop(waiting);
        self.added.notify_one();
    }

    /// Waits for the oldest event.
    async fn next(&self) -> Event {
        loop {
            if let Some(event) = self.waiting().pop_front() {
                return event;
            }
            self.added.notified().await;
        }
    }

    fn count_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}
