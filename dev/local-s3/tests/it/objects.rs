//! Bodies, ranges, attributes, copies and deletes.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier, Tag, Tagging};

use crate::support::{BUCKET, Fixture, noise, refusal};

#[tokio::test]
async fn a_body_of_any_size_round_trips() {
    let s3 = Fixture::start().await;
    for length in [0, 1, 262_143, 262_144, 262_145, 1 << 20, 5_000_001] {
        let body = noise(length);
        s3.put("body", &body).send().await.unwrap();
        assert!(s3.body("body").await == body, "{length} bytes");
    }
}

#[tokio::test]
async fn an_etag_is_the_md5_of_the_body() {
    let s3 = Fixture::start().await;
    let put = s3.put("a", b"hello").send().await.unwrap();
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    let head = s3.client.head_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert_eq!((head.e_tag(), head.content_length()), (put.e_tag(), Some(5)));
}

#[tokio::test]
async fn ranges_give_the_bytes_asked_for() {
    let s3 = Fixture::start().await;
    let body = noise(1_000_000);
    s3.put("r", &body).send().await.unwrap();
    let cases = [
        ("bytes=0-0", 0..1),
        ("bytes=10-19", 10..20),
        ("bytes=999990-", 999_990..1_000_000),
        ("bytes=-7", 999_993..1_000_000),
        ("bytes=-2000000", 0..1_000_000),
        ("bytes=300000-2000000", 300_000..1_000_000),
    ];
    for (range, expected) in cases {
        let got = s3.client.get_object().bucket(BUCKET).key("r").range(range).send().await.unwrap();
        let content_range = format!("bytes {}-{}/1000000", expected.start, expected.end - 1);
        assert_eq!(got.content_range(), Some(content_range.as_str()), "{range}");
        assert!(got.body.collect().await.unwrap().to_vec() == body[expected], "{range}");
    }
    let head = s3.client.head_object().bucket(BUCKET).key("r").range("bytes=-7").send().await.unwrap();
    assert_eq!(head.content_length(), Some(7));
}

#[tokio::test]
async fn a_range_outside_the_object_is_refused() {
    let s3 = Fixture::start().await;
    s3.put_all(["empty"]).await;
    s3.put("ten", b"0123456789").send().await.unwrap();
    for (key, range) in [("ten", "bytes=10-"), ("ten", "bytes=-0"), ("empty", "bytes=0-0"), ("empty", "bytes=-1")] {
        let got = s3.client.get_object().bucket(BUCKET).key(key).range(range).send().await;
        assert_eq!(refusal(got), (416, "InvalidRange".to_owned()), "{key} {range}");
    }
}

#[tokio::test]
async fn attributes_and_metadata_round_trip() {
    let s3 = Fixture::start().await;
    let expires = DateTime::from_secs(2_000_000_000);
    s3.put("a", b"x")
        .content_type("application/x-ndjson")
        .cache_control("max-age=60")
        .content_disposition("attachment; filename=\"a b.txt\"")
        .content_encoding("gzip")
        .content_language("de-CH")
        .expires(expires)
        .metadata("batch", "17")
        .metadata("note", "a: b; \"c\"")
        .tagging("zone=raw&a%20b=c%26d")
        .send()
        .await
        .unwrap();
    let got = s3.client.get_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert_eq!(got.content_type(), Some("application/x-ndjson"));
    assert_eq!(got.cache_control(), Some("max-age=60"));
    assert_eq!(got.content_disposition(), Some("attachment; filename=\"a b.txt\""));
    assert_eq!(got.content_encoding(), Some("gzip"));
    assert_eq!(got.content_language(), Some("de-CH"));
    assert_eq!(got.expires_string(), Some("Wed, 18 May 2033 03:33:20 GMT"));
    assert_eq!(got.metadata().unwrap()["batch"], "17");
    assert_eq!(got.metadata().unwrap()["note"], "a: b; \"c\"");
    assert_eq!(got.tag_count(), Some(2));
    let tags = s3.client.get_object_tagging().bucket(BUCKET).key("a").send().await.unwrap();
    let tags: Vec<_> = tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
    assert_eq!(tags, [("a b", "c&d"), ("zone", "raw")]);
}

