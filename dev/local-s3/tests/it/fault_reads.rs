//! Faults of reads: bodies that end early, listings that are wrong, objects that change.

use aws_sdk_s3::config::ResponseChecksumValidation;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use local_s3::{ContentLength, DoubledOn, Fault, FaultKind};

use crate::support::{BUCKET, Fixture, noise, refusal};

fn cut(keep: Option<u64>, length: ContentLength) -> Fault {
    Fault::new(FaultKind::CutBody { keep, length })
}

/// GETs `key` without asking for the checksum, like a client that does not verify bodies.
async fn get_unverified(s3: &Fixture, key: &str) -> GetObjectOutput {
    let trusting = aws_sdk_s3::Config::builder().response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    s3.client.get_object().bucket(BUCKET).key(key).customize().config_override(trusting).send().await.unwrap()
}

#[tokio::test]
async fn a_cut_body_ends_before_its_content_length() {
    let s3 = Fixture::start().await;
    let body = "0123456789".repeat(100_000);
    let put = s3.put("a", body.as_bytes()).send().await.unwrap();
    for keep in [0, 1, 500_001] {
        s3.set_faults([cut(Some(keep as u64), ContentLength::True)]);
        let got = get_unverified(&s3, "a").await;
        assert_eq!((got.content_length(), got.e_tag()), (Some(1_000_000), put.e_tag()));
        assert!(got.body.collect().await.is_err(), "{keep} bytes");
        let (answer, _) = s3.raw_get("a").await;
        let (head, sent) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-length: 1000000"), "{head}");
        assert!(sent == &body[..keep], "{} of {keep} bytes", sent.len());
        assert_eq!(s3.server.faults_injected().of_fault(0), 2);
    }
    s3.set_faults([]);
    assert!(s3.body("a").await == body.as_bytes());
}

#[tokio::test]
async fn a_cut_body_with_a_lying_length_looks_complete() {
    let s3 = Fixture::start().await;
    let body = noise(1_000_000);
    let put = s3.put("a", &body).send().await.unwrap();
    s3.set_faults([cut(Some(400_000), ContentLength::Lying)]);
    let got = get_unverified(&s3, "a").await;
    assert_eq!((got.content_length(), got.e_tag()), (Some(400_000), put.e_tag()));
    assert!(got.body.collect().await.unwrap().to_vec() == body[..400_000]);
    // The checksum is still that of the whole body, and reveals the cut.
    let got = s3.client.get_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert!(got.body.collect().await.is_err());
    s3.set_faults([]);
    assert!(s3.body("a").await == body);
}

#[tokio::test]
async fn a_cut_is_drawn_and_spares_what_cannot_be_cut() {
    let s3 = Fixture::start().await;
    s3.put("empty", b"").send().await.unwrap();
    s3.put("ten", b"0123456789").send().await.unwrap();
    s3.set_faults([cut(None, ContentLength::Lying).limit(3)]);
    assert_eq!(s3.body("empty").await, b"");
    assert_eq!(refusal(s3.client.get_object().bucket(BUCKET).key("absent").send().await).0, 404);
    for _ in 0..3 {
        let got = get_unverified(&s3, "ten").await.body.collect().await.unwrap().to_vec();
        assert!(got.len() < 10 && b"0123456789".starts_with(&got), "{got:?}");
    }
    assert_eq!(s3.body("ten").await, b"0123456789");
    s3.set_faults([cut(Some(10), ContentLength::Lying)]);
    assert_eq!(s3.body("ten").await, b"0123456789");
}

/// The keys of a listing, page by page.
async fn pages(s3: &Fixture, keys_per_page: i32) -> Vec<Vec<String>> {
    let mut pages = s3.client.list_objects_v2().bucket(BUCKET).max_keys(keys_per_page).into_paginator().send();
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert_eq!(page.key_count(), i32::try_from(page.contents().len()).ok());
        listed.push(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect());
    }
    listed
}

fn doubled(listed: Option<&str>, on: DoubledOn) -> Fault {
    Fault::new(FaultKind::KeyDoubled { listed: listed.map(str::to_owned), on })
}

#[tokio::test]
async fn a_listing_returns_a_key_twice_on_one_page() {
    let s3 = Fixture::start().await;
    s3.put_all(["a", "b", "c", "d"]).await;
    s3.set_faults([doubled(Some("c"), DoubledOn::SamePage).limit(1)]);
    assert_eq!(pages(&s3, 2).await, [vec!["a", "b"], vec!["c", "c", "d"]]);
    assert_eq!(pages(&s3, 2).await, [["a", "b"], ["c", "d"]]);
    s3.set_faults([doubled(None, DoubledOn::SamePage).on("ListObjectsV2")]);
    let mut drawn = pages(&s3, 10).await.concat();
    assert_eq!(drawn.len(), 5);
    drawn.dedup();
    assert_eq!(drawn, ["a", "b", "c", "d"]);
    let first = s3.client.list_objects().bucket(BUCKET).send().await.unwrap();
    assert_eq!(first.contents().len(), 4, "the fault does not apply to the other operation");
}

