//! A plan: what one batch reads. Creating it claims the batch.
//!
//! All that the batch's tasks write follows from it, so that any process can execute it, twice even. Stored: golden
//! files hold its shape.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StoredFormat;
use crate::{
    clock::Timestamp,
    ids::{BatchId, ContentId, SchemaId, StreamName},
    keys::Key,
    stream::ReadSettings,
};

/// `checkpoints/<stream>/plans/<batch>.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The stream.
    pub stream: StreamName,
    /// The batch that the plan claims.
    pub batch: BatchId,
    /// Tells this plan from a rival's.
    pub plan_id: Uuid,
    /// When it was made: the rows' `_ingested_at`, and the files' partition.
    pub planned_at: Timestamp,
    /// The schema that its records are held to.
    pub schema_id: SchemaId,
    /// How its objects are read.
    pub read: ReadSettings,
    /// The objects, split into units of parallel work.
    pub tasks: Vec<PlannedTask>,
}

/// The objects that one worker reads into one file of each kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedTask {
    /// In the order they are read.
    pub objects: Vec<PlannedObject>,
}

/// One version of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedObject {
    /// Its key.
    pub key: Key,
    /// Its version.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
    /// What earlier versions of it held, as far as they were read: with the same again, there is nothing new to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<ContentId>,
}

impl Plan {
    /// All objects of all tasks, in the order that inputs are numbered by.
    pub fn objects(&self) -> impl Iterator<Item = &PlannedObject> {
        self.tasks.iter().flat_map(|task| &task.objects)
    }
}

impl StoredFormat for Plan {
    const VERSION: u32 = 1;
}
