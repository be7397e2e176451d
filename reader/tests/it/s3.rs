//! A lake on an S3 server, read through httpfs or, without it, through copies.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use aws_credential_types::Credentials as SdkCredentials;
use futures::StreamExt;
use lake::store::s3::{S3Store, to_path};
use local_s3::{Config, Credentials, Server};
use object_store::{ObjectStore, ObjectStoreExt};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::{TestLake, id_and_name, strange_lake, strange_query, text};

const KEY_ID: &str = "test-key-id";
const SECRET: &str = "te'st-secret";

/// A lake on its own S3 server.
struct Served {
    lake: TestLake,
    endpoint: String,
    server: Server,
    _root: TempDir,
}

fn served(stream: &str) -> Served {
    let mut written = TestLake::new();
    written.commit(stream, &id_and_name(), "SELECT 1 AS id, 'one' AS name", Some("SELECT 1"));
    written.commit(stream, &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    serve(written)
}

/// Moves a lake from disk to a server, so that this process needs no AWS settings.
fn serve(written: TestLake) -> Served {
    let root = TempDir::new().unwrap();
    let runtime = Runtime::new().unwrap();
    let config = Config::new(root.path(), Credentials::new(KEY_ID, SECRET)).bucket("lake");
    let server = runtime.block_on(Server::start(config)).unwrap();
    let endpoint = server.endpoint();
    runtime.block_on(copy_to_server(&written.path(""), &endpoint, &mut BTreeSet::new()));
    let lake = TestLake::of(written.folder, "s3://lake/pre/fix".to_owned(), runtime, written.lake);
    Served { lake, endpoint, server, _root: root }
}

fn store(endpoint: &str) -> S3Store {
    S3Store::at("lake", endpoint, SdkCredentials::new(KEY_ID, SECRET, None, None, "test")).unwrap()
}

/// Copies the new files. Commits come last, one PUT each, as a consumer writes them.
async fn copy_to_server(folder: &Path, endpoint: &str, copied: &mut BTreeSet<PathBuf>) {
    let store = store(endpoint);
    let mut folders = vec![folder.to_path_buf()];
    let mut files = Vec::new();
    while let Some(entries) = folders.pop().map(|folder| std::fs::read_dir(folder).unwrap()) {
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path)
            } else if copied.insert(path.clone()) {
                files.push(path)
            }
        }
    }
    let (commits, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|path| path.parent().unwrap().ends_with("commits"));
    for files in [others, commits] {
        let put = |path: PathBuf| {
            let key = to_path(&format!("pre/fix/{}", path.strip_prefix(folder).unwrap().display()));
            let store = &store;
            async move { store.put(&key, std::fs::read(&path).unwrap().into()).await.unwrap() }
        };
        futures::stream::iter(files).map(put).buffer_unordered(32).for_each(|_| async {}).await;
    }
}

impl Served {
    fn reader(&self) -> Command {
        let mut reader = self.lake.reader();
        reader.env("AWS_ENDPOINT_URL", &self.endpoint).env("AWS_REGION", "us-east-1");
        reader.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
        reader
    }
}

const QUERY: &str =
    "SELECT id, name, (SELECT count(*) FROM dead_letters.events) AS dead FROM bronze.events ORDER BY id";
const ANSWER: &str = "id,name,dead\n1,one,1\n2,two,1\n";

#[test]
fn a_lake_on_s3_is_read_where_it_is() {
    let served = served("events");
    let done = served.reader().args(["-c", QUERY]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout), text(&done.stderr)), (Some(0), ANSWER, ""));
    assert!(!served.lake.folder.path().join(".cache").exists());
}

#[test]
fn without_httpfs_files_are_copied_and_a_line_says_so() {
    let served = served("events");
    let done = served.reader().env("DUCKDB_EXTENSION_DIR", "none").args(["-c", QUERY]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), ANSWER), "{}", text(&done.stderr));
    assert_eq!(text(&done.stderr).lines().count(), 1, "{}", text(&done.stderr));
    assert!(served.lake.folder.path().join(".cache/sluice/files").is_dir());
}

#[test]
fn a_name_that_httpfs_would_read_as_a_pattern_can_be_read() {
    let served = served("what?[*]");
    let query = "SELECT count(*) AS n FROM bronze.\"what?[*]\"";
    let done = served.reader().args(["-c", query]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "n\n2\n"), "{}", text(&done.stderr));
}

