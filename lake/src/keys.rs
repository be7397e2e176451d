//! Every object key of a lake, built and parsed here and nowhere else.
//!
//! Keys are *logical*: they start with their zone's name, wherever that zone is stored. They are stored in manifests
//! and shown as `_source_key`, so a lake can move without changing what its files say.
//! Invariant: `Key::parse(&key.to_string()) == Ok(key)`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ids::{BatchId, Fingerprint, IdError, Ordinal, SchemaId, StreamName, VersionId};
pub use crate::zone::ZoneName;

/// Where a task's output file is stored; bronze and dead letters have the same layout.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataFile {
    /// The stream the rows belong to.
    pub stream: StreamName,
    /// The day of the batch's plan, as `2026-11-20`.
    pub ingested_date: String,
    /// The batch whose commit publishes the file.
    pub batch: BatchId,
    /// The task that wrote it.
    pub task: Ordinal,
    /// The version of the code that decided its bytes.
    pub fingerprint: Fingerprint,
}

/// The key of one object of the lake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A batch object: `raw/<stream>/<any key at all>`.
    Raw {
        /// The stream whose prefix it landed under.
        stream: StreamName,
        /// The rest of the key, unchanged.
        rest: String,
    },
    /// A batch object that was archived once a commit had named it: `raw/_archive/<stream>/…/<version>-<name>`.
    Archived {
        /// The stream that it landed in.
        stream: StreamName,
        /// Which version of the object it is.
        version: VersionId,
        /// The rest of the key under which it landed.
        rest: String,
    },
    /// Rows of one task.
    Bronze(DataFile),
    /// Dead letters of one task.
    DeadLetters(DataFile),
    /// A corrupt batch object, byte for byte.
    ObjectCopy {
        /// The stream it landed in.
        stream: StreamName,
        /// The batch that read it.
        batch: BatchId,
        /// Its place among the batch's inputs.
        input: Ordinal,
        /// The fingerprint of the plan's id; earlier programs left it out.
        plan: Option<Fingerprint>,
    },
    /// A schema that a plan named.
    Schema {
        /// The stream it describes.
        stream: StreamName,
        /// Its id.
        id: SchemaId,
    },
    /// What a batch does.
    Plan {
        /// The planned stream.
        stream: StreamName,
        /// The batch that the plan claims.
        batch: BatchId,
    },
    /// What a batch has published.
    Commit {
        /// The committed stream.
        stream: StreamName,
        /// The batch that it publishes.
        batch: BatchId,
    },
    /// Another execution of a plan, after one that was cut off.
    Attempt {
        /// The planned stream.
        stream: StreamName,
        /// The batch that is executed.
        batch: BatchId,
        /// Its place among the batch's attempts.
        attempt: Ordinal,
    },
    /// The end of an execution whose process stopped in order, or because of an error that is not an object's.
    AttemptEnd {
        /// The planned stream.
        stream: StreamName,
        /// The batch that was executed.
        batch: BatchId,
        /// The attempt; 0 is the execution by the process that made the plan.
        attempt: Ordinal,
    },
    /// The object that an attempt of an earlier program began to read.
    Reading {
        /// The planned stream.
        stream: StreamName,
        /// The batch that is executed.
        batch: BatchId,
        /// The attempt.
        attempt: Ordinal,
        /// The object's place among the batch's inputs.
        input: Ordinal,
    },
    /// Which segments contain all commits up to a batch.
    Snapshot {
        /// The stream.
        stream: StreamName,
        /// The last batch that it covers.
        batch: BatchId,
    },
    /// Where to look for the newest snapshot first.
    LatestSnapshot {
        /// The stream.
        stream: StreamName,
    },
    /// The commits of consecutive batches in one object.
    Segment {
        /// The stream.
        stream: StreamName,
        /// The first batch in it.
        first: BatchId,
        /// The last batch in it.
        last: BatchId,
        /// Distinguishes it from another segment of the same batches.
        fingerprint: Fingerprint,
    },
    /// All inputs of a segment's commits, sorted by key.
    InputIndex {
        /// The stream.
        stream: StreamName,
        /// The first batch of the segment.
        first: BatchId,
        /// The last batch of the segment.
        last: BatchId,
        /// Distinguishes it from another index of the same batches.
        fingerprint: Fingerprint,
    },
    /// The object used to test a store for conditional creates.
    Probe,
    /// The object used to test a store for conditional deletes.
    DeleteProbe,
}

