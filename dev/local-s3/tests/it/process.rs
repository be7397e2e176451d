//! The program: how it starts, stops, crashes and restarts.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use local_s3::{Error, ErrorKind, Server};
use tempfile::TempDir;

use crate::objects::blobs;
use crate::support::{ACCESS_KEY, BUCKET, Fixture, SECRET_KEY, client, config, noise};

pub(crate) fn command(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-s3"));
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env_remove("RUST_LOG")
        .arg("--root")
        .arg(root)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The program, ready for requests; killed when dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) endpoint: String,
}

impl Program {
    fn start(root: &Path) -> Self {
        Self::start_with(root, &[])
    }

    pub(crate) fn start_with(root: &Path, arguments: &[&str]) -> Self {
        let mut command = command(root);
        let command = command.args(["--port", "0", "--bucket", BUCKET]).args(arguments).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("http://127.0.0.1:"), "{line:?}");
        Self { child, endpoint: line.trim().to_owned() }
    }

    /// kill -9: no handler runs.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[cfg(unix)]
    fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails if a test ended the child already, which is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn fails(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(stdout.is_empty());
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn objects_survive_kill_and_restart() {
    let root = TempDir::new().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let program = Program::start(root.path());
        let s3 = client(&program.endpoint, SECRET_KEY);
        for key in &acknowledged {
            let object = s3.get_object().bucket(BUCKET).key(key).send().await.unwrap();
            assert_eq!(object.body.collect().await.unwrap().to_vec(), format!("body of {key}").into_bytes());
        }
        // Killed in the middle of writes: acknowledged writes survive, the others may or may not.
        let (started, mut starts) = tokio::sync::mpsc::channel::<String>(1);
        let writer = tokio::spawn(async move {
            let mut written = Vec::new();
            for number in 0.. {
                let key = format!("round-{round}/{number:06}");
                let body = format!("body of {key}").into_bytes();
                match s3.put_object().bucket(BUCKET).key(&key).body(body.into()).send().await {
                    Ok(_) => written.push(key.clone()),
                    Err(_) => break,
                }
                drop(started.send(key).await);
            }
            written
        });
        for _ in 0..100 {
            starts.recv().await.unwrap();
        }
        drop(starts);
        program.kill();
        acknowledged.extend(writer.await.unwrap());
    }
    let program = Program::start(root.path());
    let s3 = client(&program.endpoint, SECRET_KEY);
    let mut pages = s3.list_objects_v2().bucket(BUCKET).into_paginator().send();
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await {
        listed.extend(page.unwrap().contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
    }
    assert!(acknowledged.len() >= 300);
    assert!(acknowledged.iter().all(|key| listed.binary_search(key).is_ok()));
    program.kill();
    assert!(blobs(root.path()) >= listed.len());
}

#[tokio::test]
async fn unreferenced_bytes_are_swept_at_startup() {
    let s3 = Fixture::start().await;
    s3.put("a", &noise(10)).send().await.unwrap();
    let root = s3.root;
    s3.server.shutdown().await;
    // What a crash between writing a blob and committing its record leaves.
    std::fs::write(root.path().join("blobs/ab/ab00000000000000000000000000000a"), b"orphan").unwrap();
    assert_eq!(blobs(root.path()), 2);
    let server = Server::start(config(&root)).await.unwrap();
    assert_eq!(blobs(root.path()), 1);
    let object = client(&server.endpoint(), SECRET_KEY).get_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert_eq!(object.body.collect().await.unwrap().to_vec(), noise(10));
}

#[cfg(unix)]
#[test]
fn sigterm_ends_with_exit_code_0() {
    let root = TempDir::new().unwrap();
    assert_eq!(Program::start(root.path()).terminate(), Some(0));
}

#[test]
fn a_taken_port_is_named_and_ends_with_exit_code_4() {
    let root = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, message) = fails(command(root.path()).args(["--port", &port]));
    assert_eq!(code, Some(4));
    assert!(message.contains(&format!("port {port} on 127.0.0.1 is taken")) && message.contains("--port"), "{message}");
}

#[test]
fn a_root_in_use_is_named_and_ends_with_exit_code_4() {
    let root = TempDir::new().unwrap();
    let _first = Program::start(root.path());
    let (code, message) = fails(command(root.path()).args(["--port", "0"]));
    assert_eq!(code, Some(4));
    assert!(message.contains("in use by another local-s3") && message.contains("--root"), "{message}");
}

#[test]
fn a_root_that_is_not_a_directory_ends_with_exit_code_4() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let (code, message) = fails(command(&file).args(["--port", "0"]));
    assert_eq!(code, Some(4));
    assert!(message.contains("as the root"), "{message}");
}

