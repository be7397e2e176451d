//! Multipart uploads.

use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::objects::blobs;
use crate::support::{BUCKET, Fixture, noise, refusal};

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
