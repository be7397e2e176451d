//! A store that is away is waited for, at the start and later, for as long as the user says.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStderr, Stdio},
};

use lake::ids::BatchId;
use local_s3::{Answer, Config, Credentials, Fault, FaultKind, Moment, Server};

use crate::{
    lake_on_s3::{S3Lake, environment, ids},
    program::{consumer, stop, streams},
};

struct Waiting {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    _streams: tempfile::TempDir,
}

impl Waiting {
    fn start(environment: &[(&str, String)], arguments: &[&str]) -> Self {
        let streams = streams("");
        let mut command = consumer(streams.path(), environment);
        let mut child = command.args(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log, _streams: streams }
    }

    /// Reads the log up to the line with these words. Returns the lines before it.
    fn until(&mut self, words: &str) -> Vec<String> {
        let lines: Vec<String> =
            self.log.by_ref().map(Result::unwrap).take_while(|line| !line.contains(words)).collect();
        assert!(self.child.try_wait().unwrap().is_none(), "ended before {words:?}: {lines:?}");
        lines
    }
}

fn always(answer: Answer) -> Fault {
    Fault::new(FaultKind::Error { answer, moment: Moment::Before })
}

/// Fails when a consumer that starts ends before its store is there, with or without `--once`.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_starts_before_its_store_waits_and_then_ingests() {
    let lake = S3Lake::new().await;
    lake.land("a.json", "[{\"id\": 1}]").await;
    let environment = environment(&lake.server);
    let (address, root) = (lake.server.address(), lake.stop_server().await);
    let mut waiting = Waiting::start(&environment, &["--once", "--store-wait", "forever"]);
    let before = waiting.until("the store failed; trying again");
    assert!(before.iter().all(|line| !line.contains("ready")), "{before:?}");
    let mut config = Config::new(root.path(), Credentials::new("tester", "test-secret")).bucket("lake");
    config.port = address.port();
    let lake = S3Lake::of(Server::start(config).await.unwrap(), root);
    let between = waiting.until("the store works again");
    assert!(between.iter().all(|line| !line.contains("the store failed")), "said twice: {between:?}");
    assert!(waiting.child.wait().unwrap().success());
    assert_eq!(ids(&lake.holds().await), [1].into());
}

/// Fails when a stop waits for a store that is away, at the start or later.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_waiting_with_exit_code_0() {
    let lake = S3Lake::new().await;
    let away = always(Answer::InternalError);
    for ready_first in [false, true] {
        lake.faults(1, (!ready_first).then(|| away.clone()));
        let mut waiting = Waiting::start(&environment(&lake.server), &["--store-wait", "forever"]);
        if ready_first {
            waiting.until("ready");
            lake.faults(1, [away.clone()]);
        }
        waiting.until("the store failed; trying again");
        assert!(stop(waiting.child).success());
    }
}

/// Fails when a running consumer waits though the user said not to, or ends with another code.
#[tokio::test(flavor = "multi_thread")]
async fn without_any_wait_the_first_failure_ends_a_running_consumer_with_4() {
    let lake = S3Lake::new().await;
    let mut waiting = Waiting::start(&environment(&lake.server), &["--store-wait", "0s"]);
    waiting.until("ready");
    lake.faults(1, [always(Answer::InternalError)]);
    let tries_again = waiting.log.any(|line| line.unwrap().contains("trying again"));
    if tries_again {
        waiting.child.kill().unwrap();
    }
    assert_eq!((waiting.child.wait().unwrap().code(), tries_again), (Some(4), false));
    assert!(lake.ledger().plan(BatchId::FIRST).await.is_err());
}