#[test]
fn a_damaged_index_ends_with_exit_code_4() {
    let root = TempDir::new().unwrap();
    std::fs::write(root.path().join("index.redb"), b"not an index").unwrap();
    let (code, message) = fails(command(root.path()).args(["--port", "0"]));
    assert_eq!(code, Some(4));
    assert!(message.contains("cannot open the index"), "{message}");
}

/// What a damaged file system, a wrong copy or an accident may leave of the index of `root`.
fn damages(index: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let page = 4096;
    let with = |at: usize, bytes: &[u8]| {
        let mut damaged = index.to_vec();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        damaged
    };
    let in_record = index.windows(7).position(|bytes| bytes == b"\"size\":").unwrap() + 7;
    let mut damages = vec![
        ("empty", Vec::new()),
        ("cut off", index[..index.len() / 2].to_vec()),
        ("zeros", vec![0; index.len()]),
        ("another size in a record", with(in_record, b"7")),
    ];
    damages.extend((1..index.len() / page).map(|at| ("a page of noise", with(at * page, &noise(page)))));
    damages
}

#[tokio::test]
async fn a_damaged_index_is_told_in_words_and_no_object_is_swept() {
    let s3 = Fixture::start().await;
    s3.put_all((0..300).map(|key| format!("key-{key:05}"))).await;
    let root = s3.root;
    s3.server.shutdown().await;
    let path = root.path().join("index.redb");
    let whole = std::fs::read(&path).unwrap();
    let stored = blobs(root.path());
    let mut refused = 0;
    for (what, damaged) in damages(&whole) {
        std::fs::write(&path, &damaged).unwrap();
        let server = Server::start(config(&root)).await;
        // A page that is not in use may contain anything.
        match server {
            Ok(server) if what == "a page of noise" => server.shutdown().await,
            Ok(_) => panic!("{what}"),
            Err(error) => {
                assert!(error.to_string().contains("it is damaged"), "{what}: {error}");
                refused += 1;
            }
        }
        assert_eq!(blobs(root.path()), stored, "{what}");
    }
    assert!(refused > 10, "{refused}");
    std::fs::remove_file(&path).unwrap();
    let (code, message) = fails(command(root.path()).args(["--port", "0"]));
    assert_eq!(code, Some(4));
    assert!(message.contains("missing or empty") && message.contains("restore it"), "{message}");
}

#[test]
fn every_wrong_setting_is_reported_at_once() {
    let root = TempDir::new().unwrap();
    let mut command = command(root.path());
    command.env_remove("AWS_ACCESS_KEY_ID").env("AWS_SECRET_ACCESS_KEY", "").args(["--host", "nowhere"]);
    let (code, message) = fails(&mut command);
    assert_eq!(code, Some(2));
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "--host"] {
        assert!(message.contains(name), "{message}");
    }
    assert_eq!(fails(self::command(root.path()).arg("--bucket").arg("Not_A_Bucket")).0, Some(2));
    assert_eq!(fails(self::command(root.path()).arg("--unknown")).0, Some(2));
}

#[test]
fn what_the_environment_does_not_have_comes_from_dotenv_in_the_working_folder() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join(".env"), "AWS_ACCESS_KEY_ID='a b'\n").unwrap();
    let mut command = command(&folder.path().join("root"));
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").current_dir(folder.path());
    let (code, text) = fails(&mut command);
    assert_eq!(code, Some(2));
    assert!(text.contains("AWS_SECRET_ACCESS_KEY is not set") && !text.contains("AWS_ACCESS_KEY_ID"), "{text}");
}

#[test]
fn help_names_the_exit_codes() {
    let output = Command::new(env!("CARGO_BIN_EXE_local-s3")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && help.contains("Exit codes:") && help.contains("--fsync"), "{help}");
}

#[tokio::test]
async fn a_root_can_be_opened_again_right_after_shutdown() {
    let s3 = Fixture::start().await;
    s3.put("a", &noise(100)).send().await.unwrap();
    let second = Server::start(config(&s3.root)).await;
    assert!(matches!(&second, Err(error @ Error::RootInUse { .. }) if error.kind() == ErrorKind::Retry));
    let (root, mut server) = (s3.root, s3.server);
    for _ in 0..5 {
        server.shutdown().await;
        server = Server::start(config(&root)).await.unwrap();
    }
    let object = client(&server.endpoint(), SECRET_KEY).get_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert_eq!(object.body.collect().await.unwrap().to_vec(), noise(100));
}
