//! The program itself: its output, its exit codes, and its messages when the user got something wrong.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::ffi::OsStrExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use local_s3::{Config, Credentials, Server};
use serde_json::Value;

const SECRET: &str = "a-secret-that-must-not-leak";

struct Here {
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Here {
    /// A working folder with a stream definition of `events` and a lake on `file://`.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let streams = folder.path().join("streams");
        fs::create_dir_all(&streams).unwrap();
        fs::write(streams.join("events.toml"), "[source]\nformat = \"json_array\"\n").unwrap();
        let schema = r#"{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}"#;
        fs::write(streams.join("events.schema.json"), schema).unwrap();
        let url = format!("file://{}/lake", folder.path().display());
        Self { folder, environment: vec![("LAKE_URL", url)] }
    }

    fn on_s3(endpoint: &str, secret: &str, bucket: &str) -> Self {
        let mut here = Self::new();
        here.environment = vec![
            ("LAKE_URL", format!("s3://{bucket}")),
            ("AWS_ENDPOINT_URL", endpoint.to_owned()),
            ("AWS_ACCESS_KEY_ID", "tester".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ];
        here
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn land(&self, name: &str, body: &str) {
        let folder = self.path().join("lake/raw/events");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), body).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consumer"));
        command.args(arguments).env_clear().current_dir(self.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let (code, stdout, stderr) = self.run(arguments);
        (code, serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{arguments:?}: {stdout}{stderr}")))
    }
}

const ONCE: &[&str] = &["run", "--stream", "events", "--once"];

#[test]
fn help_and_version_go_to_stdout_and_name_the_exit_codes() {
    let here = Here::new();
    for arguments in [&["--help"][..], &["run", "--help"], &["status", "--help"], &["verify", "--help"]] {
        let (code, stdout, stderr) = here.run(arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        assert!(stdout.contains("Exit codes: 0 done"), "{stdout}");
    }
    assert_eq!(here.run(&["--version"]).0, Some(0));
}

#[test]
fn a_wrong_command_line_is_exit_2() {
    let here = Here::new();
    for arguments in [&["dance"][..], &["run"], &["run", "--stream"], &[], &["run", "--stream", "a/b"]] {
        let (code, stdout, stderr) = here.run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
    }
}

#[test]
fn an_unknown_stream_is_exit_2_with_the_defined_ones() {
    let (code, _, stderr) = Here::new().run(&["run", "--stream", "evnets", "--once"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("unknown stream \"evnets\"") && stderr.contains("known streams: \"events\""), "{stderr}");
}

#[test]
fn a_wrong_schema_is_exit_2_with_the_files_name() {
    let schemas = [
        (
            r#"{"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}}"#,
            "https://example.com/a.json",
        ),
        (r#"{"type": "nothing"}"#, "is not a JSON Schema"),
        (r#"{"type": "string"}"#, "must describe JSON objects"),
        (r#"{"type": "#, "is not JSON"),
    ];
    for (schema, words) in schemas {
        let here = Here::new();
        fs::write(here.path().join("streams/events.schema.json"), schema).unwrap();
        let (code, _, stderr) = here.run(ONCE);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("events.schema.json") && stderr.contains(words), "{stderr}");
    }
}

#[test]
fn all_wrong_settings_are_reported_at_once() {
    let mut here = Here::new();
    here.environment = vec![("LAKE_URL", "ftp://x".to_owned()), ("BRONZE_URL", "s3://NO".to_owned())];
    fs::write(here.path().join("streams/events.toml"), "[source]\nformat = \"json_array\"\nflavour = 1\n").unwrap();
    let (code, _, stderr) = here.run(ONCE);
    assert_eq!(code, Some(2));
    for words in ["LAKE_URL", "BRONZE_URL", "source.flavour"] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
}

#[test]
fn flags_override_the_environment_and_the_environment_overrides_dotenv() {
    let mut here = Here::new();
    here.environment.clear();
    let url = |name: &str| format!("file://{}/{name}", here.path().display());
    fs::write(here.path().join(".env"), format!("LAKE_URL={}\n", url("dotenv"))).unwrap();
    assert_eq!(here.run(ONCE).0, Some(0));
    assert!(here.path().join("dotenv/checkpoints").is_dir());

    let environment = url("environment");
    let flag = url("flag");
    here.environment = vec![("LAKE_URL", environment)];
    fs::remove_dir_all(here.path().join("dotenv")).unwrap();
    assert_eq!(here.run(ONCE).0, Some(0));
    assert_eq!(here.run(&[ONCE, &["--lake-url", &flag]].concat()).0, Some(0));
    assert!(here.path().join("environment/checkpoints").is_dir() && here.path().join("flag/checkpoints").is_dir());
    assert!(!here.path().join("dotenv").exists());
}

#[test]
fn status_and_verify_print_json_and_verify_exits_with_3_when_something_is_wrong() {
    let here = Here::new();
    here.land("a.json", "[{\"id\": 1}, {\"id\": \"x\"}]");
    here.land("b.json", "");
    assert_eq!(here.run(ONCE).0, Some(0));
    let json = |arguments: &[&str]| here.json(arguments);
    let (code, status) = json(&["status", "--stream", "events", "--json"]);
    assert_eq!(code, Some(0));
    let fields = [
        "stream",
        "batches_committed",
        "objects_ingested",
        "objects_dead_lettered",
        "objects_pending",
        "records_read",
        "rows",
        "dead_letters",
        "dead_letters_by_reason",
        "last_commit_at",
        "lag_seconds",
    ];
    for field in fields {
        assert!(status.get(field).is_some(), "{field}");
    }
    assert_eq!(status["dead_letters_by_reason"], serde_json::json!({"corrupted_batch": 1, "invalid_schema": 1}));
    let (code, found) = json(&["verify", "--stream", "events", "--json"]);
    assert_eq!((code, &found["ok"], &found["records_read"]), (Some(0), &Value::Bool(true), &Value::from(3)));

    let bronze = here.path().join("lake/bronze");
    fs::remove_dir_all(bronze).unwrap();
    let (code, found) = json(&["verify", "--stream", "events", "--json"]);
    assert_eq!((code, &found["ok"]), (Some(3), &Value::Bool(false)));
    assert!(found["violations"][0].as_str().unwrap().contains("is missing"));
}

#[test]
fn every_file_whose_name_is_text_is_consumed_and_all_else_is_counted_and_reported_once() {
    let here = Here::new();
    let names = ["a.json#1", "line\nfeed.json", "c.json"];
    for name in names {
        here.land(name, "[{\"id\": 1}]");
    }
    let raw = here.path().join("lake/raw/events");
    fs::write(raw.join(std::ffi::OsStr::from_bytes(b"caf\xe9.json")), "[{\"id\": 1}]").unwrap();
    assert!(Command::new("mkfifo").arg(raw.join("pipe")).status().unwrap().success());

    let (code, _, stderr) = here.run(ONCE);
    assert_eq!(code, Some(0), "{stderr}");
    for words in
        ["caf\\xe9.json is ignored: its name is not UTF-8; rename it", "pipe is ignored: it is not a regular file"]
    {
        assert_eq!(stderr.matches(words).count(), 1, "{words}: {stderr}");
    }
    let status = here.json(&["status", "--stream", "events", "--json"]).1;
    let counts = ["objects_ingested", "objects_pending", "objects_ignored", "rows"].map(|field| &status[field]);
    assert_eq!(counts, [3, 0, 2, 3]);
}

#[test]
fn what_is_passed_over_is_logged_once_and_shown_as_the_settings_say() {
    let here = Here::new();
    for name in ["_SUCCESS", ".part.crc", "a.tmp", "a.json"] {
        here.land(name, "[{\"id\": 1}]");
    }
    let (code, _, stderr) = here.run(ONCE);
    assert_eq!((code, stderr.matches("passed over because of their names, such as raw/events/").count()), (Some(0), 1));
    let counts =
        |status: Value| ["objects_ingested", "objects_pending", "objects_ignored"].map(|name| status[name].clone());
    let json = &["status", "--stream", "events", "--json"];
    assert_eq!(counts(here.json(json).1), [2, 0, 2]);
    let settings = "[source]\nformat = \"json_array\"\nignore = [\"*.tmp\"]\ninclude = [\".part*\"]\n";
    fs::write(here.path().join("streams/events.toml"), settings).unwrap();
    here.land("b.tmp", "[]");
    assert_eq!(counts(here.json(json).1), [2, 1, 2], "_SUCCESS and b.tmp are ignored; a.tmp is committed");
    // A status needs no definition of its stream.
    fs::remove_dir_all(here.path().join("streams")).unwrap();
    assert_eq!(counts(here.json(json).1), [2, 1, 2], "_SUCCESS and .part.crc are ignored");
}

#[test]
fn a_raw_folder_that_was_copied_with_its_times_is_not_read_again() {
    let here = Here::new();
    here.land("a.json", "[{\"id\": 1}]");
    assert_eq!(here.run(ONCE).0, Some(0));
    let lake = here.path().join("lake");
    let copied = Command::new("cp").arg("-a").args([lake.join("raw"), lake.join("copy")]).status().unwrap();
    assert!(copied.success());
    fs::remove_dir_all(lake.join("raw")).unwrap();
    fs::rename(lake.join("copy"), lake.join("raw")).unwrap();
    assert_eq!(here.run(ONCE).0, Some(0));
    let status = here.json(&["status", "--stream", "events", "--json"]).1;
    assert_eq!([&status["batches_committed"], &status["objects_pending"]], [1, 0]);
}

#[test]
fn an_unknown_stream_is_exit_2_with_the_streams_of_the_lake_and_one_that_has_landed_is_pending() {
    let here = Here::new();
    for command in ["status", "verify"] {
        let (code, stdout, stderr) = here.run(&[command, "--stream", "events"]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        let words = format!("found no lake at file://{}/lake:", here.path().display());
        assert!(stderr.contains(&words), "{stderr}");
    }
    assert!(!here.path().join("lake").exists(), "status and verify must create nothing");

    here.land("a.json", "[{\"id\": 1}]");
    let (code, status) = here.json(&["status", "--stream", "events", "--json"]);
    assert_eq!((code, &status["objects_pending"]), (Some(0), &Value::from(1)));
    assert!(here.run(&["status", "--stream", "events"]).1.contains("batches        none yet"));
    assert_eq!(here.run(ONCE).0, Some(0));
    for command in ["status", "verify"] {
        let (code, stdout, stderr) = here.run(&[command, "--stream", "evnets"]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.contains("--stream: unknown stream \"evnets\"; the lake has: \"events\""), "{stderr}");
    }
}

#[test]
fn a_ledger_that_is_completely_gone_is_exit_3() {
    let here = Here::new();
    here.land("a.json", "[{\"id\": 1}]");
    assert_eq!(here.run(ONCE).0, Some(0));
    fs::remove_dir_all(here.path().join("lake/checkpoints")).unwrap();
    let words = "checkpoints/events: has no plan and no commit, though bronze/events/";
    let (code, _, stderr) = here.run(&["status", "--stream", "events"]);
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains(words), "{stderr}");
    let (code, found) = here.json(&["verify", "--stream", "events", "--json"]);
    assert_eq!((code, &found["ok"]), (Some(3), &Value::Bool(false)));
    assert!(found["violations"][0].as_str().unwrap().contains(words), "{found}");
}

/// A lake of three batches with one row each.
fn three_batches() -> (Here, std::path::PathBuf) {
    let here = Here::new();
    for name in ["a.json", "b.json", "c.json"] {
        here.land(name, "[{\"id\": 1}]");
        assert_eq!(here.run(ONCE).0, Some(0));
    }
    let ledger = here.path().join("lake/checkpoints/events");
    (here, ledger)
}

fn ledger_file(folder: &str, batch: u64) -> String {
    format!("{folder}/{batch:020}.json")
}

#[test]
fn verify_reports_every_missing_commit_and_checks_the_rest() {
    let (here, ledger) = three_batches();
    let (_, text, _) = here.run(&["verify", "--stream", "events"]);
    assert!(text.contains("looked at 3 batches and 3 files: 3 records read = 3 rows + 0 dead letters"), "{text}");

    fs::remove_file(ledger.join(ledger_file("commits", 2))).unwrap();
    fs::write(ledger.join("commits/notes.txt"), "").unwrap();
    let (code, text, _) = here.run(&["verify", "--stream", "events"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("looked at 3 batches and 2 files: 2 records read = 2 rows + 0 dead letters"), "{text}");
    let missing = format!("VIOLATION: checkpoints/events/{} is missing", ledger_file("commits", 2));
    assert!(text.contains(&missing) && text.contains("notes.txt") && text.contains("\n2 violations"), "{text}");
}

#[test]
fn verify_reports_a_damaged_commit_and_what_it_checked() {
    let (here, ledger) = three_batches();
    fs::write(ledger.join(ledger_file("commits", 3)), "{").unwrap();
    let (code, text, _) = here.run(&["verify", "--stream", "events"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("looked at 3 batches and 2 files") && text.contains("\n1 violation"), "{text}");
}

#[test]
fn verify_reports_a_plan_whose_earlier_commits_are_gone() {
    let (here, ledger) = three_batches();
    fs::remove_file(ledger.join(ledger_file("commits", 3))).unwrap();
    assert_eq!(
        here.run(&["verify", "--stream", "events"]).0,
        Some(0),
        "a batch that is not committed yet is not a violation"
    );
    fs::remove_file(ledger.join(ledger_file("commits", 2))).unwrap();
    let (code, text, _) = here.run(&["verify", "--stream", "events"]);
    assert_eq!(code, Some(3), "{text}");
    let words = format!("{} is there, though batch 2 is not committed", ledger_file("plans", 3));
    assert!(text.contains(&words), "{text}");
    assert!(text.contains("looked at 1 batch and 1 file: 1 record read = 1 row + 0 dead letters"), "{text}");
}

#[test]
fn an_endpoint_without_a_listener_is_exit_4_and_the_line_begins_with_it() {
    // A port that was free a moment ago, so that nothing listens on it.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let here = Here::on_s3(&endpoint, SECRET, "lake");
    let without_wait = [ONCE, &["--store-wait", "0s"]].concat();
    for arguments in [without_wait.as_slice(), &["status", "--stream", "events"]] {
        let (code, _, stderr) = here.run(arguments);
        assert_eq!(code, Some(4), "{stderr}");
        let words = format!("error: no answer from {endpoint}: nothing is listening there; cannot ");
        assert!(stderr.starts_with(&words) && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn a_server_that_never_answers_is_asked_three_times_by_status() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (asked, requests) = std::sync::mpsc::channel();
    // The connections stay open, as with a stopped process.
    std::thread::spawn(move || listener.incoming().for_each(|connection| drop(asked.send(connection))));
    let here = Here::on_s3(&endpoint, SECRET, "lake");
    let (code, stdout, stderr) = here.run(&["status", "--stream", "events"]);
    assert_eq!((code, stdout.as_str()), (Some(4), ""), "{stderr}");
    assert!(stderr.starts_with(&format!("error: no answer from {endpoint}")), "{stderr}");
    assert_eq!((requests.try_iter().count(), stderr.lines().count()), (3, 1), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_and_a_wrong_secret_are_exit_2_and_the_line_begins_with_it() {
    let root = tempfile::tempdir().unwrap();
    let config = Config::new(root.path(), Credentials::new("tester", SECRET)).bucket("lake");
    let server = Server::start(config).await.unwrap();
    let endpoint = server.endpoint().to_owned();
    let run = |secret: &'static str, bucket: &'static str| {
        let endpoint = endpoint.clone();
        // No wait would help.
        let arguments = [ONCE, &["--store-wait", "forever"]].concat();
        tokio::task::spawn_blocking(move || Here::on_s3(&endpoint, secret, bucket).run(&arguments))
    };
    let (code, _, stderr) = run(SECRET, "nowhere").await.unwrap();
    assert_eq!(code, Some(2), "{stderr}");
    let words = format!("error: bucket \"nowhere\" does not exist at {endpoint}; ");
    assert!(stderr.starts_with(&words) && stderr.lines().count() == 1, "{stderr}");
    assert!(!stderr.contains(SECRET));
    let wrong = "a-wrong-secret-is-a-secret-too";
    let (code, _, stderr) = run(wrong, "lake").await.unwrap();
    assert_eq!(code, Some(2), "{stderr}");
    let words = format!("error: the secret is wrong (AWS_SECRET_ACCESS_KEY) at {endpoint}: ");
    assert!(stderr.starts_with(&words) && stderr.lines().count() == 1, "{stderr}");
    assert!(!stderr.contains(wrong) && !stderr.contains(SECRET), "{stderr}");
    let (code, _, stderr) = run(SECRET, "lake").await.unwrap();
    assert_eq!(code, Some(0), "{stderr}");
    server.shutdown().await;
}

#[test]
fn missing_credentials_are_one_line_that_says_what_to_set() {
    let mut here = Here::on_s3("http://127.0.0.1:9", SECRET, "lake");
    here.environment.retain(|(name, _)| !name.contains("KEY"));
    here.environment.push(("AWS_EC2_METADATA_DISABLED", "true".to_owned()));
    let (code, _, stderr) = here.run(&["status", "--stream", "events"]);
    assert_eq!(code, Some(2), "{stderr}");
    let words = "error: no credentials for http://127.0.0.1:9; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    assert!(stderr.starts_with(words) && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn an_endpoint_that_is_not_a_url_is_reported_once_by_its_variable() {
    let mut here = Here::on_s3("127.0.0.1:9000", SECRET, "lake");
    here.environment.push(("RAW_URL", "s3://another".to_owned()));
    let (code, _, stderr) = here.run(ONCE);
    assert_eq!(code, Some(2), "{stderr}");
    assert_eq!(stderr, "error: AWS_ENDPOINT_URL: must start with http:// or https:// and a host\n");
}

#[test]
fn a_line_of_dotenv_that_can_not_be_parsed_is_exit_2_with_its_number_and_without_its_text() {
    let cases = [
        ("# one\n\nLAKE_URL=memory://\nSECRET = hush hush\nA=1\n", "line 4 can't be parsed"),
        ("A=1\n  # don't\nhush\n", "line 3 can't be parsed"),
        ("A=1\nB=\"hush\nhush\nhush", "line 2 can't be parsed"),
        ("A=1\nB=\"${A}\n\"\nC=x${hush}\n", "line 4 refers to a variable that is not set"),
        ("A=$LAKE\nB=hush$hush # why", "line 1 refers to a variable that is not set"),
        ("B=\"hush$-hush\"", "line 1 refers to a variable that is not set"),
    ];
    for (text, words) in cases {
        let here = Here::new();
        fs::write(here.path().join(".env"), text).unwrap();
        let (code, stdout, stderr) = here.run(ONCE);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{text}: {stderr}");
        assert!(stderr.starts_with(&format!("error: .env: {words}")), "{text}: {stderr}");
        assert!(!stderr.contains("hush"), "{stderr}");
    }
    let unreadable = Here::new();
    fs::create_dir(unreadable.path().join(".env")).unwrap();
    let (code, _, stderr) = unreadable.run(ONCE);
    assert!(code == Some(2) && stderr.contains(".env: can't be read"), "{stderr}");
}

#[test]
fn a_dotenv_may_refer_to_set_variables_and_quote_a_plain_dollar_sign() {
    let mut here = Here::new();
    here.environment = vec![("WHERE", here.path().display().to_string())];
    let text = "\u{feff}NAME=la\\$ke # $nothing\nexport LAKE_URL='file://'\"${WHERE}/${NAME}\"\n# $unset\nX='$x'\n";
    fs::write(here.path().join(".env"), text).unwrap();
    let (code, _, stderr) = here.run(ONCE);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(here.path().join("la$ke/checkpoints").is_dir());
}

#[test]
fn a_rust_log_that_can_not_be_parsed_is_reported_and_ignored() {
    let mut here = Here::new();
    here.environment.push(("RUST_LOG", "info,lake=loud".to_owned()));
    let (code, _, stderr) = here.run(ONCE);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("RUST_LOG can't be parsed and is ignored") && stderr.contains("ready"), "{stderr}");
}

#[test]
fn a_result_that_can_not_be_printed_is_exit_4_and_a_closed_pipe_is_exit_0() {
    let here = Here::new();
    here.land("a.json", "[{\"id\": 1}]");
    for command in ["status", "verify"] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = here.command(&[command, "--stream", "events"]).stdout(full).output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(4), "{stderr}");
        assert!(stderr.starts_with("error: cannot write the result to stdout: No space"), "{stderr}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = here.command(&[command, "--stream", "events"]).stdout(writer).output().unwrap();
        assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
    }
}

/// Fails when a log line that can't be written panics.
#[test]
fn a_log_whose_pipe_is_closed_or_whose_disk_is_full_ends_nothing() {
    let here = Here::new();
    here.land("a.json", "[{\"id\": 1}]");
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap());
    for stderr in [closed(), full()] {
        let ended = here.command(ONCE).stderr(stderr).output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.status);
    }
    for stderr in [closed(), full()] {
        let ended = here.command(&["status", "--stream", "others"]).stderr(stderr).output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{}", ended.status);
    }
}

fn wait_for(child: &mut Child, words: &str) -> String {
    let stderr = child.stderr.take().unwrap();
    let mut seen = String::new();
    let mut lines = BufReader::new(stderr).lines();
    for line in lines.by_ref() {
        let line = line.unwrap();
        seen.push_str(&line);
        if line.contains(words) {
            // Read the rest too, so that the program never blocks on a full pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return seen;
        }
    }
    panic!("the program ended without printing {words:?}: {seen}");
}

#[test]
fn a_running_consumer_commits_what_lands_and_ends_with_0_when_asked_to() {
    let here = Here::new();
    let mut child =
        here.command(&["run", "--stream", "events"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    here.land("a.json", "[{\"id\": 1}]");
    let seen = wait_for(&mut child, "committed");
    assert!(seen.contains("rows=1"), "{seen}");
    for stage in ["took=\"discover ", ", plan ", ", execute ", ", commit "] {
        assert!(seen.contains(stage), "{seen}");
    }
    let asked = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(asked.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn mistakes_in_where_hints_come_from_end_with_2_and_clear_words() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut here = Here::new();
    here.environment.push(("HINTS_TOKEN", SECRET.to_owned()));
    let run = |arguments: &[&str]| {
        let output = here.command(&[&["run", "--stream", "events"], arguments].concat()).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(!message.contains(SECRET), "{message}");
        message
    };
    let message = run(&["--hints", &address]);
    assert!(message.contains(&format!("HINTS_LISTEN: {address} is taken by another program")), "{message}");
    let message =
        run(&["--hints", "4041", "--hints-queue", &format!("https://me:{SECRET}@sqs.eu-west-1.amazonaws.com/1/q")]);
    assert!(message.contains("HINTS_LISTEN: \"4041\" is not an IP address and a port"), "{message}");
    assert!(message.contains("HINTS_QUEUE: credentials do not belong in the URL"), "{message}");
    let message = run(&["--hints-queue", "https://sqs.eu-west-1.amazonaws.com/"]);
    assert!(message.contains("HINTS_QUEUE: has no queue's name"), "{message}");
}

#[test]
fn draining_takes_no_hints_and_needs_no_free_port() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let here = Here::new();
    here.land("a.json", "[{\"id\": 1}]");
    let address = taken.local_addr().unwrap().to_string();
    let output = here.command(&["run", "--stream", "events", "--once", "--hints", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
