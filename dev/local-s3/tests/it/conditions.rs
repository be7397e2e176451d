//! Conditional reads and writes.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use crate::support::{BUCKET, Fixture, refusal};

fn failed() -> (u16, String) {
    (412, "PreconditionFailed".to_owned())
}

#[tokio::test]
async fn a_second_create_is_refused() {
    let s3 = Fixture::start().await;
    s3.put("a", b"first").if_none_match("*").send().await.unwrap();
    assert_eq!(refusal(s3.put("a", b"second").if_none_match("*").send().await), failed());
    assert_eq!(s3.body("a").await, b"first");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creates_of_one_key_admit_exactly_one() {
    let s3 = Fixture::start().await;
    for round in 0..20 {
        let key = format!("round-{round}");
        let writers = (0..16).map(|writer| {
            let put = s3.put(&key, format!("writer {writer}").as_bytes()).if_none_match("*");
            tokio::spawn(async move { put.send().await.map(|_| writer) })
        });
        let mut winners = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            match writer.await.unwrap() {
                Ok(winner) => winners.push(winner),
                refused => assert_eq!(refusal(refused), failed()),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(s3.body(&key).await, format!("writer {}", winners[0]).as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_replacements_of_one_version_admit_exactly_one() {
    let s3 = Fixture::start().await;
    let first = s3.put("a", b"first").send().await.unwrap();
    let etag = first.e_tag().unwrap();
    let writers = (0..16).map(|writer| {
        let put = s3.put("a", format!("writer {writer}").as_bytes()).if_match(etag);
        tokio::spawn(async move { put.send().await.is_ok() })
    });
    let mut admitted = 0;
    for writer in writers.collect::<Vec<_>>() {
        admitted += usize::from(writer.await.unwrap());
    }
    assert_eq!(admitted, 1);
}

#[tokio::test]
async fn if_match_on_a_put_replaces_that_version_only() {
    let s3 = Fixture::start().await;
    let absent = s3.put("a", b"x").if_match("\"0\"").send().await;
    assert_eq!(refusal(absent), (404, "NoSuchKey".to_owned()));
    let first = s3.put("a", b"first").send().await.unwrap();
    s3.put("a", b"second").if_match(first.e_tag().unwrap()).send().await.unwrap();
    assert_eq!(refusal(s3.put("a", b"third").if_match(first.e_tag().unwrap()).send().await), failed());
    assert_eq!(s3.body("a").await, b"second");
}

#[tokio::test]
async fn if_match_on_get_refuses_another_version() {
    let s3 = Fixture::start().await;
    let first = s3.put("a", b"first").send().await.unwrap();
    let second = s3.put("a", b"second").send().await.unwrap();
    let get = |etag: Option<&str>| s3.client.get_object().bucket(BUCKET).key("a").if_match(etag.unwrap()).send();
    assert_eq!(refusal(get(first.e_tag()).await), failed());
    get(second.e_tag()).await.unwrap();
    let head = s3.client.head_object().bucket(BUCKET).key("a").if_match(first.e_tag().unwrap()).send().await;
    assert_eq!(refusal(head).0, 412);
}

#[tokio::test]
async fn a_version_the_reader_has_is_not_sent_again() {
    let s3 = Fixture::start().await;
    let put = s3.put("a", b"x").send().await.unwrap();
    let get = || s3.client.get_object().bucket(BUCKET).key("a");
    assert_eq!(refusal(get().if_none_match(put.e_tag().unwrap()).send().await).0, 304);
    get().if_none_match("\"other\"").send().await.unwrap();
    let modified = get().send().await.unwrap().last_modified().unwrap().secs();
    assert_eq!(refusal(get().if_modified_since(DateTime::from_secs(modified)).send().await).0, 304);
    get().if_modified_since(DateTime::from_secs(modified - 1)).send().await.unwrap();
    get().if_unmodified_since(DateTime::from_secs(modified)).send().await.unwrap();
    let changed = get().if_unmodified_since(DateTime::from_secs(modified - 1)).send().await;
    assert_eq!(refusal(changed), failed());
}

#[tokio::test]
async fn a_copy_obeys_the_conditions_on_its_source() {
    let s3 = Fixture::start().await;
    let put = s3.put("a", b"x").send().await.unwrap();
    let copy = || s3.client.copy_object().bucket(BUCKET).key("b").copy_source(format!("{BUCKET}/a"));
    assert_eq!(refusal(copy().copy_source_if_match("\"other\"").send().await), failed());
    assert_eq!(refusal(copy().copy_source_if_none_match(put.e_tag().unwrap()).send().await), failed());
    copy().copy_source_if_match(put.e_tag().unwrap()).send().await.unwrap();
}

#[tokio::test]
async fn a_copy_obeys_the_conditions_on_its_destination() {
    let s3 = Fixture::start().await;
    s3.put("a", b"x").send().await.unwrap();
    let copy = || {
        let copy = s3.client.copy_object().bucket(BUCKET).key("b").copy_source(format!("{BUCKET}/a"));
        copy.customize().mutate_request(|request| {
            request.headers_mut().insert("if-none-match", "*");
        })
    };
    copy().send().await.unwrap();
    assert_eq!(refusal(copy().send().await), failed());
}

/// Sends this header too, signed.
macro_rules! with_header {
    ($request:expr, $name:expr, $value:expr) => {
        $request.customize().mutate_request(move |request| {
            request.headers_mut().insert($name, $value);
        })
    };
}

fn not_implemented() -> (u16, String) {
    (501, "NotImplemented".to_owned())
}

#[tokio::test]
async fn an_empty_if_match_is_a_condition_that_no_version_meets() {
    let s3 = Fixture::start().await;
    s3.put("a", b"first").send().await.unwrap();
    let put = |key| with_header!(s3.put(key, b"second"), "if-match", "").send();
    assert_eq!(refusal(put("a").await), failed());
    assert_eq!(refusal(put("b").await), (404, "NoSuchKey".to_owned()));
    let delete = s3.client.delete_object().bucket(BUCKET).key("a");
    assert_eq!(refusal(with_header!(delete, "if-match", "").send().await), failed());
    let get = s3.client.get_object().bucket(BUCKET).key("a");
    assert_eq!(refusal(with_header!(get, "if-match", "").send().await), failed());
    let copy = || s3.client.copy_object().bucket(BUCKET).key("b").copy_source(format!("{BUCKET}/a"));
    assert_eq!(refusal(with_header!(copy(), "x-amz-copy-source-if-match", "").send().await), failed());
    assert_eq!(refusal(with_header!(copy(), "if-match", "").send().await), (404, "NoSuchKey".to_owned()));
    assert_eq!(s3.body("a").await, b"first");
}

#[tokio::test]
async fn a_write_knows_no_if_none_match_but_the_asterisk() {
    let s3 = Fixture::start().await;
    let put = s3.put("a", b"first").send().await.unwrap();
    let etag = put.e_tag().unwrap();
    for other in [etag, "\"other\"", "other"] {
        assert_eq!(refusal(s3.put("a", b"second").if_none_match(other).send().await), not_implemented(), "{other}");
    }
    let empty = with_header!(s3.put("a", b"second"), "if-none-match", "").send().await;
    assert_eq!(refusal(empty), not_implemented());
    let both = s3.put("b", b"second").if_none_match("*").if_match(etag).send().await;
    assert_eq!(refusal(both), not_implemented());
    let copy = s3.client.copy_object().bucket(BUCKET).key("b").copy_source(format!("{BUCKET}/a"));
    assert_eq!(refusal(with_header!(copy, "if-none-match", "\"other\"").send().await), not_implemented());
    assert_eq!(s3.body("a").await, b"first");
    assert!(!s3.exists("b").await);
}

#[tokio::test]
async fn a_condition_that_is_not_checked_is_refused() {
    let s3 = Fixture::start().await;
    s3.put("a", b"first").send().await.unwrap();
    let past = "Thu, 01 Jan 1970 00:00:00 GMT";
    let put = with_header!(s3.put("a", b"second"), "if-unmodified-since", past).send().await;
    assert_eq!(refusal(put), not_implemented());
    for (name, value) in [("if-none-match", "*"), ("if-unmodified-since", past), ("x-amz-if-match-size", "7")] {
        let delete = s3.client.delete_object().bucket(BUCKET).key("a");
        assert_eq!(refusal(with_header!(delete, name, value).send().await), not_implemented(), "{name}");
    }
    let object = ObjectIdentifier::builder().key("a").size(7).build().unwrap();
    let delete = Delete::builder().objects(object).build().unwrap();
    let deleted = s3.client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!(deleted.errors()[0].code(), Some("NotImplemented"));
    assert_eq!(s3.body("a").await, b"first");
}

#[tokio::test]
async fn a_version_other_than_the_only_one_is_refused() {
    let s3 = Fixture::start().await;
    s3.put("a", b"x").send().await.unwrap();
    let refused = || (400, "InvalidArgument".to_owned());
    let delete = s3.client.delete_object().bucket(BUCKET).key("a").version_id("older").send().await;
    assert_eq!(refusal(delete), refused());
    assert_eq!(refusal(s3.client.get_object().bucket(BUCKET).key("a").version_id("older").send().await), refused());
    let copy = s3.client.copy_object().bucket(BUCKET).key("b").copy_source(format!("{BUCKET}/a?versionId=older"));
    assert_eq!(refusal(copy.send().await), refused());
    let object = ObjectIdentifier::builder().key("a").version_id("older").build().unwrap();
    let delete = Delete::builder().objects(object).build().unwrap();
    let deleted = s3.client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!(deleted.errors().len(), 1);
    s3.client.delete_object().bucket(BUCKET).key("a").version_id("null").send().await.unwrap();
    assert!(!s3.exists("a").await);
}

#[tokio::test]
async fn a_delete_obeys_if_match() {
    let s3 = Fixture::start().await;
    let put = s3.put("a", b"x").send().await.unwrap();
    let delete = |etag: &str| s3.client.delete_object().bucket(BUCKET).key("a").if_match(etag).send();
    assert_eq!(refusal(delete("\"other\"").await), failed());
    delete(put.e_tag().unwrap()).await.unwrap();
    assert_eq!(refusal(s3.client.head_object().bucket(BUCKET).key("a").send().await).0, 404);
}