impl Key {
    /// The zone of the key.
    pub fn zone(&self) -> ZoneName {
        match self {
            Self::Raw { .. } | Self::Archived { .. } | Self::DeleteProbe => ZoneName::Raw,
            Self::Bronze(_) => ZoneName::Bronze,
            Self::DeadLetters(_) | Self::ObjectCopy { .. } => ZoneName::DeadLetters,
            Self::Schema { .. }
            | Self::Plan { .. }
            | Self::Commit { .. }
            | Self::Attempt { .. }
            | Self::AttemptEnd { .. }
            | Self::Reading { .. }
            | Self::Snapshot { .. }
            | Self::LatestSnapshot { .. }
            | Self::Segment { .. }
            | Self::InputIndex { .. }
            | Self::Probe => ZoneName::Checkpoints,
        }
    }

    /// The batch of the key, if it has one.
    pub fn batch(&self) -> Option<BatchId> {
        match self {
            Self::Bronze(DataFile { batch, .. })
            | Self::DeadLetters(DataFile { batch, .. })
            | Self::ObjectCopy { batch, .. }
            | Self::Plan { batch, .. }
            | Self::Commit { batch, .. }
            | Self::Attempt { batch, .. }
            | Self::AttemptEnd { batch, .. }
            | Self::Reading { batch, .. }
            | Self::Snapshot { batch, .. } => Some(*batch),
            _ => None,
        }
    }

    /// Parses a key.
    ///
    /// # Errors
    /// [`IdError`] when the text is not a key of this layout; nothing that Sluice wrote is ever refused.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        text.parse()
    }
}

