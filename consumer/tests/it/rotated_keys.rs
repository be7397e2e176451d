//! The keys in the credentials file are exchanged while the program runs.

use std::{fs, path::Path};

use consumer::inspect::verify;
use lake::{
    ids::BatchId,
    ledger::Ledger,
    store::{Lake, s3::S3Store},
};
use local_s3::{Answer, Credentials, Fault, FaultKind, Moment, Server};

use crate::{
    lake_in_a_folder::events,
    lake_on_s3::{land, server},
    program::{consumer, stop, streams},
};

/// Writes the file as programs that rotate keys do: another file takes its place.
fn write_profile(file: &Path, key: &str, secret: &str) {
    let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    let next = file.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(next, file).unwrap();
}

/// What a program needs to find the lake, with the credentials in a file.
fn environment(server: &Server, file: &Path) -> [(&'static str, String); 5] {
    [
        ("LAKE_URL", "s3://lake".to_owned()),
        ("AWS_ENDPOINT_URL", server.endpoint()),
        ("AWS_SHARED_CREDENTIALS_FILE", file.display().to_string()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]
}

fn lake(server: &Server, key: &str, secret: &str) -> Lake {
    let credentials = lake::store::s3::Credentials::new(key, secret, None, None, "test");
    Lake::on_bucket(S3Store::at("lake", &server.endpoint(), credentials).unwrap())
}

/// Fails when credentials are read once for good, or when only another key, and not another secret, counts as new.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_consumer_goes_on_with_the_keys_that_have_replaced_its_own() {
    let (server, _root) = server().await;
    let streams = streams("");
    let file = streams.path().join("credentials");
    write_profile(&file, "tester", "test-secret");
    let mut running = consumer(streams.path(), &environment(&server, &file)).spawn().unwrap();
    let keys = [("tester", "test-secret"), ("second-key", "second-secret"), ("second-key", "third-secret")];
    for (batch, (key, secret)) in (1..).zip(keys) {
        write_profile(&file, key, secret);
        server.set_credentials(Credentials::new(key, secret));
        let lake = lake(&server, key, secret);
        land(&lake, &format!("{batch}.json"), "[{\"id\": 1}]").await;
        let ledger = Ledger::new(lake, events());
        let batch = BatchId::new(batch).unwrap();
        while ledger.commit(batch).await.unwrap().is_none() {
            assert!(running.try_wait().unwrap().is_none(), "ended after {key}, {secret}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(verify(&ledger).await.unwrap().ok);
    }
    assert!(stop(running).success());
}

/// Fails when a refusal is tried again though nothing has changed, or is not the error in the end.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_were_not_replaced_are_refused_as_before() {
    let (server, _root) = server().await;
    let streams = streams("");
    let file = streams.path().join("credentials");
    write_profile(&file, "tester", "test-secret");
    let command = || consumer(streams.path(), &environment(&server, &file));
    let denied = FaultKind::Error { answer: Answer::AccessDenied, moment: Moment::Before };
    server.set_faults(local_s3::FaultPlan::new(1).fault(Fault::new(denied))).unwrap();
    let refused = command().arg("--once").stderr(std::process::Stdio::piped()).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    let counts = server.requests();
    assert!(counts.total() > 0 && counts.iter().all(|(_, count)| count == 1), "{counts}: {said}");
    assert!(said.contains("AccessDenied"), "{said}");

    server.set_credentials(Credentials::new("second-key", "second-secret"));
    let refused = command().arg("--once").stderr(std::process::Stdio::piped()).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("the access key is unknown"), "{said}");
}
