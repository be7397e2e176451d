//! The real program against a lake on disk and against a pipe.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
};

use lake::{ids::sha256_hex, keys::ZoneName, settings::LakeUrls, store::Lake};
use producer::truth::{State, Truth};

fn producer(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_producer"));
    for variable in ["LAKE_URL", "RAW_URL", "BRONZE_URL", "DEAD_LETTERS_URL", "CHECKPOINTS_URL", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command.current_dir(folder).args(["--stream", "events"]).args(arguments);
    command
}

fn lake_url(folder: &Path) -> String {
    format!("file://{}/lake", folder.display())
}

fn terminate(child: &Child) {
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test]
async fn a_lake_on_disk_holds_what_the_truth_says() {
    let folder = tempfile::tempdir().unwrap();
    let url = lake_url(folder.path());
    let status = producer(folder.path(), &["--batches", "40", "--batch-size", "20", "--interval", "0s"])
        .args(["--corrupt-batches", "0.4", "--truth", "truth.ndjson", "--lake-url", &url])
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));

    let truth = Truth::read(&folder.path().join("truth.ndjson")).unwrap();
    let lake = Lake::open(&LakeUrls::below(&url).unwrap()).await.unwrap();
    assert_eq!((truth.stored.len(), truth.unsure.len()), (40, 0));
    assert!(truth.stored.is_sorted_by_key(|object| object.batch));
    for object in &truth.stored {
        let bytes = lake.read(&object.key).await.unwrap().unwrap();
        assert_eq!((bytes.len() as u64, sha256_hex(&bytes)), (object.bytes, object.sha256.clone()));
        let listed = lake.head(&object.key).await.unwrap().unwrap();
        assert_eq!(object.etag, Some(listed.etag));
    }
    let raw = folder.path().join("lake").join(ZoneName::Raw.as_str()).join("events");
    assert_eq!(fs::read_dir(raw).unwrap().count(), 40);
}

#[test]
fn a_seeded_run_can_be_repeated_into_the_same_lake() {
    let folder = tempfile::tempdir().unwrap();
    let url = lake_url(folder.path());
    let run = |more: &[&str]| {
        let arguments = ["--batches", "5", "--seed", "9", "--lake-url", &url];
        producer(folder.path(), &arguments).args(more).output().unwrap()
    };
    assert_eq!(run(&["--interval", "0s"]).status.code(), Some(0));
    assert_eq!(run(&["--interval", "1ms"]).status.code(), Some(0));
    let raw = folder.path().join("lake/raw/events");
    assert_eq!(fs::read_dir(raw).unwrap().count(), 5);

    let other = run(&["--interval", "0s", "--batch-size", "3"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8(other.stderr).unwrap().contains("choose another seed"));
}

#[test]
fn stdout_carries_the_same_bytes_each_time_and_a_line_feed_after_each_object() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["--batches", "6", "--interval", "0s", "--seed", "3", "--sink", "stdout", "--truth", "truth.ndjson"];
    let [one, again] = [0, 1].map(|_| producer(folder.path(), &arguments).output().unwrap());
    assert_eq!((one.status.code(), one.stdout.is_empty()), (Some(0), false));
    assert_eq!(one.stdout, again.stdout);

    let mut rest = one.stdout.as_slice();
    for object in Truth::read(&folder.path().join("truth.ndjson")).unwrap().stored {
        let (bytes, after) = rest.split_at(object.bytes as usize);
        assert_eq!(sha256_hex(bytes), object.sha256);
        rest = after.strip_prefix(b"\n").unwrap();
    }
    assert!(rest.is_empty());
}

#[test]
fn sigterm_ends_an_endless_run_with_exit_0_and_all_recorded_as_stored() {
    let folder = tempfile::tempdir().unwrap();
    let url = lake_url(folder.path());
    let mut child = producer(folder.path(), &["--interval", "0s", "--truth", "truth.ndjson", "--lake-url", &url])
        .env("RUST_LOG", "debug")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    wait_for(&mut log, "sent");
    wait_for(&mut log, "corruption");
    terminate(&child);
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();

    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("sent in all"), "{rest}");
    let truth = Truth::read(&folder.path().join("truth.ndjson")).unwrap();
    assert!(!truth.stored.is_empty() && truth.unsure.is_empty());
    assert!(truth.stored.iter().all(|object| object.state == State::Stored));
}

/// With one batch per day, the run is waiting for its second batch when the signal comes.
#[test]
fn sigterm_ends_a_run_that_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = producer(folder.path(), &["--interval", "1day", "--sink", "stdout", "--corrupt-batches", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with('['));
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = producer(folder.path(), &["--interval", "0s", "--sink", "stdout"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!String::from_utf8(output.stderr).unwrap().contains("error"));
}

#[test]
fn a_stdout_that_can_not_be_written_to_is_exit_4() {
    let folder = tempfile::tempdir().unwrap();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = producer(folder.path(), &["--batches", "1", "--sink", "stdout"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8(output.stderr).unwrap().contains("error: cannot write to stdout: No space"));
}

#[test]
fn the_store_is_named_when_it_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lake"), "a file").unwrap();
    let output = producer(folder.path(), &["--batches", "1", "--lake-url", &lake_url(folder.path())]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("/lake"));
}

fn wait_for(log: &mut impl BufRead, word: &str) {
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the log ended without {word:?}");
    }
}
