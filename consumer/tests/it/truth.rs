//! Checks the lake against the producer's truth file: every record of some hundred batches is in its place, exactly
//! once, in each format and compression.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    process::{Command, Output},
};

use lake::{
    keys::Key,
    ledger::Ledger,
    settings::LakeUrls,
    store::{
        Lake,
        s3::{Credentials as S3Credentials, S3Store},
    },
};
use local_s3::{Config, Credentials, Server};
use producer::truth::{ObjectTruth, RecordFate, Truth};
use serde_json::{Map, Value};

use crate::lake_in_a_folder::{Contents, contents, events};

/// The place of a record, or of an object as a whole.
type Place = (String, Option<u64>);

/// What a producer sends.
#[derive(Clone, Copy)]
struct Sent {
    format: &'static str,
    compression: &'static str,
    batches: usize,
}

/// Enough batches to get each kind of damage several times in each format.
const JSON_ARRAYS: Sent = Sent { format: "json-array", compression: "none", batches: 500 };

struct Programs {
    environment: Vec<(&'static str, String)>,
    folder: tempfile::TempDir,
}

impl Programs {
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_consumer")).with_file_name(program);
        let output = Command::new(&program)
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}; run `cargo build --workspace` first", program.display()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Produces batches and drains them; returns the truth about them.
    fn produce_and_consume(&self, sent: Sent) -> Truth {
        let truth = self.folder.path().join("truth.ndjson");
        let (truth_text, batches) = (truth.display().to_string(), sent.batches.to_string());
        let flags =
            ["--stream", "events", "--batches", &batches, "--batch-size", "20", "--interval", "0s", "--seed", "7"];
        let chances = ["--corrupt-batches", "0.2", "--invalid-records", "0.2", "--duplicates", "0.05"];
        let rest = ["--format", sent.format, "--compression", sent.compression, "--truth", &truth_text];
        self.run("producer", &[&flags[..], &chances, &rest].concat());
        let streams = self.folder.path().join("streams");
        copy_stream(&streams, sent.format);
        self.run("consumer", &["run", "--stream", "events", "--once", "--streams-dir", &streams.display().to_string()]);
        self.run("consumer", &["verify", "--stream", "events"]);
        Truth::read(&truth).unwrap()
    }
}

fn copy_stream(to: &Path, format: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../streams");
    std::fs::create_dir_all(to).unwrap();
    std::fs::copy(from.join("events.schema.json"), to.join("events.schema.json")).unwrap();
    std::fs::write(to.join("events.toml"), format!("[source]\nformat = \"{}\"\n", format.replace('-', "_"))).unwrap();
}

fn place(record: &Map<String, Value>) -> Place {
    (record["_source_key"].as_str().unwrap().to_owned(), record.get("_record_index").and_then(Value::as_u64))
}

/// Each record by its place; two records in one place are a failure.
fn by_place(records: Vec<Map<String, Value>>) -> BTreeMap<Place, Map<String, Value>> {
    let count = records.len();
    let placed: BTreeMap<_, _> = records.into_iter().map(|record| (place(&record), record)).collect();
    assert_eq!(placed.len(), count, "two records have the same place");
    placed
}

/// The fields that a valid event of JSON or CSV was sent with.
fn fields(text: &str) -> Map<String, Value> {
    if text.starts_with('{') {
        return serde_json::from_str(text).unwrap();
    }
    let names = ["user_id", "event_id", "event_timestamp", "event_type", "product_id", "properties"];
    // Only the last cell of a valid event is quoted.
    let cells = names.into_iter().zip(text.splitn(names.len(), ',')).filter(|(_, cell)| !cell.is_empty());
    let value = |cell: &str| match cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')) {
        Some(json) => serde_json::from_str(&json.replace("\"\"", "\"")).unwrap(),
        None => Value::from(cell),
    };
    cells.map(|(name, cell)| (name.to_owned(), value(cell))).collect()
}

fn assert_row(row: &Map<String, Value>, text: &str) {
    let sent = fields(text);
    for (name, value) in &sent {
        let held = row.get(name).unwrap_or_else(|| panic!("{name} is missing in {row:?}"));
        if name == "event_timestamp" {
            let moment = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
            assert_eq!(moment(held), moment(value));
        } else {
            assert_eq!(held, value, "{name}");
        }
    }
    let own = row.keys().filter(|name| !name.starts_with('_')).count();
    assert_eq!(own, sent.len(), "{row:?}");
}

fn assert_letter(letter: &Map<String, Value>, truth: &producer::truth::DeadLetterTruth, place: &Place) {
    assert_eq!(letter["_dead_letter_reason"], truth.reason.as_str(), "{place:?}");
    let code = letter["_error_code"].as_str().unwrap();
    assert!(truth.codes.iter().any(|accepted| accepted.as_str() == code), "{place:?}: {code}, not {:?}", truth.codes);
    if let Some(text) = &truth.text {
        assert_eq!(letter["_raw_record"], text.as_str(), "{place:?}");
    }
}

