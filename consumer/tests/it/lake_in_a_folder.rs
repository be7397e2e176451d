//! What the tests share: a lake in a temporary folder, a consumer to run on it, and its contents read back.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{array::RecordBatch, json::ArrayWriter};
use bytes::Bytes;
use consumer::{
    Error,
    pipeline::{Pipeline, RunSettings},
};
use futures::TryStreamExt;
use lake::{
    clock::{Clock, SystemClock},
    ids::StreamName,
    keys::ZoneName,
    ledger::{Commit, Ledger},
    settings::LakeUrls,
    store::Lake,
    stream::{AfterCommit, BatchSettings, Format, InputNames, ReadSettings, StreamDefinition},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value, json};

pub(crate) struct FolderLake {
    pub(crate) lake: Lake,
    pub(crate) folder: tempfile::TempDir,
}

impl FolderLake {
    pub(crate) async fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn in_folder(folder: tempfile::TempDir) -> Self {
        let urls = LakeUrls::below(&format!("file://{}", folder.path().display())).unwrap();
        Self { lake: Lake::open(&urls).await.unwrap(), folder }
    }

    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(key)
    }

    /// Lands an object under `raw/events/`.
    pub(crate) fn land(&self, rest: &str, body: impl AsRef<[u8]>) {
        let path = self.path(&format!("raw/events/{rest}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, body).unwrap();
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(self.lake.clone(), events())
    }

    /// Drains the stream.
    pub(crate) async fn consume(&self, definition: StreamDefinition) -> Result<(), Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let settings = RunSettings::in_process(true, 2);
        let pipeline = Pipeline::open(self.lake.clone(), definition, clock, settings).await?;
        pipeline.run(std::future::pending()).await
    }

    pub(crate) async fn holds(&self) -> Contents {
        contents(&self.ledger()).await
    }
}

pub(crate) fn events() -> StreamName {
    "events".parse().unwrap()
}

/// A stream whose records have an integer `id` and any other fields.
pub(crate) fn definition(format: Format) -> StreamDefinition {
    with_schema(format, json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}))
}

pub(crate) fn with_schema(format: Format, schema: Value) -> StreamDefinition {
    StreamDefinition {
        name: events(),
        read: ReadSettings { object_bytes_max: 64 << 20, record_bytes_max: 1 << 20, ..ReadSettings::of(format) },
        interval: std::time::Duration::from_millis(10),
        reconcile: std::time::Duration::from_secs(600),
        inputs: InputNames::default(),
        after_commit: AfterCommit::Keep,
        ledger_keep: None,
        unreadable_after: std::time::Duration::from_secs(3_600),
        take_over_after: std::time::Duration::from_millis(300),
        object_time: std::time::Duration::from_secs(600),
        batch: BatchSettings { objects_max: 1_000, bytes_max: 1 << 30, task_bytes: 1 << 20 },
        schema,
        schema_file: "events.schema.json".into(),
    }
}

/// Everything that the commits of a stream make visible.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) commits: Vec<Commit>,
    pub(crate) rows: Vec<Map<String, Value>>,
    pub(crate) dead_letters: Vec<Map<String, Value>>,
}

impl Contents {
    /// The reason, code and JSON Pointer of each dead letter.
    pub(crate) fn faults(&self) -> Vec<(String, String, String)> {
        let text = |letter: &Map<String, Value>, name: &str| {
            letter.get(name).and_then(Value::as_str).unwrap_or("-").to_owned()
        };
        let fault =
            |letter| (text(letter, "_dead_letter_reason"), text(letter, "_error_code"), text(letter, "_error_path"));
        self.dead_letters.iter().map(fault).collect()
    }
}

pub(crate) async fn contents(ledger: &Ledger) -> Contents {
    let history = ledger.history::<Commit>().await.unwrap();
    let commits: Vec<Commit> = history.commits.try_collect().await.unwrap();
    let mut contents = Contents::default();
    for file in commits.iter().flat_map(|commit| &commit.files) {
        let bytes = ledger.lake().read(&file.key).await.unwrap().unwrap_or_else(|| panic!("{} is missing", file.key));
        let rows = parquet_rows(bytes);
        assert_eq!(rows.len() as u64, file.rows, "{}", file.key);
        match file.key.zone() {
            ZoneName::Bronze => contents.rows.extend(rows),
            _ => contents.dead_letters.extend(rows),
        }
    }
    contents.commits = commits;
    contents
}

pub(crate) fn parquet_rows(bytes: Bytes) -> Vec<Map<String, Value>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    json_rows(&reader.map(Result::unwrap).collect::<Vec<_>>())
}

pub(crate) fn json_rows(batches: &[RecordBatch]) -> Vec<Map<String, Value>> {
    let mut json = ArrayWriter::new(Vec::new());
    json.write_batches(&batches.iter().collect::<Vec<_>>()).unwrap();
    json.finish().unwrap();
    let text = json.into_inner();
    if text.is_empty() { Vec::new() } else { serde_json::from_slice(&text).unwrap() }
}

/// Copies what is in one folder to another, over what is there.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