#[tokio::test]
async fn a_listing_returns_a_key_again_on_the_next_page() {
    let s3 = Fixture::start().await;
    s3.put_all(["a", "b", "c", "d"]).await;
    s3.set_faults([doubled(None, DoubledOn::NextPage).limit(1)]);
    assert_eq!(pages(&s3, 2).await, [vec!["a", "b"], vec!["b", "c"], vec!["d"]]);
    assert_eq!(pages(&s3, 2).await, [["a", "b"], ["c", "d"]]);
    s3.set_faults([doubled(Some("c"), DoubledOn::NextPage)]);
    assert_eq!(pages(&s3, 3).await, [vec!["a", "b", "c"], vec!["c", "d"]]);
    // A page of one entry cannot repeat its key: the listing would never end.
    assert_eq!(pages(&s3, 1).await.len(), 4);
}

#[tokio::test]
async fn a_doubled_key_leaves_common_prefixes_alone() {
    let s3 = Fixture::start().await;
    s3.put_all(["a", "b/1", "b/2", "c", "d"]).await;
    s3.set_faults([doubled(None, DoubledOn::NextPage)]);
    let list = || s3.client.list_objects_v2().bucket(BUCKET).delimiter("/").max_keys(3);
    let first = list().send().await.unwrap();
    let second = list().set_continuation_token(first.next_continuation_token.clone()).send().await.unwrap();
    assert_eq!((first.contents().len(), first.common_prefixes().len()), (2, 1));
    let keys: Vec<_> = second.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!((keys, second.common_prefixes().len()), (vec!["c", "d"], 0));
}

#[tokio::test]
async fn a_listing_leaves_a_key_out() {
    let s3 = Fixture::start().await;
    s3.put_all(["a", "b", "c", "d"]).await;
    let missing = |listed: Option<&str>| Fault::new(FaultKind::KeyMissing { listed: listed.map(str::to_owned) });
    s3.set_faults([missing(Some("c")).limit(1)]);
    assert_eq!(pages(&s3, 2).await, [vec!["a", "b"], vec!["d"]]);
    assert!(s3.exists("c").await);
    assert_eq!(pages(&s3, 2).await, [["a", "b"], ["c", "d"]]);
    s3.set_faults([missing(None)]);
    assert_eq!(pages(&s3, 10).await.concat().len(), 3);
    let old = s3.client.list_objects().bucket(BUCKET).send().await.unwrap();
    assert_eq!(old.contents().len(), 3);
    assert_eq!(s3.server.faults_injected().get("key_missing", "ListObjects"), 1);
}

#[tokio::test]
async fn an_object_is_overwritten_between_listing_and_reading() {
    let s3 = Fixture::start().await;
    s3.put("a", b"[1,2]").content_type("text/x").send().await.unwrap();
    for (with, expected) in [(Some("[3]".to_owned()), Some(b"[3]".to_vec())), (None, None)] {
        let before = s3.body("a").await;
        s3.set_faults([Fault::new(FaultKind::Overwritten { with }).limit(1)]);
        let page = s3.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
        let listed = page.contents()[0].e_tag().unwrap();
        let planned = s3.client.get_object().bucket(BUCKET).key("a").if_match(listed).send().await;
        assert_eq!(refusal(planned), (412, "PreconditionFailed".to_owned()));
        let now = s3.client.get_object().bucket(BUCKET).key("a").send().await.unwrap();
        assert_ne!(now.e_tag(), Some(listed));
        assert_eq!(now.content_type(), Some("text/x"));
        let after = now.body.collect().await.unwrap().to_vec();
        match expected {
            Some(expected) => assert_eq!(after, expected),
            None => assert!(after != before && after.len() == before.len(), "{after:?}"),
        }
    }
    s3.set_faults([Fault::new(FaultKind::Overwritten { with: None })]);
    assert_eq!(refusal(s3.client.get_object().bucket(BUCKET).key("absent").send().await).0, 404);
    assert_eq!(s3.server.faults_injected().of_fault(0), 0);
}

#[tokio::test]
async fn an_object_is_deleted_between_listing_and_reading() {
    let s3 = Fixture::start().await;
    s3.put_all(["a", "b"]).await;
    s3.set_faults([Fault::new(FaultKind::Deleted).limit(1)]);
    let gone = s3.client.get_object().bucket(BUCKET).key("a").send().await;
    assert_eq!(refusal(gone), (404, "NoSuchKey".to_owned()));
    assert_eq!(pages(&s3, 10).await, [["b"]]);
    assert_eq!(s3.body("b").await, b"");
    assert_eq!(crate::objects::blobs(s3.root.path()), 1, "the bytes are deleted too");
}