#[test]
fn credentials_do_not_show_in_a_session() {
    let served = served("events");
    let query = "FROM duckdb_secrets(); SELECT * FROM duckdb_settings()";
    let done = served.reader().args(["-c", query]).output().unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert!(!text(&done.stdout).contains(SECRET));
    assert!(text(&done.stdout).contains("s3://"));
}

#[test]
fn nothing_is_written_to_the_lakes_bucket_by_any_name_or_secret() {
    let served = served("events");
    let host = served.endpoint.trim_start_matches("http://");
    let secret = |options: &str| {
        format!("CREATE SECRET mine (TYPE s3, KEY_ID '{KEY_ID}', SECRET 'te''st-secret', USE_SSL false, {options});")
    };
    let own = secret(&format!("ENDPOINT '{host}', URL_STYLE 'path'"));
    let in_path = secret(&format!("ENDPOINT '{host}/lake', URL_STYLE 'path', SCOPE 's3://pre'"));
    let in_host = secret("ENDPOINT 'lake.localhost', URL_STYLE 'path', SCOPE 's3://pre'");
    let named = |name: &str, options: &str| secret(options).replace("SECRET mine", &format!("SECRET {name}"));
    let decoy = named("\"x;endpoint=ok\"", &format!("ENDPOINT '{host}/lake', URL_STYLE 'path', SCOPE 's3://pre'"));
    let decoys = secret(&format!("ENDPOINT '{host}/lake', URL_STYLE 'path', SCOPE ['s3://pre', 's3://q;endpoint=ok']"));
    let put_together = secret(&format!("ENDPOINT '{host}' || '/lake', URL_STYLE 'path', SCOPE 's3://pre'"));
    // The bucket's name and the endpoint together are the server's address.
    let (first, rest) = host.split_once('.').unwrap();
    let split = secret(&format!("ENDPOINT '{rest}', URL_STYLE 'vhost', SCOPE 's3://{first}'"));
    let by_default = secret(&format!("ENDPOINT '{rest}', SCOPE 's3://{first}'"));
    let in_region = secret(&format!("REGION '{host}/lake', SCOPE 's3://pre'"));
    for script in [
        "COPY (SELECT 1) TO 's3://lake/pre/fix/x.csv'".to_owned(),
        "COPY (SELECT 1) TO 's3://lake/pre/fix/bronze/events/x.csv'".to_owned(),
        "COPY (SELECT 1) TO 's3a://LAKE//pre/fix/x.csv'".to_owned(),
        "COPY (SELECT 1) TO 'S3://Lake/pre/fix/x.csv'".to_owned(),
        "COPY (SELECT 1 AS a) TO 's3://lake/pre' (FORMAT csv, PARTITION_BY (a))".to_owned(),
        "COPY (SELECT 1) TO 's3://lake/other/../pre/fix/x.csv'".to_owned(),
        format!("COPY (SELECT 1) TO 's3://pre/fix/x.csv?s3_endpoint={host}/lake'"),
        format!("{own} COPY (SELECT 1) TO 's3://lake/pre/fix/x.csv'"),
        format!("{in_path} COPY (SELECT 1) TO 's3://pre/fix/x.csv'"),
        format!("PREPARE p AS COPY (SELECT 1) TO 's3://pre/fix/x.csv'; {in_path} EXECUTE p"),
        format!("{in_host} COPY (SELECT 1) TO 's3://pre/fix/x.csv'"),
        format!("{decoy} COPY (SELECT 1) TO 's3://pre/fix/x.csv'"),
        format!("{decoys} COPY (SELECT 1) TO 's3://pre/fix/x.csv'"),
        format!("{put_together} COPY (SELECT 1) TO 's3://pre/fix/x.csv'"),
        format!("{split} COPY (SELECT 1) TO 's3://{first}/lake/pre/fix/x.csv'"),
        format!("{by_default} COPY (SELECT 1) TO 's3://{first}/lake/pre/fix/x.csv'"),
        format!("{in_region} COPY (SELECT 1) TO 's3://pre/fix/x.csv'"),
        "COPY (SELECT 1) TO 's3://l%61ke/pre/fix/x.csv'".to_owned(),
        "ATTACH 'DUCKDB:s3://lake/pre/fix/x.db'".to_owned(),
        "CREATE TABLE t AS SELECT 1; EXPORT DATABASE 's3://lake/pre/fix/x'".to_owned(),
    ] {
        let done = served.reader().args(["-c", &script]).output().unwrap();
        let said = text(&done.stderr);
        assert_eq!((done.status.code(), said.starts_with("error: refused: ")), (Some(2), true), "{script}: {said}");
    }
    let elsewhere = format!("{own} COPY (SELECT 7 AS n) TO 's3://lake/other/x.csv'; FROM 's3://lake/other/x.csv'");
    let done = served.reader().args(["-c", &elsewhere]).output().unwrap();
    assert_eq!(text(&done.stdout).lines().last(), Some("7"), "{}", text(&done.stderr));
}