#[tokio::test]
async fn tags_can_be_replaced_and_removed() {
    let s3 = Fixture::start().await;
    let put = s3.put("a", b"x").tagging("a=1").send().await.unwrap();
    let tag = Tag::builder().key("b").value("2").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag.clone()).build().unwrap();
    s3.client.put_object_tagging().bucket(BUCKET).key("a").tagging(tagging).send().await.unwrap();
    let got = s3.client.get_object_tagging().bucket(BUCKET).key("a").send().await.unwrap();
    assert_eq!(got.tag_set(), [tag]);
    s3.client.delete_object_tagging().bucket(BUCKET).key("a").send().await.unwrap();
    let got = s3.client.get_object_tagging().bucket(BUCKET).key("a").send().await.unwrap();
    assert!(got.tag_set().is_empty());
    let head = s3.client.head_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert_eq!(head.e_tag(), put.e_tag());
}

#[tokio::test]
async fn a_copy_keeps_bytes_and_attributes_and_outlives_its_source() {
    let s3 = Fixture::start().await;
    s3.put("from me", b"bytes").content_type("text/x").metadata("m", "1").send().await.unwrap();
    let copy = || s3.client.copy_object().bucket(BUCKET).copy_source(format!("{BUCKET}/from%20me"));
    copy().key("to").send().await.unwrap();
    copy()
        .key("to-changed")
        .metadata_directive(MetadataDirective::Replace)
        .content_type("text/y")
        .send()
        .await
        .unwrap();
    s3.client.delete_object().bucket(BUCKET).key("from me").send().await.unwrap();

    assert_eq!(s3.body("to").await, b"bytes");
    let kept = s3.client.head_object().bucket(BUCKET).key("to").send().await.unwrap();
    assert_eq!((kept.content_type(), kept.metadata().unwrap()["m"].as_str()), (Some("text/x"), "1"));
    let changed = s3.client.head_object().bucket(BUCKET).key("to-changed").send().await.unwrap();
    assert_eq!((changed.content_type(), changed.metadata().unwrap().len()), (Some("text/y"), 0));
    assert_eq!(refusal(copy().key("again").send().await).0, 404);
}

#[tokio::test]
async fn a_copy_onto_itself_must_change_something() {
    let s3 = Fixture::start().await;
    s3.put("a", b"bytes").send().await.unwrap();
    let copy = || s3.client.copy_object().bucket(BUCKET).key("a").copy_source(format!("{BUCKET}/a"));
    assert_eq!(refusal(copy().send().await), (400, "InvalidRequest".to_owned()));
    copy().metadata_directive(MetadataDirective::Replace).metadata("m", "2").send().await.unwrap();
    assert_eq!(s3.body("a").await, b"bytes");
}

#[tokio::test]
async fn a_batch_delete_removes_what_it_names() {
    let s3 = Fixture::start().await;
    let names = ["a", "b c", "ü&<>\"'", " lead and trail "];
    s3.put_all(names).await;
    s3.put_all(["stays"]).await;
    let ids = names.iter().chain(&["never-was"]).map(|key| ObjectIdentifier::builder().key(*key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(ids.collect())).build().unwrap();
    let deleted = s3.client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (5, 0));
    let left = s3.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(left.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["stays"]);
}

#[tokio::test]
async fn a_deletion_names_one_to_a_thousand_keys() {
    let s3 = Fixture::start().await;
    s3.put_all(["key-0"]).await;
    let delete = |count: usize| {
        let ids = (0..count).map(|key| ObjectIdentifier::builder().key(format!("key-{key}")).build().unwrap());
        let delete = Delete::builder().set_objects(Some(ids.collect())).build().unwrap();
        s3.client.delete_objects().bucket(BUCKET).delete(delete).send()
    };
    assert_eq!(refusal(delete(1001).await), (400, "MalformedXML".to_owned()));
    assert_eq!(refusal(delete(0).await), (400, "MalformedXML".to_owned()));
    assert!(s3.exists("key-0").await);
    assert_eq!(delete(1000).await.unwrap().deleted().len(), 1000);
    assert!(!s3.exists("key-0").await);
}

