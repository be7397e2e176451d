//! A stream's definition: `streams/<stream>.toml`, `streams/<stream>.schema.json`, and the files in `streams/<stream>.schemas/`
//! that the schema refers to.
//!
//! Knows the files and checks their settings. Does not check whether the schema compiles: the consumer does.

mod inputs;
mod read;
mod table;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::{
    columns::{ColumnType, check_count, columns_of},
    error::Error,
    ids::{Ordinal, StreamName},
    schema::{Costly, DEPTH_MAX, Document, Files, SCHEMAS_MAX, bundle, parse},
    settings::Problems,
};
use inputs::Globs;
pub use inputs::InputNames;
pub use read::{CsvQuotes, CsvSettings, Format, ReadSettings};
use table::Table;

/// How much one batch contains at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// The most objects in one batch.
    pub objects_max: usize,
    /// The most bytes in one batch; a larger object is a batch of its own.
    pub bytes_max: u64,
    /// The bytes of one task, the unit of parallel work; one core needs several times this much memory.
    pub task_bytes: u64,
}

/// What happens to an object once a commit has named it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterCommit {
    /// Nothing.
    #[default]
    Keep,
    /// It is moved to `raw/_archive/`.
    Archive,
    /// It is deleted.
    Delete,
}

/// Everything that is defined about a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamDefinition {
    /// Its name.
    pub name: StreamName,
    /// How its objects are read.
    pub read: ReadSettings,
    /// How often to look for new objects.
    pub interval: Duration,
    /// How long an object that sorts before known ones may stay undiscovered on a large prefix.
    pub reconcile: Duration,
    /// Which of its objects are inputs.
    pub inputs: InputNames,
    /// What happens to objects that a commit has named.
    pub after_commit: AfterCommit,
    /// How long a batch's own plan and commit are kept once a snapshot covers them; `None`: forever.
    pub ledger_keep: Option<Duration>,
    /// How long another consumer's batch may stay uncommitted before this one runs it too.
    pub take_over_after: Duration,
    /// How long an object that may not be read stays pending.
    pub unreadable_after: Duration,
    /// How long one object may be worked on before it counts as hung.
    pub object_time: Duration,
    /// How much one batch contains at most.
    pub batch: BatchSettings,
    /// Its JSON Schema, with the files that it refers to.
    pub schema: Value,
    /// The file that contains the schema, for messages.
    pub schema_file: PathBuf,
}

impl StreamDefinition {
    /// Reads a stream's files from `folder`.
    ///
    /// # Errors
    /// [`Error::Settings`] with everything that is wrong in any file. Correct it and start again.
    pub fn load(folder: &Path, name: &StreamName) -> Result<Self, Error> {
        let toml_file = folder.join(format!("{name}.toml"));
        let schema_file = folder.join(format!("{name}.schema.json"));
        let mut problems = Problems::default();
        if !toml_file.is_file() {
            problems.add("--stream", unknown_stream(folder, name));
            return Err(Error::Settings(problems));
        }
        let settings = read_text(&toml_file).and_then(|text| Table::parse(&text));
        let table = problems.keep(&toml_file.display().to_string(), settings);
        let schema = read_schema(&schema_file, &folder.join(format!("{name}.schemas")), &mut problems);
        let checked = table.map(|table| Checked::from_table(table, &toml_file, &mut problems));
        match (checked, schema) {
            (Some(checked), Some(schema)) => {
                let mut read = checked.read;
                let event_time = event_time_column(&schema, read.event_time);
                read.event_time =
                    problems.keep(&format!("{}: source.event_time", toml_file.display()), event_time).flatten();
                if !problems.is_empty() {
                    return Err(Error::Settings(problems));
                }
                Ok(Self {
                    name: name.clone(),
                    read,
                    interval: checked.interval,
                    reconcile: checked.reconcile,
                    inputs: checked.inputs,
                    after_commit: checked.after_commit,
                    ledger_keep: checked.ledger_keep,
                    take_over_after: checked.take_over_after,
                    unreadable_after: checked.unreadable_after,
                    object_time: checked.object_time,
                    batch: checked.batch,
                    schema,
                    schema_file,
                })
            }
            _ => Err(Error::Settings(problems)),
        }
    }

    /// The names of the streams that `folder` defines, sorted; empty if the folder does not exist.
    pub fn names_in(folder: &Path) -> Vec<StreamName> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let stems = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml")?.parse().ok());
        let mut names: Vec<StreamName> = stems.collect();
        names.sort();
        names
    }
}

/// The checked contents of a stream's TOML file.
struct Checked {
    read: ReadSettings,
    interval: Duration,
    reconcile: Duration,
    inputs: InputNames,
    after_commit: AfterCommit,
    ledger_keep: Option<Duration>,
    take_over_after: Duration,
    unreadable_after: Duration,
    object_time: Duration,
    batch: BatchSettings,
}