/// Fails when a stream that a statement does not mention costs a request, or one that it mentions costs two.
#[test]
fn a_statement_costs_one_listing_of_the_lake_and_one_of_each_stream_that_it_mentions() {
    let mut written = TestLake::new();
    for stream in ["events", "orders"] {
        written.commit(stream, &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    }
    // Its consumer has started, and has seen no object yet.
    written.store_schema("waiting", &id_and_name(), |_| ());
    for number in 1..=6 {
        written.define(&format!("unused_{number}"), &id_and_name());
    }
    let served = serve(written);
    let requests = |statement: &str, times: usize| {
        let before = served.server.requests();
        let script = format!("{statement};").repeat(times);
        assert!(served.reader().args(["-c", &script]).output().unwrap().status.success(), "{statement}");
        served.server.requests().since(&before)
    };
    for (statement, listings, reads) in [
        ("SELECT 1", 1, 0),
        ("SELECT id FROM bronze.events LIMIT 0", 2, 0),
        ("SELECT * FROM bronze.events AS e JOIN bronze.orders AS o ON e.id = o.id LIMIT 0", 3, 0),
        ("SELECT * FROM dead_letters.unused_1", 1, 0),
        // Two streams with commits; the one without may have a snapshot, a plan or a schema by now.
        ("SELECT count(*) FROM checkpoints.batches", 1 + 2 + 3, 1),
    ] {
        let (few, many) = (requests(statement, 1), requests(statement, 11));
        assert_eq!(many.get("ListObjectsV2") - few.get("ListObjectsV2"), 10 * listings, "{statement}");
        assert_eq!(many.total() - few.total(), 10 * (listings + reads), "{statement}");
    }
    // A start looks once for rows without a ledger, in both zones, and at each stream that has a ledger.
    assert_eq!(requests("SELECT 1", 1).get("ListObjectsV2"), 1 + 2 + 2 + 5);
}

#[test]
fn a_lake_without_a_commit_and_one_with_strange_names_are_read_on_s3() {
    let served = served("it's \"größe\"; --");
    let query = "SELECT (SELECT count(*) FROM bronze.\"it's \"\"größe\"\"; --\") AS n, any_value(key) AS key FROM checkpoints.objects";
    let done = served.reader().args(["-c", query]).output().unwrap();
    let expected = "n,key\n2,\"raw/it's \"\"größe\"\"; --/1.json\"\n";
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), expected), "{}", text(&done.stderr));

    let empty = served.reader().env("LAKE_URL", "s3://lake/empty").args(["-c", "SHOW TABLES"]).output().unwrap();
    assert_eq!(text(&empty.stdout).lines().count(), 4, "{}", text(&empty.stderr));
}

#[test]
fn strange_names_keys_and_values_come_out_of_s3_as_they_went_in() {
    let served = serve(strange_lake());
    let (query, answer) = strange_query();
    let done = served.reader().args(["--format", "json", "-c", &query]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), answer.as_str()), "{}", text(&done.stderr));
}

/// Counts requests, not seconds: times depend on the machine.
#[test]
fn ten_thousand_files_on_s3_cost_no_request_before_they_are_read() {
    let asked = |served: &Served, query: &str, answer: &str| {
        let before = served.server.requests();
        let done = served.reader().args(["-c", query]).output().unwrap();
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), answer), "{}", text(&done.stderr));
        served.server.requests().since(&before).total()
    };
    let lake_of = |files: usize| {
        let mut written = TestLake::new();
        written.commit_files("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", files);
        written
    };
    let (few, many) = (serve(lake_of(100)), lake_of(10_000));
    // Files that no query reads need not exist.
    many.remove_files_from(100);
    let many = serve(many);
    for (query, of_few, of_many) in [
        ("SELECT name FROM bronze.events LIMIT 0", "name\n", "name\n"),
        ("SELECT count(*) AS n FROM checkpoints.files", "n\n100\n", "n\n10000\n"),
    ] {
        assert_eq!(asked(&few, query, of_few), asked(&many, query, of_many), "{query}");
    }
    let of_one = asked(&many, "SELECT id FROM bronze.events LIMIT 1", "id\n1\n");
    assert!(of_one <= 30, "{of_one}");
    // A HEAD and a GET for each file, and the requests for the ledger.
    let of_all = asked(&few, "SELECT count(*) AS n, sum(id) AS s FROM bronze.events", "n,s\n100,100\n");
    assert!(of_all <= 2 * 100 + 10, "{of_all}");
}