/// Checks the lake against the truth: the same records, each in its place, and no others.
async fn assert_holds(lake: &Lake, truth: &Truth, sent: Sent) {
    assert_eq!((truth.stored.len(), truth.unsure.len()), (sent.batches, 0));
    let Contents { rows, dead_letters, commits } = contents(&Ledger::new(lake.clone(), events())).await;
    let (mut rows, mut letters) = (by_place(rows), by_place(dead_letters));
    let inputs: HashMap<&Key, _> =
        commits.iter().flat_map(|commit| &commit.inputs).map(|input| (&input.key, input)).collect();
    for object in &truth.stored {
        let input = inputs[&object.key];
        assert_eq!(input.outcome, object.outcome, "{}", object.key);
        assert_eq!((input.records_read, input.rows), (object.records_read, object.rows), "{}", object.key);
        if let Some(etag) = &object.etag {
            assert_eq!(&input.etag, etag);
        }
        take_records(object, &mut rows, &mut letters);
        if let Some(copy) = &input.copy {
            let kept = lake.read(copy).await.unwrap().unwrap();
            assert_eq!(lake::ids::sha256_hex(&kept), object.sha256, "the copy of {}", object.key);
        }
    }
    assert!(rows.is_empty() && letters.is_empty(), "the lake has records that were not sent: {rows:?} {letters:?}");
}

fn take_records(
    object: &ObjectTruth,
    rows: &mut BTreeMap<Place, Map<String, Value>>,
    letters: &mut BTreeMap<Place, Map<String, Value>>,
) {
    let key = object.key.to_string();
    let lost = |place: &Place| panic!("{place:?} is not in the lake");
    if let Some(letter) = &object.dead_letter {
        let place = (key, None);
        return assert_letter(&letters.remove(&place).unwrap_or_else(|| lost(&place)), letter, &place);
    }
    for record in &object.records {
        let place = (key.clone(), Some(record.index));
        match &record.fate {
            RecordFate::Row(row) => assert_row(&rows.remove(&place).unwrap_or_else(|| lost(&place)), &row.text),
            RecordFate::DeadLetter(letter) => {
                assert_letter(&letters.remove(&place).unwrap_or_else(|| lost(&place)), letter, &place);
            }
        }
    }
}

async fn in_a_folder(sent: Sent) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/lake", folder.path().display());
    let programs = Programs { environment: vec![("LAKE_URL", url.clone())], folder };
    let truth = programs.produce_and_consume(sent);
    let lake = Lake::open(&LakeUrls::below(&url).unwrap()).await.unwrap();
    assert_holds(&lake, &truth, sent).await;
}

#[tokio::test]
async fn the_lake_in_a_folder_holds_what_the_truth_says_of_json_arrays() {
    in_a_folder(JSON_ARRAYS).await;
}

#[tokio::test]
async fn the_lake_in_a_folder_holds_what_the_truth_says_of_ndjson() {
    in_a_folder(Sent { format: "ndjson", ..JSON_ARRAYS }).await;
}

#[tokio::test]
async fn the_lake_in_a_folder_holds_what_the_truth_says_of_csv() {
    in_a_folder(Sent { format: "csv", batches: 300, ..JSON_ARRAYS }).await;
}

#[tokio::test]
async fn the_lake_in_a_folder_holds_what_the_truth_says_of_csv_in_gzip() {
    in_a_folder(Sent { format: "csv", compression: "gzip", batches: 200 }).await;
}

#[tokio::test]
async fn the_lake_in_a_folder_holds_what_the_truth_says_of_ndjson_in_zstd() {
    in_a_folder(Sent { format: "ndjson", compression: "zstd", batches: 200 }).await;
}

#[tokio::test]
async fn the_lake_in_a_folder_holds_what_the_truth_says_of_json_arrays_in_gzip() {
    in_a_folder(Sent { compression: "gzip", batches: 200, ..JSON_ARRAYS }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lake_on_s3_holds_what_the_truth_says() {
    let root = tempfile::tempdir().unwrap();
    let config = Config::new(root.path(), Credentials::new("tester", "test-secret")).bucket("lake");
    let server = Server::start(config).await.unwrap();
    let environment = crate::lake_on_s3::environment(&server).to_vec();
    let programs = Programs { environment, folder: tempfile::tempdir().unwrap() };
    let (programs, truth) = tokio::task::spawn_blocking(move || {
        let truth = programs.produce_and_consume(JSON_ARRAYS);
        (programs, truth)
    })
    .await
    .unwrap();
    let bucket =
        S3Store::at("lake", &server.endpoint(), S3Credentials::new("tester", "test-secret", None, None, "test"));
    assert_holds(&Lake::on_bucket(bucket.unwrap()), &truth, JSON_ARRAYS).await;
    drop(programs);
    server.shutdown().await;
}
