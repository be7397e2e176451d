//! Multipart uploads.

use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::objects::blobs;
use crate::support::{BUCKET, Fixture, SECRET_KEY, client, config, noise, refusal};

const PART: usize = 5 << 20;

pub(crate) async fn begin(s3: &Fixture, key: &str) -> String {
    let create = s3.client.create_multipart_upload().bucket(BUCKET).key(key).content_type("text/x").metadata("m", "1");
    create.send().await.unwrap().upload_id.unwrap()
}

pub(crate) async fn part(s3: &Fixture, key: &str, id: &str, number: i32, body: &[u8]) -> CompletedPart {
    let upload = s3.client.upload_part().bucket(BUCKET).key(key).upload_id(id).part_number(number);
    let uploaded = upload.body(body.to_vec().into()).send().await.unwrap();
    CompletedPart::builder().part_number(number).set_e_tag(uploaded.e_tag).build()
}

pub(crate) fn complete(
    s3: &Fixture,
    key: &str,
    id: &str,
    parts: &[CompletedPart],
) -> CompleteMultipartUploadFluentBuilder {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
    s3.client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(id).multipart_upload(parts)
}

#[tokio::test]
async fn parts_become_one_object() {
    let s3 = Fixture::start().await;
    let id = begin(&s3, "big").await;
    let body = noise(2 * PART + 1000);
    // Out of order, and one part twice: the last upload of a part counts.
    let third = part(&s3, "big", &id, 3, &body[2 * PART..]).await;
    part(&s3, "big", &id, 1, b"replaced").await;
    let first = part(&s3, "big", &id, 1, &body[..PART]).await;
    let second = part(&s3, "big", &id, 2, &body[PART..2 * PART]).await;

    let listed = s3.client.list_parts().bucket(BUCKET).key("big").upload_id(&id).max_parts(2).send().await.unwrap();
    let numbers: Vec<_> = listed.parts().iter().filter_map(|part| part.part_number()).collect();
    assert_eq!((numbers, listed.is_truncated()), (vec![1, 2], Some(true)));
    let uploads = s3.client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));
    assert_eq!(uploads.uploads()[0].key(), Some("big"));
    assert_eq!(refusal(s3.client.head_object().bucket(BUCKET).key("big").send().await).0, 404);

    let done = complete(&s3, "big", &id, &[first, second, third]).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-3\""));
    assert!(s3.body("big").await == body);
    let head = s3.client.head_object().bucket(BUCKET).key("big").send().await.unwrap();
    assert_eq!((head.e_tag(), head.content_type()), (done.e_tag(), Some("text/x")));
    assert_eq!(head.metadata().unwrap()["m"], "1");
    let uploads = s3.client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert!(uploads.uploads().is_empty());
    let root = s3.root;
    s3.server.shutdown().await;
    assert_eq!(blobs(root.path()), 1, "parts leave the disk");
}

#[tokio::test]
async fn a_completion_obeys_if_none_match_and_can_be_repeated_elsewhere() {
    let s3 = Fixture::start().await;
    s3.put("taken", b"first").send().await.unwrap();
    let id = begin(&s3, "taken").await;
    let parts = [part(&s3, "taken", &id, 1, b"second").await];
    let refused = complete(&s3, "taken", &id, &parts).if_none_match("*").send().await;
    assert_eq!(refusal(refused), (412, "PreconditionFailed".to_owned()));
    assert_eq!(s3.body("taken").await, b"first");
    complete(&s3, "taken", &id, &parts).send().await.unwrap();
    assert_eq!(s3.body("taken").await, b"second");
}

#[tokio::test]
async fn a_completion_that_does_not_match_its_parts_is_refused() {
    let s3 = Fixture::start().await;
    let id = begin(&s3, "a").await;
    let (one, two) = (part(&s3, "a", &id, 1, b"small").await, part(&s3, "a", &id, 2, b"last").await);
    let code = |result| refusal(result).1;
    assert_eq!(code(complete(&s3, "a", &id, &[two.clone(), one.clone()]).send().await), "InvalidPartOrder");
    assert_eq!(code(complete(&s3, "a", &id, &[one.clone(), two.clone()]).send().await), "EntityTooSmall");
    let wrong = CompletedPart::builder().part_number(1).e_tag("\"00\"").build();
    assert_eq!(code(complete(&s3, "a", &id, &[wrong]).send().await), "InvalidPart");
    let absent = CompletedPart::builder().part_number(7).set_e_tag(one.e_tag.clone()).build();
    assert_eq!(code(complete(&s3, "a", &id, &[absent]).send().await), "InvalidPart");
    assert_eq!(code(complete(&s3, "a", "unknown", &[one]).send().await), "NoSuchUpload");
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let s3 = Fixture::start().await;
    let id = begin(&s3, "a").await;
    let parts = [part(&s3, "a", &id, 1, b"bytes").await];
    s3.client.abort_multipart_upload().bucket(BUCKET).key("a").upload_id(&id).send().await.unwrap();
    let refused = complete(&s3, "a", &id, &parts).send().await;
    assert_eq!(refusal(refused), (404, "NoSuchUpload".to_owned()));
    let root = s3.root;
    s3.server.shutdown().await;
    assert_eq!(blobs(root.path()), 0);
}

