//! Small lakes, written the way a consumer writes them, and helpers to query them.

use std::{
    collections::BTreeMap,
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use duckdb::Connection;
use lake::{
    clock::Timestamp,
    columns::{BRONZE_COLUMNS, Column, ColumnType, DEAD_LETTER_COLUMNS, DEAD_LETTER_ID},
    dead_letter::Reason,
    ids::{BatchId, Fingerprint, Ordinal, SchemaId, StreamName},
    keys::{DataFile, Key},
    ledger::{Commit, Ingest, InputOutcome, Ledger, Outcome, OutputFile, Plan, SchemaRecord, Totals, Work},
    settings::{LakeUrls, StoreUrl},
    store::Lake,
    stream::{Format as StreamFormat, ReadSettings},
};
use reader::{
    Error,
    output::{Format, Layout},
    quote::{identifier, literal},
    script::statements,
    session::Session,
    settings::{Settings, Source},
    sql_types::sql_type,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

const PLANNED_AT_MICROS: i64 = 1_795_161_600_000_000; // 2026-11-20T08:00:00Z

/// A lake, the working folder, and what was committed.
pub(crate) struct TestLake {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    pub(crate) runtime: Runtime,
    pub(crate) lake: Lake,
    /// Whether dead letters are written with their ids, as since format version 2, or without.
    pub(crate) with_ids: bool,
    records: BTreeMap<StreamName, SchemaRecord>,
    batches: BTreeMap<StreamName, u64>,
}

impl TestLake {
    /// An empty lake on disk, in a folder with this name.
    pub(crate) fn in_folder(name: &str) -> Self {
        let lake = Self::nowhere(name);
        std::fs::create_dir_all(lake.folder.path().join(name).join("raw")).unwrap();
        lake
    }

    /// A place for a lake, in a folder with this name that does not exist yet.
    pub(crate) fn nowhere(name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("file://{}", folder.path().join(name).display());
        let runtime = Runtime::new().unwrap();
        let lake = runtime.block_on(Lake::open(&LakeUrls::below(&url).unwrap())).unwrap();
        Self::of(folder, url, runtime, lake)
    }

    pub(crate) fn new() -> Self {
        Self::in_folder("lake")
    }

    pub(crate) fn of(folder: TempDir, url: String, runtime: Runtime, lake: Lake) -> Self {
        Self { folder, url, runtime, lake, with_ids: true, records: BTreeMap::new(), batches: BTreeMap::new() }
    }

    pub(crate) fn ledger(&self, stream: &str) -> Ledger {
        Ledger::new(self.lake.clone(), stream.parse().unwrap())
    }

    /// Stores a schema and plans the stream's next batch under it, without committing it.
    pub(crate) fn plan(&mut self, stream: &str, schema: &Value) -> Plan {
        let name: StreamName = stream.parse().unwrap();
        let record = SchemaRecord::derive(&name, schema, self.records.get(&name)).unwrap();
        let batch = BatchId::new(self.batches.get(&name).copied().unwrap_or(0) + 1).unwrap();
        let read = ReadSettings::of(StreamFormat::JsonArray);
        let plan = Plan {
            stream: name.clone(),
            batch,
            plan_id: Uuid::nil(),
            planned_at: Timestamp::from_micros(PLANNED_AT_MICROS).unwrap(),
            work: Work::Ingest(Ingest { schema_id: record.id(), read, tasks: Vec::new() }),
        };
        let ledger = self.ledger(stream);
        self.runtime.block_on(ledger.create_schema(&record)).unwrap();
        self.runtime.block_on(ledger.create_plan(&plan)).unwrap();
        self.records.insert(name, record);
        plan
    }

    /// Stores a schema whose columns are changed by hand, as an earlier version may have written it.
    pub(crate) fn store_schema(
        &mut self,
        stream: &str,
        schema: &Value,
        change: impl FnOnce(&mut Vec<Column>),
    ) -> SchemaId {
        let name: StreamName = stream.parse().unwrap();
        let mut record = SchemaRecord::derive(&name, schema, self.records.get(&name)).unwrap();
        change(&mut record.columns);
        self.runtime.block_on(self.ledger(stream).create_schema(&record)).unwrap();
        record.id()
    }

    /// Commits a batch with the rows from one query and the dead letters from another.
    pub(crate) fn commit(&mut self, stream: &str, schema: &Value, rows: &str, dead_letters: Option<&str>) {
        let object = format!("{}.json", self.batches.get(&stream.parse().unwrap()).copied().unwrap_or(0) + 1);
        self.commit_object(stream, &object, schema, rows, dead_letters);
    }

    /// Commits a batch of one object with this name.
    pub(crate) fn commit_object(
        &mut self,
        stream: &str,
        object: &str,
        schema: &Value,
        rows: &str,
        dead_letters: Option<&str>,
    ) {
        let plan = self.plan(stream, schema);
        let record = self.records[&plan.stream].clone();
        let mut files = vec![self.write(&bronze_key(&plan, 0), &stream_and_system(&record), rows)];
        let dead_columns = dead_letter_columns(self.with_ids);
        files.extend(dead_letters.map(|query| self.write(&dead_letters_key(&plan), &dead_columns, query)));
        let rows = files[0].rows;
        let dead_letters = files.get(1).map_or(0, |file| file.rows);
        self.publish(&plan, object, files, rows, dead_letters);
    }

    fn publish(&mut self, plan: &Plan, object: &str, files: Vec<OutputFile>, rows: u64, dead_letters: u64) {
        let input = InputOutcome {
            key: Key::Raw { stream: plan.stream.clone(), rest: object.to_owned() },
            etag: "\"e\"".to_owned(),
            size: 10,
            outcome: Outcome::Ingested,
            records_read: rows + dead_letters,
            rows,
            dead_letters,
            content: None,
            copy: None,
        };
        let by_reason = (dead_letters > 0).then_some((Reason::InvalidSchema, dead_letters)).into_iter().collect();
        let commit = Commit {
            stream: plan.stream.clone(),
            batch: plan.batch,
            plan_id: plan.plan_id,
            attempt_id: Uuid::nil(),
            committed_at: Timestamp::from_micros(PLANNED_AT_MICROS + 1_500_000).unwrap(),
            schema_id: plan.schema_id().unwrap().clone(),
            fingerprint: Fingerprint::of(b"test"),
            inputs: vec![input],
            files,
            removed: Vec::new(),
            resolved: Vec::new(),
            totals: Totals {
                records_read: rows + dead_letters,
                rows,
                dead_letters,
                dead_letters_by_reason: by_reason,
                ..Totals::default()
            },
        };
        self.publish_commit(&commit);
    }

    fn publish_commit(&mut self, commit: &Commit) {
        self.runtime.block_on(self.ledger(commit.stream.as_str()).create_commit(commit)).unwrap();
        self.batches.insert(commit.stream.clone(), commit.batch.number());
    }

    /// What a batch committed.
    pub(crate) fn committed(&self, stream: &str, batch: u64) -> Commit {
        let batch = BatchId::new(batch).unwrap();
        self.runtime.block_on(self.ledger(stream).commit(batch)).unwrap().unwrap()
    }

    /// Commits a batch that read nothing, made by hand from an empty commit.
    pub(crate) fn commit_by_hand(&mut self, stream: &str, schema: &Value, make: impl FnOnce(&mut Commit)) {
        let plan = self.plan(stream, schema);
        let mut commit = Commit { batch: plan.batch, ..self.committed(stream, 1) };
        (commit.inputs, commit.files, commit.totals) = (Vec::new(), Vec::new(), Totals::default());
        make(&mut commit);
        self.publish_commit(&commit);
    }

    /// Writes a file of rows for the next batch; a commit must name it.
    pub(crate) fn rewrite(&mut self, stream: &str, schema: &Value, rows: &str) -> OutputFile {
        let plan = self.plan(stream, schema);
        let columns = stream_and_system(&self.records[&plan.stream]);
        self.write(&bronze_key(&plan, 3), &columns, rows)
    }

    /// Commits a batch of this many files, each with the rows from the query.
    pub(crate) fn commit_files(&mut self, stream: &str, schema: &Value, rows: &str, files: usize) {
        let plan = self.plan(stream, schema);
        let columns = stream_and_system(&self.records[&plan.stream]);
        let first = self.write(&bronze_key(&plan, 0), &columns, rows);
        let bytes = std::fs::read(self.path(&first.key.to_string())).unwrap();
        let copy = |task: usize| {
            let key = bronze_key(&plan, task);
            std::fs::write(self.path(&key.to_string()), &bytes).unwrap();
            OutputFile { key, ..first.clone() }
        };
        let files: Vec<OutputFile> = std::iter::once(first.clone()).chain((1..files).map(copy)).collect();
        let rows = files.iter().map(|file| file.rows).sum();
        self.publish(&plan, "all.json", files, rows, 0);
    }

    /// Removes the bronze files of a stream's only batch, except the first ones.
    pub(crate) fn remove_files_from(&self, first: usize) {
        let mut folders = vec![self.path("bronze")];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files.iter().skip(first).for_each(|file| std::fs::remove_file(file).unwrap());
    }

    /// Writes a file for the next batch that no commit names.
    pub(crate) fn write_orphan(&mut self, stream: &str, rows: &str) {
        let name: StreamName = stream.parse().unwrap();
        let record = self.records[&name].clone();
        let plan = self.plan(stream, &record.json_schema);
        self.write(&bronze_key(&plan, 7), &stream_and_system(&record), rows);
    }

    /// Writes a Parquet file with these columns; columns that the query lacks get a default value.
    fn write(&self, key: &Key, columns: &[Column], query: &str) -> OutputFile {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&format!("SET TimeZone = 'UTC'; CREATE TABLE given AS {query}")).unwrap();
        let given: Vec<String> = {
            let mut names = connection.prepare("SELECT column_name FROM (DESCRIBE given)").unwrap();
            names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let value = |column: &Column| {
            let (name, kind) = (identifier(&column.name), sql_type(&column.kind));
            let value = if given.contains(&column.name) { name.clone() } else { stand_in(column) };
            format!("CAST({value} AS {kind}) AS {name}")
        };
        let select = columns.iter().map(value).collect::<Vec<_>>().join(", ");
        let file = self.folder.path().join("written.parquet");
        let to = literal(&file.display().to_string());
        let ids = field_ids(columns);
        let copy = format!("COPY (SELECT {select} FROM given) TO {to} (FORMAT parquet, FIELD_IDS {{{ids}}})");
        connection.execute_batch(&copy).unwrap();
        let rows = connection.query_row("SELECT count(*) FROM given", [], |row| row.get::<_, i64>(0)).unwrap();
        let bytes = bytes::Bytes::from(std::fs::read(&file).unwrap());
        let (size, sha256) = (bytes.len() as u64, lake::ids::sha256_hex(&bytes));
        self.runtime.block_on(self.lake.create(key, bytes)).unwrap();
        OutputFile { key: key.clone(), size, sha256, rows: rows as u64, event_time_min: None, event_time_max: None }
    }

    pub(crate) fn settings(&self, format: Format) -> Settings {
        Settings {
            urls: LakeUrls::below(&self.url).unwrap(),
            lake_url: StoreUrl::parse(&self.url).ok(),
            streams_dir: self.folder.path().join("streams"),
            source: Source::Prompt,
            format: Some(format),
        }
    }

    pub(crate) fn session(&self) -> Session {
        Session::open(&self.settings(Format::Csv), self.runtime.handle().clone()).unwrap()
    }

    /// The results in a new session, as CSV.
    pub(crate) fn ask(&self, script: &str) -> String {
        ask(&mut self.session(), script).unwrap()
    }

    /// The program, set up for this lake and isolated from this machine's settings.
    pub(crate) fn reader(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reader"));
        command.current_dir(self.folder.path()).env_clear().env("LAKE_URL", &self.url);
        command.env("HOME", self.folder.path()).env("RUST_BACKTRACE", "0");
        command
    }

    pub(crate) fn define(&self, stream: &str, schema: &Value) {
        let folder = self.folder.path().join("streams");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{stream}.toml")), "[source]\nformat = \"ndjson\"\n").unwrap();
        std::fs::write(folder.join(format!("{stream}.schema.json")), schema.to_string()).unwrap();
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join("lake").join(below)
    }
}

/// A stream, an object and a value that are strange but valid.
pub(crate) const STRANGE_STREAM: &str = "x\"; drop table t; -- it's größe 日本 🎉";
pub(crate) const STRANGE_OBJECT: &str = "l'été/\"日本\" 🎉; --/a b+c%20.json";
pub(crate) const STRANGE_VALUE: &str = "it's \"größe\";\n--日本\t🎉\\";

/// A lake with all of them in one batch.
pub(crate) fn strange_lake() -> TestLake {
    let mut lake = TestLake::new();
    let key = format!("raw/{STRANGE_STREAM}/{STRANGE_OBJECT}");
    let rows = format!("SELECT 1 AS id, {} AS name, {} AS _source_key", literal(STRANGE_VALUE), literal(&key));
    let dead = format!("SELECT {} AS _raw_record, {} AS _source_key", literal(STRANGE_VALUE), literal(&key));
    lake.commit_object(STRANGE_STREAM, STRANGE_OBJECT, &id_and_name(), &rows, Some(&dead));
    lake
}

/// A query on [`strange_lake`] that must find all of them, and its result as JSON.
pub(crate) fn strange_query() -> (String, String) {
    let relation = identifier(STRANGE_STREAM);
    let query = format!(
        "SELECT stream, key, name, _raw_record AS raw FROM bronze.{relation} JOIN dead_letters.{relation} USING (_source_key) \
         JOIN checkpoints.objects ON _source_key = key WHERE stream = {} AND name = {}",
        literal(STRANGE_STREAM),
        literal(STRANGE_VALUE)
    );
    let key = format!("raw/{STRANGE_STREAM}/{STRANGE_OBJECT}");
    let row = json!({ "stream": STRANGE_STREAM, "key": key, "name": STRANGE_VALUE, "raw": STRANGE_VALUE });
    (query, format!("[{row}]\n"))
}

/// The results of a script in a session, as CSV.
pub(crate) fn ask(session: &mut Session, script: &str) -> Result<String, Error> {
    write_as(session, script, Format::Csv)
}

pub(crate) fn write_as(session: &mut Session, script: &str, format: Format) -> Result<String, Error> {
    let mut answer = Vec::new();
    for statement in statements(script) {
        session.run(statement, &mut *format.to(&mut answer, Layout::WHOLE))?;
    }
    Ok(String::from_utf8(answer).unwrap())
}

/// Runs a command with this stdin.
pub(crate) fn run_with_stdin(command: &mut Command, stdin: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A JSON Schema with these properties and no others.
pub(crate) fn closed(properties: Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// The schema of most tests: an id and a name.
pub(crate) fn id_and_name() -> Value {
    closed(json!({ "id": { "type": "integer" }, "name": { "type": "string" } }))
}

fn stream_and_system(record: &SchemaRecord) -> Vec<Column> {
    record.columns.iter().cloned().chain(BRONZE_COLUMNS.iter().map(|column| column.column())).collect()
}

fn dead_letter_columns(with_ids: bool) -> Vec<Column> {
    let all = DEAD_LETTER_COLUMNS.iter().map(|column| column.column());
    all.filter(|column| with_ids || column.id != DEAD_LETTER_ID).collect()
}

fn data_file(plan: &Plan, task: usize) -> DataFile {
    DataFile {
        stream: plan.stream.clone(),
        ingested_date: plan.planned_at.date(),
        batch: plan.batch,
        task: Ordinal::new(task).unwrap(),
        fingerprint: Fingerprint::of(b"test"),
    }
}

fn bronze_key(plan: &Plan, task: usize) -> Key {
    Key::Bronze(data_file(plan, task))
}

fn dead_letters_key(plan: &Plan) -> Key {
    Key::DeadLetters(data_file(plan, 0))
}

fn stand_in(column: &Column) -> String {
    match column.kind {
        ColumnType::Int64 => "0".to_owned(),
        ColumnType::Timestamp => "'2026-11-20T08:00:00Z'".to_owned(),
        ColumnType::Boolean => "false".to_owned(),
        ColumnType::String => literal(&format!("any{}", column.name)),
        _ => "NULL".to_owned(),
    }
}

fn field_ids(columns: &[Column]) -> String {
    columns
        .iter()
        .map(|column| format!("{}: {}", identifier(&column.name), field_id(column)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn field_id(column: &Column) -> String {
    let inner = match &column.kind {
        ColumnType::Struct(fields) => field_ids(fields),
        ColumnType::List(element) => format!("element: {}", field_id(element)),
        ColumnType::Map { key, value } => format!("key: {}, value: {}", field_id(key), field_id(value)),
        _ => return column.id.to_string(),
    };
    format!("{{__duckdb_field_id: {}, {inner}}}", column.id)
}
