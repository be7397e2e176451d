//! The inputs of commits: one line of an index for each version that a commit accounts for.
//!
//! Invariant: what was gone before it could be read is not an input.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::Error,
    ids::{BatchId, ContentId, SchemaId},
    keys::Key,
    ledger::{Commit, FromCommitFile, InputOutcome, Outcome, StoredFormat},
};

/// One version of an object that a commit accounts for, for good or until the store lets it be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommittedInput {
    /// The object's key.
    pub key: Box<str>,
    /// The version.
    pub etag: Box<str>,
    /// The batch whose commit accounts for it.
    pub batch: BatchId,
    /// What came of it.
    pub outcome: Outcome,
    /// What it contained, if it was read completely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentId>,
    /// Of a version that the store refused to let be read: when the batch was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<Timestamp>,
}

impl CommittedInput {
    /// The memory that it takes, in bytes, with what an allocation costs.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.key.len() + self.etag.len() + 2 * size_of::<usize>()
    }
}

/// A commit's inputs, and what else is needed to continue after it.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedInputs {
    /// The batch.
    pub batch: BatchId,
    /// The schema that validated its records.
    pub schema_id: SchemaId,
    /// Its inputs that count, in the commit's order.
    pub inputs: Vec<CommittedInput>,
}

impl CommittedInputs {
    /// The inputs of this commit.
    pub fn of(commit: &Commit) -> Self {
        let found = |input: &InputOutcome| {
            let (key, etag) = (Cow::Owned(input.key.to_string()), Cow::Borrowed(input.etag.as_str()));
            Input { key, etag, outcome: input.outcome, content: input.content }
                .counted(commit.batch, commit.committed_at)
        };
        let inputs = commit.inputs.iter().filter_map(found).collect();
        Self { batch: commit.batch, schema_id: commit.schema_id.clone(), inputs }
    }
}

/// What is read of an input in a commit file.
#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    etag: Cow<'a, str>,
    outcome: Outcome,
    content: Option<ContentId>,
}

impl Input<'_> {
    /// `None` for a version that was gone.
    fn counted(self, batch: BatchId, committed_at: Timestamp) -> Option<CommittedInput> {
        let is_deferred = self.outcome == Outcome::Deferred;
        (self.outcome.is_final() || is_deferred).then(|| CommittedInput {
            key: self.key.into(),
            etag: self.etag.into(),
            batch,
            outcome: self.outcome,
            content: self.content,
            committed_at: is_deferred.then_some(committed_at),
        })
    }
}

impl FromCommitFile for CommittedInputs {
    fn from_commit_file(key: &Key, bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct File<'a> {
            version: u32,
            batch: BatchId,
            schema_id: SchemaId,
            committed_at: Timestamp,
            #[serde(borrow)]
            inputs: Vec<Input<'a>>,
        }
        match serde_json::from_slice::<File<'_>>(bytes) {
            Ok(file) if file.version <= Commit::VERSION => {
                let (batch, committed_at) = (file.batch, file.committed_at);
                let inputs = file.inputs.into_iter().filter_map(|input| input.counted(batch, committed_at)).collect();
                Ok(Self { batch, schema_id: file.schema_id, inputs })
            }
            // The slow way reports exactly what is wrong.
            _ => Commit::from_commit_file(key, bytes).map(|commit| Self::of(&commit)),
        }
    }
}
