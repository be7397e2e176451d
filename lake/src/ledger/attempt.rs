//! Attempts: executions of a plan, other than the first, and the ends of those that stopped in order.
//!
//! They say who may still be working on a plan. They never say that an object is to blame for anything. Written only
//! when a plan is found uncommitted or left so, and deleted with the batch's commit, so a healthy stream has none.
//! Stored: golden files contain the shape.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Ledger, StoredFormat, encode};
use crate::{
    clock::Timestamp,
    error::Error,
    ids::{BatchId, Ordinal},
    keys::{Key, Prefix},
    store::Created,
};

/// `checkpoints/<stream>/attempts/<batch>/<attempt>.json`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Distinguishes this attempt from a rival's under the same number.
    pub attempt_id: Uuid,
    /// When it began.
    pub began_at: Timestamp,
}

/// `checkpoints/<stream>/attempts/<batch>/<attempt>-end.json`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptEnd {
    /// When it ended; for people only, decides nothing.
    pub ended_at: Timestamp,
}

/// The attempts at a batch so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Those that did not end in order, by number: their processes work on the plan, or died.
    pub open: BTreeMap<Ordinal, Attempt>,
    /// Whether the process that made the plan stopped in order.
    pub maker_ended: bool,
    /// The highest number used.
    pub last: Ordinal,
    /// The files that say all this.
    pub keys: Vec<Key>,
}

impl StoredFormat for Attempt {
    const VERSION: u32 = 1;
}

impl StoredFormat for AttemptEnd {
    const VERSION: u32 = 1;
}

impl Ledger {
    /// The attempts at a batch so far.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a file there is not of an attempt; [`Error::Store`] when the store failed.
    pub async fn attempts(&self, batch: BatchId) -> Result<Attempts, Error> {
        let mut attempts = Attempts::default();
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        let mut listing = self.lake().list(&Prefix::Attempts(self.stream(), batch), None);
        while let Some(listed) = listing.try_next().await? {
            let key = Key::parse(&listed.key);
            match &key {
                Ok(Key::Attempt { attempt, .. }) => begun.push(*attempt),
                Ok(Key::AttemptEnd { attempt, .. }) => ended.push(*attempt),
                Ok(Key::Reading { .. }) => {}
                _ => return Err(Error::damaged(listed.key, "is not a file of a ledger; move it elsewhere")),
            }
            attempts.keys.extend(key.ok());
        }
        attempts.maker_ended = ended.contains(&Ordinal::default());
        attempts.last = begun.iter().chain(&ended).max().copied().unwrap_or_default();
        for number in begun.into_iter().filter(|number| !ended.contains(number)) {
            let key = self.attempt_key(batch, number);
            // Gone if the batch was committed in the meantime.
            if let Some(attempt) = self.read(&key).await? {
                attempts.open.insert(number, attempt);
            }
        }
        Ok(attempts)
    }

    /// Registers the next attempt at a batch, after those `made`, and returns its number, at least 1. No two attempts
    /// share one.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed.
    pub async fn begin_attempt(&self, batch: BatchId, made: &Attempts, attempt: &Attempt) -> Result<Ordinal, Error> {
        let mut next = made.last.index() + 1;
        loop {
            let number = Ordinal::new(next)
                .ok_or_else(|| Error::Bug(format!("batch {} has too many attempts", batch.number())))?;
            if self.lake().create(&self.attempt_key(batch, number), encode(attempt)?).await? == Created::Ours {
                return Ok(number);
            }
            next += 1;
        }
    }

    /// Records that an attempt stopped in order, so that another may begin at once; 0 is the execution by the process
    /// that made the plan.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed.
    pub async fn end_attempt(&self, batch: BatchId, attempt: Ordinal, ended_at: Timestamp) -> Result<(), Error> {
        let key = Key::AttemptEnd { stream: self.stream().clone(), batch, attempt };
        self.lake().create(&key, encode(&AttemptEnd { ended_at })?).await.map(drop)
    }

    /// Deletes what is known about the attempts at a committed batch.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed; what is left is deleted with the batch's plan.
    pub async fn delete_attempts(&self, batch: BatchId) -> Result<(), Error> {
        let attempts = self.attempts(batch).await?;
        self.lake().delete(attempts.keys).await
    }

    fn attempt_key(&self, batch: BatchId, attempt: Ordinal) -> Key {
        Key::Attempt { stream: self.stream().clone(), batch, attempt }
    }
}