impl Checked {
    fn from_table(mut table: Table, file: &Path, problems: &mut Problems) -> Self {
        let read = ReadSettings::take(&mut table);
        let after_commit = match table.text("source.after_commit").as_deref() {
            None | Some("keep") => AfterCommit::Keep,
            Some("archive") => AfterCommit::Archive,
            Some("delete") => AfterCommit::Delete,
            Some(other) => {
                table.wrong(
                    "source.after_commit",
                    format!("{other:?} is not one of \"keep\", \"archive\" and \"delete\""),
                );
                AfterCommit::Keep
            }
        };
        let [ignore, include] = ["source.ignore", "source.include"].map(|key| globs(&mut table, key));
        let inputs = InputNames::new(ignore, include);
        const MIB: u64 = 1 << 20;
        const DAY: Duration = Duration::from_secs(86_400);
        let checked = Self {
            read,
            interval: table.duration("trigger.interval", Duration::from_secs(1), Duration::from_millis(10)..=DAY),
            inputs,
            after_commit,
            ledger_keep: table.optional_duration("ledger.keep", DAY..=36_500 * DAY),
            reconcile: table.duration("source.reconcile", Duration::from_secs(600), Duration::from_secs(1)..=DAY),
            take_over_after: table.duration(
                "takeover.after",
                Duration::from_secs(30),
                Duration::from_millis(100)..=DAY,
            ),
            unreadable_after: table.duration("source.unreadable_after", 7 * DAY, Duration::from_secs(1)..=36_500 * DAY),
            object_time: table.duration(
                "limits.object_time",
                Duration::from_secs(600),
                Duration::from_millis(100)..=DAY,
            ),
            batch: BatchSettings {
                objects_max: table.count("batch.objects", 5_000, 1..=Ordinal::LIMIT as u64 - 1) as usize,
                bytes_max: table.bytes("batch.bytes", 256 * MIB, 1..=u64::MAX),
                task_bytes: table.bytes("batch.task_bytes", 16 * MIB, 1..=u64::MAX),
            },
        };
        for (key, what) in table.finish() {
            problems.add(format!("{}: {key}", file.display()), what);
        }
        checked
    }
}

fn globs(table: &mut Table, key: &'static str) -> Globs {
    Globs::new(table.texts(key)).unwrap_or_else(|what| {
        table.wrong(key, what);
        Globs::default()
    })
}

fn unknown_stream(folder: &Path, name: &StreamName) -> String {
    let known = StreamDefinition::names_in(folder);
    let known = known.iter().map(|name| format!("{:?}", name.as_str())).collect::<Vec<_>>().join(", ");
    let hint =
        if known.is_empty() { "no stream is defined there".to_owned() } else { format!("known streams: {known}") };
    format!("unknown stream {:?}: {} has no {name}.toml ({hint})", name.as_str(), folder.display())
}

fn read_text(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))
}

/// The schema with the files that it refers to; mistakes are noted under the file that they are in.
fn read_schema(file: &Path, further: &Path, problems: &mut Problems) -> Option<Value> {
    let name = file.display().to_string();
    let schema = problems.keep(&name, read_text(file).and_then(|text| parse(&text)));
    let files = Files::read(further).map_err(|wrong| {
        wrong.into_iter().for_each(|(file, what)| problems.add(file.display().to_string(), what));
    });
    let schema = match bundle(schema?, &files.ok()?) {
        Ok(schema) => schema,
        Err(missing) => {
            missing.into_iter().for_each(|what| problems.add(name.clone(), what));
            return None;
        }
    };
    let document = Document::of(&schema);
    if let Some((place, why)) = document.costly() {
        let what = match why {
            Costly::Endless => {
                format!("has a reference at {place:?} that leads back to itself, and so describes nothing")
            }
            Costly::Deep => format!("has a chain of more than {DEPTH_MAX} references in turn at {place:?}; shorten it"),
            Costly::Wide => format!(
                "compares one value with more than {SCHEMAS_MAX} schemas at {place:?}, since references within lists \
                 such as allOf multiply; name each schema once"
            ),
        };
        problems.add(name.clone(), what);
    }
    for (place, named) in document.unknown_drafts() {
        let place = format!("{place}/$schema");
        let what =
            format!("names the dialect {named:?} at {place:?}; use one of the drafts 4, 6, 7, 2019-09 and 2020-12");
        problems.add(name.clone(), what);
    }
    problems.keep(&name, check_count(&schema))?;
    Some(schema)
}

/// The column that says when an event happened: the named one, or else the first timestamp column.
fn event_time_column(schema: &Value, named: Option<String>) -> Result<Option<String>, String> {
    // A schema without columns is reported later, when it is compiled.
    let columns = columns_of(schema).unwrap_or_default();
    let mut times = columns.into_iter().filter(|column| column.kind == ColumnType::Timestamp).map(|column| column.name);
    match named {
        None => Ok(times.next()),
        Some(named) if times.any(|name| name == named) => Ok(Some(named)),
        Some(named) => Err(format!("{named:?} is not a top-level column of format date-time")),
    }
}
