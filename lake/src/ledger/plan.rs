//! A plan: what one batch does. Creating it claims the batch.
//!
//! Everything that the batch's tasks write follows from it, so any process can execute it, even twice. Stored: golden
//! files contain its shape.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

use super::StoredFormat;
use crate::{
    clock::Timestamp,
    dead_letter::DeadLetterId,
    ids::{BatchId, ContentId, SchemaId, StreamName},
    keys::Key,
    stream::ReadSettings,
};

/// `checkpoints/<stream>/plans/<batch>.json`
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The stream.
    pub stream: StreamName,
    /// The batch that the plan claims.
    pub batch: BatchId,
    /// Distinguishes this plan from a rival's.
    pub plan_id: Uuid,
    /// When it was made: the rows' `_ingested_at`, and the files' partition.
    pub planned_at: Timestamp,
    /// What the batch does.
    pub work: Work,
}

/// What a batch does. A program stops at a plan whose work it does not know: see [`super::decode`].
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Reads objects that landed.
    Ingest(Ingest),
    /// Reads dead letters again, with a current schema.
    Replay(Replay),
    /// Closes dead letters without reading them again.
    Discard(Discard),
    /// Writes files again with the same rows, in another order or number.
    Rewrite(Rewrite),
}

/// Objects that landed, to read into rows and dead letters.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingest {
    /// The schema that validates the records.
    pub schema_id: SchemaId,
    /// How the objects are read.
    pub read: ReadSettings,
    /// The objects, split into units of parallel work.
    pub tasks: Vec<PlannedTask>,
}

/// Dead letters to read again, into rows or into dead letters with the same ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The schema that validates the records.
    pub schema_id: SchemaId,
    /// How the records are read.
    pub read: ReadSettings,
    /// The dead letters, split into units of parallel work.
    pub tasks: Vec<ChosenDeadLetters>,
}

/// Dead letters to close as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discard {
    /// Why, in the words of the person who decided it.
    pub because: String,
    /// The dead letters.
    pub dead_letters: Vec<ChosenDeadLetters>,
}

/// Open dead letters of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChosenDeadLetters {
    /// The file.
    pub file: Key,
    /// Their ids; absent for all that the file contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<DeadLetterId>>,
}

/// Files to write again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// The files that the commit removes from the table.
    pub files: Vec<Key>,
}

/// The objects that one worker reads into its own files.
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
    /// What earlier versions of it contained, as far as they were read: if it contains the same, it is not read again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<ContentId>,
    /// Whether this is the last try: if the store still refuses to let it be read, it counts as unreadable for good.
    #[serde(default, skip_serializing_if = "is_false")]
    pub last_try: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Plan {
    /// What is ingested; `None` if the batch does something else.
    pub fn ingest(&self) -> Option<&Ingest> {
        match &self.work {
            Work::Ingest(ingest) => Some(ingest),
            Work::Replay(_) | Work::Discard(_) | Work::Rewrite(_) => None,
        }
    }

    /// The schema that validates the batch's records; `None` if it reads none.
    pub fn schema_id(&self) -> Option<&SchemaId> {
        match &self.work {
            Work::Ingest(Ingest { schema_id, .. }) | Work::Replay(Replay { schema_id, .. }) => Some(schema_id),
            Work::Discard(_) | Work::Rewrite(_) => None,
        }
    }

    /// All objects of all tasks, in the order of the input numbers.
    pub fn objects(&self) -> impl Iterator<Item = &PlannedObject> {
        self.ingest().into_iter().flat_map(|ingest| ingest.tasks.iter().flat_map(|task| &task.objects))
    }
}

impl Work {
    /// The work's name, as it is stored.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ingest(_) => "ingest",
            Self::Replay(_) => "replay",
            Self::Discard(_) => "discard",
            Self::Rewrite(_) => "rewrite",
        }
    }
}

impl StoredFormat for Plan {
    const VERSION: u32 = 2;

    /// An ingest has the shape of version 1, which older programs read; they must not mistake any other work for one.
    fn version(&self) -> u32 {
        match self.work {
            Work::Ingest(_) if self.objects().any(|object| object.last_try) => 2,
            Work::Ingest(_) => 1,
            Work::Replay(_) | Work::Discard(_) | Work::Rewrite(_) => 2,
        }
    }
}

/// The stored shape. `read`, `schema_id` and `tasks` are those of an ingest; any other work has its own field.
#[derive(Serialize)]
struct StoredPlanRef<'a> {
    stream: &'a StreamName,
    batch: BatchId,
    plan_id: Uuid,
    planned_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_id: Option<&'a SchemaId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<&'a ReadSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<&'a [PlannedTask]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    work: Option<OtherWorkRef<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum OtherWorkRef<'a> {
    Replay(&'a Replay),
    Discard(&'a Discard),
    Rewrite(&'a Rewrite),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPlan {
    stream: StreamName,
    batch: BatchId,
    plan_id: Uuid,
    planned_at: Timestamp,
    schema_id: Option<SchemaId>,
    read: Option<ReadSettings>,
    tasks: Option<Vec<PlannedTask>>,
    work: Option<OtherWork>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OtherWork {
    Replay(Replay),
    Discard(Discard),
    Rewrite(Rewrite),
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { stream, batch, plan_id, planned_at, work } = self;
        let ingest = self.ingest();
        let stored = StoredPlanRef {
            stream,
            batch: *batch,
            plan_id: *plan_id,
            planned_at: *planned_at,
            schema_id: ingest.map(|ingest| &ingest.schema_id),
            read: ingest.map(|ingest| &ingest.read),
            tasks: ingest.map(|ingest| ingest.tasks.as_slice()),
            work: match work {
                Work::Ingest(_) => None,
                Work::Replay(replay) => Some(OtherWorkRef::Replay(replay)),
                Work::Discard(discard) => Some(OtherWorkRef::Discard(discard)),
                Work::Rewrite(rewrite) => Some(OtherWorkRef::Rewrite(rewrite)),
            },
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StoredPlan { stream, batch, plan_id, planned_at, schema_id, read, tasks, work } =
            StoredPlan::deserialize(deserializer)?;
        let work = match (work, schema_id, read, tasks) {
            (None, Some(schema_id), Some(read), Some(tasks)) => Work::Ingest(Ingest { schema_id, read, tasks }),
            (Some(OtherWork::Replay(replay)), None, None, None) => Work::Replay(replay),
            (Some(OtherWork::Discard(discard)), None, None, None) => Work::Discard(discard),
            (Some(OtherWork::Rewrite(rewrite)), None, None, None) => Work::Rewrite(rewrite),
            _ => return Err(D::Error::custom("the plan must have schema_id, read and tasks, or another work")),
        };
        Ok(Self { stream, batch, plan_id, planned_at, work })
    }
}
