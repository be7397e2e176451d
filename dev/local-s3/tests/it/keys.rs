//! Keys: everything that S3 permits, byte for byte.

use aws_sdk_s3::types::EncodingType;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{BUCKET, Fixture, refusal};

const ODD: [&str; 19] = [
    " lead",
    "trail ",
    "a b",
    "dir/",
    "..",
    "../up",
    "a/./b",
    "a//b",
    "/lead",
    "%2F",
    "a%20b",
    "a+b&c=d?e#f",
    "quo\"te'",
    "<tag>&amp;",
    "ünïcödé/日本/🦀",
    "back\\slash",
    "tab\tline\nreturn\r",
    "nul\0byte",
    "~!@$^*()[]{}|;:,",
];

async fn round_trips(s3: &Fixture, key: &str) {
    let body = format!("the body of {key:?}").into_bytes();
    let put = s3.put(key, &body).send().await;
    put.unwrap_or_else(|error| panic!("put {key:?}: {error:?}"));
    assert_eq!(s3.body(key).await, body, "get {key:?}");
    let list = s3.client.list_objects_v2().bucket(BUCKET).prefix(key).encoding_type(EncodingType::Url);
    let page = list.send().await.unwrap();
    assert_eq!(page.contents()[0].key().map(decode).as_deref(), Some(key), "list {key:?}");
    s3.client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
}

/// Undoes `encoding-type=url`.
fn decode(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend(piece[2..].bytes());
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn odd_keys_round_trip() {
    let s3 = Fixture::start().await;
    for key in ODD {
        round_trips(&s3, key).await;
    }
    round_trips(&s3, &"k".repeat(1024)).await;
}

#[test]
fn keys_round_trip() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let s3 = runtime.block_on(Fixture::start());
    let odd_piece = prop::sample::select(ODD.to_vec()).prop_map(str::to_owned);
    let piece = prop_oneof![odd_piece, "[a-zA-Z0-9._/ %+-]{1,8}", "\\PC{1,8}", any::<char>().prop_map(String::from)];
    let key = prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat());
    let key = key
        .prop_filter("the SDK refuses a blank key, S3 a long one", |key| !key.trim().is_empty() && key.len() <= 1024);
    // No file of past failures: a failure prints the key it shrank to; add that to ODD.
    let config = Config { cases: 128, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&key, |key| {
        runtime.block_on(round_trips(&s3, &key));
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn a_key_longer_than_1024_bytes_is_refused() {
    let s3 = Fixture::start().await;
    let refused = s3.put(&"k".repeat(1025), b"").send().await;
    assert_eq!(refusal(refused), (400, "KeyTooLongError".to_owned()));
}

#[tokio::test]
async fn keys_never_leave_the_root() {
    let s3 = Fixture::start().await;
    s3.put_all(["../../escape", "/etc/escape", "..\\escape"]).await;
    let beside = std::fs::read_dir(s3.root.path().parent().unwrap()).unwrap();
    assert!(beside.into_iter().all(|entry| !entry.unwrap().file_name().to_string_lossy().contains("escape")));
}
