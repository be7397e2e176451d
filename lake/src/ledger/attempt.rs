//! Attempts: executions of a plan after one that was cut off, and the object that each was reading when it ended.
//!
//! Written only when a plan is found uncommitted, so a healthy stream has none. Stored: golden files contain the shape.

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
    /// When it began; for people only, decides nothing.
    pub began_at: Timestamp,
}

/// `checkpoints/<stream>/attempts/<batch>/<attempt>-<input>.json`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    /// The object, for people; `None` when the attempt had read all of them.
    object: Option<String>,
}

/// What is known about one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptMade {
    /// Its number.
    pub number: Ordinal,
    /// The last object that it began to read, by its place among the batch's inputs. One past the last if it had read
    /// all; `None` if it noted none.
    pub last_object: Option<Ordinal>,
}

impl StoredFormat for Attempt {
    const VERSION: u32 = 1;
}

impl StoredFormat for Reading {
    const VERSION: u32 = 1;
}

impl Ledger {
    /// The attempts at a batch so far, by number.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a file there is not of an attempt; [`Error::Store`] when the store failed.
    pub async fn attempts(&self, batch: BatchId) -> Result<Vec<AttemptMade>, Error> {
        let mut made = std::collections::BTreeMap::new();
        let mut listing = self.lake().list(&Prefix::Attempts(self.stream(), batch), None);
        while let Some(listed) = listing.try_next().await? {
            let (number, input) = match Key::parse(&listed.key) {
                Ok(Key::Attempt { attempt, .. }) => (attempt, None),
                Ok(Key::Reading { attempt, input, .. }) => (attempt, Some(input)),
                _ => return Err(Error::damaged(listed.key, "is not a file of a ledger; move it elsewhere")),
            };
            let last_object: &mut Option<Ordinal> = made.entry(number).or_default();
            *last_object = (*last_object).max(input);
        }
        Ok(made.into_iter().map(|(number, last_object)| AttemptMade { number, last_object }).collect())
    }

    /// Registers the next attempt at a batch, after `made`, and returns its number. No two attempts share one.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed.
    pub async fn begin_attempt(
        &self,
        batch: BatchId,
        made: &[AttemptMade],
        attempt: &Attempt,
    ) -> Result<Ordinal, Error> {
        let mut next = made.last().map_or(0, |last| last.number.index() + 1);
        loop {
            let number = Ordinal::new(next)
                .ok_or_else(|| Error::Bug(format!("batch {} has too many attempts", batch.number())))?;
            let key = Key::Attempt { stream: self.stream().clone(), batch, attempt: number };
            if self.lake().create(&key, encode(attempt)?).await? == Created::Ours {
                return Ok(number);
            }
            next += 1;
        }
    }

    /// Notes durably that an attempt begins to read `input`; `object` is `None` when it has read all.
    ///
    /// # Errors
    /// [`Error::Store`] when the store failed.
    pub async fn note_object(
        &self,
        batch: BatchId,
        attempt: Ordinal,
        input: Ordinal,
        object: Option<&Key>,
    ) -> Result<(), Error> {
        let key = Key::Reading { stream: self.stream().clone(), batch, attempt, input };
        let body = encode(&Reading { object: object.map(Key::to_string) })?;
        self.lake().create(&key, body).await.map(drop)
    }
}