#[test]
fn every_statement_sees_one_state_on_s3_while_batches_are_committed() {
    const BATCHES: u64 = 12;
    const QUERY: &str = "SELECT (SELECT count(*) FROM bronze.events) - (SELECT sum(rows) FROM checkpoints.batches) AS rows, \
        (SELECT count(*) FROM dead_letters.events) - (SELECT sum(dead_letters) FROM checkpoints.objects) AS dead, \
        (SELECT max(batch) FROM checkpoints.batches) AS newest;";
    let mut written = TestLake::new();
    let mut commit = move |rows: u64| {
        let query = format!("SELECT 1 AS id, 'one' AS name FROM range({rows})");
        written.commit("events", &id_and_name(), &query, Some("SELECT 1 FROM range(2)"));
        written.path("")
    };
    let folder = commit(1);
    let empty = TestLake::new();
    std::fs::create_dir_all(empty.path("")).unwrap();
    let served = serve(empty);
    let endpoint = served.endpoint.clone();
    let mut copied = BTreeSet::new();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(copy_to_server(&folder, &endpoint, &mut copied));
    let writer = std::thread::spawn(move || {
        for batch in 2..=BATCHES {
            let folder = commit(batch);
            runtime.block_on(copy_to_server(&folder, &endpoint, &mut copied));
        }
    });
    let mut newest = 0;
    while newest < BATCHES {
        let done = served.reader().args(["-c", &QUERY.repeat(20)]).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        for answer in text(&done.stdout).lines().filter(|line| !line.starts_with("rows")) {
            let seen = answer.strip_prefix("0,0,").unwrap_or_else(|| panic!("{answer}")).parse().unwrap();
            assert!(seen >= newest, "{seen} after {newest}");
            newest = seen;
        }
    }
    writer.join().unwrap();
}

#[test]
fn a_missing_or_damaged_committed_file_on_s3_is_reported_by_name() {
    let served = served("events");
    let bronze = to_path("pre/fix/bronze/events/ingested_date=2026-11-20");
    let store = store(&served.endpoint);
    let runtime = &served.lake.runtime;
    let listed = runtime.block_on(store.list_with_delimiter(Some(&bronze))).unwrap();
    let file = &listed.objects[0].location;
    let tells = || {
        let done = served.reader().args(["-c", QUERY]).output().unwrap();
        let said = text(&done.stderr);
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(3), ""), "{said}");
        assert!(said.contains("bronze.events") && said.contains(file.filename().unwrap()), "{said}");
        let other = served.reader().args(["-c", "SELECT count(*) AS n FROM dead_letters.events"]).output().unwrap();
        assert_eq!(text(&other.stdout), "n\n1\n");
    };
    runtime.block_on(store.put(file, "no Parquet at all".into())).unwrap();
    tells();
    runtime.block_on(store.delete(file)).unwrap();
    tells();
}

/// Fails when DuckDB keeps the keys that it got at the start.
#[test]
fn a_session_goes_on_with_the_keys_that_have_replaced_its_own() {
    let served = served("events");
    let folder = served.lake.folder.path();
    let (profile, script) = (folder.join("credentials"), folder.join("next.sql"));
    let write_profile = |key: &str, secret: &str| {
        let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
        std::fs::write(&profile, text).unwrap();
    };
    write_profile(KEY_ID, SECRET);
    assert!(Command::new("mkfifo").arg(&script).status().unwrap().success());
    let mut reader = served.lake.reader();
    reader.env("AWS_ENDPOINT_URL", &served.endpoint).env("AWS_REGION", "us-east-1");
    reader.env("AWS_SHARED_CREDENTIALS_FILE", &profile).env("AWS_EC2_METADATA_DISABLED", "true");
    reader.args(["-c", "SELECT count(*) AS n FROM bronze.events", "-c", ".read next.sql"]);
    let running = reader.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Opening it waits until the session, after its first statement, reads from it.
    let mut next = std::fs::OpenOptions::new().write(true).open(&script).unwrap();
    write_profile("second-key", "second-secret");
    served.server.set_credentials(Credentials::new("second-key", "second-secret"));
    next.write_all(b"SELECT count(*) AS dead FROM dead_letters.events").unwrap();
    drop(next);
    let done = running.wait_with_output().unwrap();
    let said = text(&done.stderr);
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "n\n2\ndead\n1\n"), "{said}");
}