#[tokio::test]
async fn a_part_can_be_copied_from_a_range_of_an_object() {
    let s3 = Fixture::start().await;
    let body = noise(100_000);
    s3.put("from", &body).send().await.unwrap();
    let id = begin(&s3, "to").await;
    let copy = s3.client.upload_part_copy().bucket(BUCKET).key("to").upload_id(&id).part_number(1);
    let copied = copy.copy_source(format!("{BUCKET}/from")).copy_source_range("bytes=10-99").send().await.unwrap();
    let etag = copied.copy_part_result.unwrap().e_tag;
    let part = CompletedPart::builder().part_number(1).set_e_tag(etag).build();
    complete(&s3, "to", &id, &[part]).send().await.unwrap();
    assert_eq!(s3.body("to").await, body[10..100]);
}

/// Fails when the range is shortened, as that of a read is: the part would be too short, and no client would notice.
#[tokio::test]
async fn a_part_copied_from_beyond_the_end_of_an_object_is_refused() {
    let s3 = Fixture::start().await;
    s3.put("from", &noise(100)).send().await.unwrap();
    s3.put_all(["empty"]).await;
    let id = begin(&s3, "to").await;
    let copy = |from: &str, range: &str| {
        let copy = s3.client.upload_part_copy().bucket(BUCKET).key("to").upload_id(&id).part_number(1);
        copy.copy_source(format!("{BUCKET}/{from}")).copy_source_range(range).send()
    };
    let beyond = ["bytes=0-100", "bytes=99-100", "bytes=100-100", "bytes=200-300", "bytes=0-18446744073709551615"];
    let malformed = ["bytes=5-", "bytes=-5", "bytes=9-5", "0-9", "bytes=0-4,6-9", "bytes=a-b"];
    for range in beyond.into_iter().chain(malformed) {
        assert_eq!(refusal(copy("from", range).await), (400, "InvalidArgument".to_owned()), "{range}");
    }
    assert_eq!(refusal(copy("empty", "bytes=0-0").await), (400, "InvalidArgument".to_owned()));
    let listed = s3.client.list_parts().bucket(BUCKET).key("to").upload_id(&id).send().await.unwrap();
    assert!(listed.parts().is_empty());
    copy("from", "bytes=0-99").await.unwrap();
}

/// Fails when completions are not remembered: a client whose answer was lost would take its upload for aborted.
#[tokio::test]
async fn a_completion_that_is_sent_again_gets_the_same_answer() {
    let s3 = Fixture::start().await;
    let id = begin(&s3, "a").await;
    let parts = [part(&s3, "a", &id, 1, b"bytes").await];
    let first = complete(&s3, "a", &id, &parts).if_none_match("*").send().await.unwrap();
    let again = complete(&s3, "a", &id, &parts).if_none_match("*").send().await.unwrap();
    assert_eq!((again.e_tag(), again.key(), again.location()), (first.e_tag(), first.key(), first.location()));

    // It does not undo what has happened to the object since.
    s3.put("a", b"newer").send().await.unwrap();
    complete(&s3, "a", &id, &parts).send().await.unwrap();
    assert_eq!(s3.body("a").await, b"newer");

    let other = CompletedPart::builder().part_number(1).e_tag(format!("\"{}\"", "0".repeat(32))).build();
    for different in [vec![other], vec![parts[0].clone(), parts[0].clone()], vec![]] {
        let refused = complete(&s3, "a", &id, &different).send().await;
        assert_eq!(refusal(refused), (404, "NoSuchUpload".to_owned()));
    }
    let elsewhere = complete(&s3, "b", &id, &parts).send().await;
    assert_eq!(refusal(elsewhere), (404, "NoSuchUpload".to_owned()));
}

#[tokio::test]
async fn a_completion_is_remembered_by_the_next_server_and_not_by_the_next_bucket() {
    let s3 = Fixture::start().await;
    let id = begin(&s3, "a").await;
    let parts = [part(&s3, "a", &id, 1, b"bytes").await];
    complete(&s3, "a", &id, &parts).send().await.unwrap();
    let Fixture { server, root, .. } = s3;
    server.shutdown().await;
    let server = local_s3::Server::start(config(&root)).await.unwrap();
    let s3 = Fixture { client: client(&server.endpoint(), SECRET_KEY), server, root };
    complete(&s3, "a", &id, &parts).send().await.unwrap();

    s3.client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    s3.client.delete_bucket().bucket(BUCKET).send().await.unwrap();
    let gone = complete(&s3, "a", &id, &parts).send().await;
    assert_eq!(refusal(gone), (404, "NoSuchBucket".to_owned()));
    s3.client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let forgotten = complete(&s3, "a", &id, &parts).send().await;
    assert_eq!(refusal(forgotten), (404, "NoSuchUpload".to_owned()));
}

/// Fails when a completion that finds its upload gone half-way does not look for the other one's result.
#[tokio::test(flavor = "multi_thread")]
async fn completions_at_the_same_time_get_one_answer() {
    let s3 = Fixture::start().await;
    for round in 0..10 {
        let key = format!("{round}");
        let id = begin(&s3, &key).await;
        let parts = [part(&s3, &key, &id, 1, &noise(PART)).await];
        let sent = (0..8).map(|_| complete(&s3, &key, &id, &parts).send());
        let answers: Vec<_> = futures::future::join_all(sent).await.into_iter().map(Result::unwrap).collect();
        assert!(answers.iter().all(|answer| answer.e_tag() == answers[0].e_tag()));
        assert_eq!(s3.body(&key).await.len(), PART);
    }
}