#[tokio::test]
async fn a_key_that_can_not_exist_is_named_in_the_answer_to_a_deletion() {
    let s3 = Fixture::start().await;
    let ids = ["x".repeat(1025), String::new()].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(ids.to_vec())).build().unwrap();
    let deleted = s3.client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    let codes: Vec<_> = deleted.errors().iter().filter_map(|error| error.code()).collect();
    assert_eq!(codes, ["KeyTooLongError", "UserKeyMustBeSpecified"]);
}

#[tokio::test]
async fn deleting_an_absent_key_succeeds() {
    let s3 = Fixture::start().await;
    s3.client.delete_object().bucket(BUCKET).key("never-was").send().await.unwrap();
}

#[tokio::test]
async fn what_does_not_exist_is_named_in_the_refusal() {
    let s3 = Fixture::start().await;
    let get = |bucket: &str| s3.client.get_object().bucket(bucket).key("nope").send();
    assert_eq!(refusal(get(BUCKET).await), (404, "NoSuchKey".to_owned()));
    assert_eq!(refusal(get("nowhere").await), (404, "NoSuchBucket".to_owned()));
    let put = s3.client.put_object().bucket("nowhere").key("a").send().await;
    assert_eq!(refusal(put), (404, "NoSuchBucket".to_owned()));
    let list = s3.client.list_objects_v2().bucket("nowhere").send().await;
    assert_eq!(refusal(list), (404, "NoSuchBucket".to_owned()));
    assert_eq!(refusal(s3.client.head_object().bucket(BUCKET).key("nope").send().await).0, 404);
}

#[tokio::test]
async fn a_bucket_is_removed_only_when_empty() {
    let s3 = Fixture::start().await;
    let again = s3.client.create_bucket().bucket(BUCKET).send().await;
    assert_eq!(refusal(again), (409, "BucketAlreadyOwnedByYou".to_owned()));
    s3.client.create_bucket().bucket("second").send().await.unwrap();
    s3.put_all(["a"]).await;
    let refused = s3.client.delete_bucket().bucket(BUCKET).send().await;
    assert_eq!(refusal(refused), (409, "BucketNotEmpty".to_owned()));
    s3.client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    s3.client.delete_bucket().bucket(BUCKET).send().await.unwrap();
    let buckets = s3.client.list_buckets().send().await.unwrap();
    assert_eq!(buckets.buckets().iter().filter_map(|bucket| bucket.name()).collect::<Vec<_>>(), ["second"]);
    s3.client.head_bucket().bucket("second").send().await.unwrap();
    assert_eq!(refusal(s3.client.head_bucket().bucket(BUCKET).send().await).0, 404);
    s3.client.get_bucket_location().bucket("second").send().await.unwrap();
}

#[tokio::test]
async fn replaced_and_deleted_bytes_leave_the_disk() {
    let s3 = Fixture::start().await;
    for body in [b"one", b"two", b"six"] {
        s3.put("a", body).send().await.unwrap();
    }
    s3.put("b", b"gone").send().await.unwrap();
    s3.client.delete_object().bucket(BUCKET).key("b").send().await.unwrap();
    // A refused write leaves no blob either.
    refusal(s3.put("a", b"refused").if_none_match("*").send().await);
    let root = s3.root;
    s3.server.shutdown().await;
    assert_eq!(blobs(root.path()), 1);
}

/// How many blobs are under `root`.
pub(crate) fn blobs(root: &std::path::Path) -> usize {
    let shards = std::fs::read_dir(root.join("blobs")).unwrap();
    shards.map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count()).sum()
}

#[tokio::test]
async fn a_reader_finishes_the_version_it_began() {
    let s3 = Fixture::start().await;
    let old = noise(8 << 20);
    s3.put("a", &old).send().await.unwrap();
    let reading = s3.client.get_object().bucket(BUCKET).key("a").send().await.unwrap();
    s3.put("a", b"new").send().await.unwrap();
    assert!(reading.body.collect().await.unwrap().to_vec() == old);
    assert_eq!(s3.body("a").await, b"new");
}