/// The prefix of all of a stream's objects of one kind; ends with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prefix<'a> {
    /// Everything that lands for a stream.
    Raw(&'a StreamName),
    /// A stream's archived objects.
    Archived(&'a StreamName),
    /// A stream's bronze files.
    Bronze(&'a StreamName),
    /// A stream's dead-letter files and kept objects.
    DeadLetters(&'a StreamName),
    /// A stream's ledger.
    Ledger(&'a StreamName),
    /// A stream's plans.
    Plans(&'a StreamName),
    /// A stream's commits.
    Commits(&'a StreamName),
    /// A batch's attempts, and their ends.
    Attempts(&'a StreamName, BatchId),
    /// Those of all batches.
    AllAttempts(&'a StreamName),
    /// A stream's schemas.
    Schemas(&'a StreamName),
    /// A stream's snapshots.
    Snapshots(&'a StreamName),
    /// A stream's segments.
    Segments(&'a StreamName),
    /// The input indexes of a stream's segments.
    InputIndexes(&'a StreamName),
    /// The ledgers of all streams.
    Checkpoints,
}

impl<'a> Prefix<'a> {
    /// Everything of a stream, once.
    pub fn all_of(stream: &'a StreamName) -> [Self; 5] {
        let [raw, archived] = [Self::Raw(stream), Self::Archived(stream)];
        [raw, archived, Self::Bronze(stream), Self::DeadLetters(stream), Self::Ledger(stream)]
    }

    /// The zone of the prefix.
    pub fn zone(&self) -> ZoneName {
        match self {
            Self::Raw(_) | Self::Archived(_) => ZoneName::Raw,
            Self::Bronze(_) => ZoneName::Bronze,
            Self::DeadLetters(_) => ZoneName::DeadLetters,
            Self::Ledger(_)
            | Self::Plans(_)
            | Self::Commits(_)
            | Self::Attempts(..)
            | Self::AllAttempts(_)
            | Self::Schemas(_)
            | Self::Snapshots(_)
            | Self::Segments(_)
            | Self::InputIndexes(_)
            | Self::Checkpoints => ZoneName::Checkpoints,
        }
    }
}

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone();
        match self {
            Self::Raw(stream) | Self::Bronze(stream) | Self::DeadLetters(stream) | Self::Ledger(stream) => {
                write!(f, "{zone}/{stream}/")
            }
            Self::Archived(stream) => write!(f, "{zone}/{}/{stream}/", StreamName::RESERVED),
            Self::Plans(stream) => write!(f, "{zone}/{stream}/plans/"),
            Self::Commits(stream) => write!(f, "{zone}/{stream}/commits/"),
            Self::Attempts(stream, batch) => write!(f, "{zone}/{stream}/attempts/{batch}/"),
            Self::AllAttempts(stream) => write!(f, "{zone}/{stream}/attempts/"),
            Self::Schemas(stream) => write!(f, "{zone}/{stream}/schemas/"),
            Self::Snapshots(stream) => write!(f, "{zone}/{stream}/snapshots/"),
            Self::Segments(stream) => write!(f, "{zone}/{stream}/segments/"),
            Self::InputIndexes(stream) => write!(f, "{zone}/{stream}/inputs/"),
            Self::Checkpoints => write!(f, "{zone}/"),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone();
        match self {
            Self::Raw { stream, rest } => write!(f, "{zone}/{stream}/{rest}"),
            Self::Archived { stream, version, rest } => {
                let (folder, name) = split_name(rest);
                write!(f, "{zone}/{}/{stream}/{folder}{version}-{name}", StreamName::RESERVED)
            }
            Self::Bronze(file) | Self::DeadLetters(file) => {
                let DataFile { stream, ingested_date, batch, task, fingerprint } = file;
                write!(f, "{zone}/{stream}/ingested_date={ingested_date}/{batch}-{task}-{fingerprint}.parquet")
            }
            Self::ObjectCopy { stream, batch, input, plan } => {
                write!(f, "{zone}/{stream}/objects/{batch}-{input}")?;
                plan.as_ref().map_or(Ok(()), |plan| write!(f, "-{plan}"))
            }
            Self::Schema { stream, id } => write!(f, "{zone}/{stream}/schemas/{id}.json"),
            Self::Plan { stream, batch } => write!(f, "{zone}/{stream}/plans/{batch}.json"),
            Self::Commit { stream, batch } => write!(f, "{zone}/{stream}/commits/{batch}.json"),
            Self::Attempt { stream, batch, attempt } => write!(f, "{zone}/{stream}/attempts/{batch}/{attempt}.json"),
            Self::AttemptEnd { stream, batch, attempt } => {
                write!(f, "{zone}/{stream}/attempts/{batch}/{attempt}-end.json")
            }
            Self::Reading { stream, batch, attempt, input } => {
                write!(f, "{zone}/{stream}/attempts/{batch}/{attempt}-{input}.json")
            }
            Self::Snapshot { stream, batch } => write!(f, "{zone}/{stream}/snapshots/{batch}.json"),
            Self::LatestSnapshot { stream } => write!(f, "{zone}/{stream}/snapshots/latest.json"),
            Self::Segment { stream, first, last, fingerprint } => {
                write!(f, "{zone}/{stream}/segments/{first}-{last}-{fingerprint}.zst")
            }
            Self::InputIndex { stream, first, last, fingerprint } => {
                write!(f, "{zone}/{stream}/inputs/{first}-{last}-{fingerprint}.zst")
            }
            Self::Probe => write!(f, "{zone}/.conditional-create-probe"),
            Self::DeleteProbe => write!(f, "{zone}/{}/.conditional-delete-probe", StreamName::RESERVED),
        }
    }
}

impl FromStr for Key {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        for probe in [Self::Probe, Self::DeleteProbe] {
            if text == probe.to_string() {
                return Ok(probe);
            }
        }
        let not_a_key = || IdError::new("a key of this layout", text);
        let (zone, rest) = text.split_once('/').ok_or_else(not_a_key)?;
        let (stream, rest) = rest.split_once('/').ok_or_else(not_a_key)?;
        if zone == ZoneName::Raw.as_str() && stream == StreamName::RESERVED {
            return parse_archived(rest).ok_or_else(not_a_key);
        }
        let stream: StreamName = stream.parse()?;
        if zone == ZoneName::Raw.as_str() {
            return Ok(Self::Raw { stream, rest: rest.to_owned() });
        }
        let (folder, name) = rest.split_once('/').ok_or_else(not_a_key)?;
        let json = |name: &str| name.strip_suffix(".json").map(str::to_owned).ok_or_else(not_a_key);
        match (ZoneName::of_folder(zone), folder) {
            (Some(ZoneName::Bronze), _) => {
                Ok(Self::Bronze(parse_data_file(stream, folder, name).ok_or_else(not_a_key)?))
            }
            (Some(ZoneName::DeadLetters), "objects") => {
                let mut parts = name.splitn(3, '-');
                let (batch, input) = (parts.next().unwrap_or_default(), parts.next().ok_or_else(not_a_key)?);
                let plan = parts.next().map(str::parse).transpose()?;
                Ok(Self::ObjectCopy { stream, batch: batch.parse()?, input: input.parse()?, plan })
            }
            (Some(ZoneName::DeadLetters), _) => {
                Ok(Self::DeadLetters(parse_data_file(stream, folder, name).ok_or_else(not_a_key)?))
            }
            (Some(ZoneName::Checkpoints), "schemas") => Ok(Self::Schema { stream, id: json(name)?.parse()? }),
            (Some(ZoneName::Checkpoints), "plans") => Ok(Self::Plan { stream, batch: json(name)?.parse()? }),
            (Some(ZoneName::Checkpoints), "commits") => Ok(Self::Commit { stream, batch: json(name)?.parse()? }),
            (Some(ZoneName::Checkpoints), "snapshots") if name == "latest.json" => Ok(Self::LatestSnapshot { stream }),
            (Some(ZoneName::Checkpoints), "snapshots") => Ok(Self::Snapshot { stream, batch: json(name)?.parse()? }),
            (Some(ZoneName::Checkpoints), "attempts") => {
                let (batch, name) = name.split_once('/').ok_or_else(not_a_key)?;
                parse_attempt(stream, batch.parse()?, &json(name)?)
            }
            (Some(ZoneName::Checkpoints), "segments") => {
                let (first, last, fingerprint) = parse_span(name).ok_or_else(not_a_key)?;
                Ok(Self::Segment { stream, first, last, fingerprint })
            }
            (Some(ZoneName::Checkpoints), "inputs") => {
                let (first, last, fingerprint) = parse_span(name).ok_or_else(not_a_key)?;
                Ok(Self::InputIndex { stream, first, last, fingerprint })
            }
            _ => Err(not_a_key()),
        }
    }
}

/// A key's last segment, and all before it.
fn split_name(rest: &str) -> (&str, &str) {
    rest.split_at(rest.rfind('/').map_or(0, |slash| slash + 1))
}

fn parse_archived(text: &str) -> Option<Key> {
    let (stream, rest) = text.split_once('/')?;
    let (folder, name) = split_name(rest);
    let (version, name) = name.split_once('-')?;
    Some(Key::Archived {
        stream: stream.parse().ok()?,
        version: version.parse().ok()?,
        rest: format!("{folder}{name}"),
    })
}

fn parse_attempt(stream: StreamName, batch: BatchId, name: &str) -> Result<Key, IdError> {
    match name.split_once('-') {
        None => Ok(Key::Attempt { stream, batch, attempt: name.parse()? }),
        Some((attempt, "end")) => Ok(Key::AttemptEnd { stream, batch, attempt: attempt.parse()? }),
        Some((attempt, input)) => Ok(Key::Reading { stream, batch, attempt: attempt.parse()?, input: input.parse()? }),
    }
}

fn parse_span(name: &str) -> Option<(BatchId, BatchId, Fingerprint)> {
    let mut parts = name.strip_suffix(".zst")?.splitn(3, '-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn parse_data_file(stream: StreamName, folder: &str, name: &str) -> Option<DataFile> {
    let date = folder.strip_prefix("ingested_date=")?;
    let canonical = chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?.format("%Y-%m-%d").to_string();
    let mut parts = name.strip_suffix(".parquet")?.splitn(3, '-');
    let file = DataFile {
        stream,
        ingested_date: date.to_owned(),
        batch: parts.next()?.parse().ok()?,
        task: parts.next()?.parse().ok()?,
        fingerprint: parts.next()?.parse().ok()?,
    };
    (canonical == date).then_some(file)
}

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
