//! Which requests are let in, and how they are counted.

use std::time::Duration;

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::presigning::PresigningConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{BUCKET, Fixture, SECRET_KEY, client, refusal};

#[tokio::test]
async fn wrong_secret_is_refused() {
    let s3 = Fixture::start().await;
    let stranger = client(&s3.server.endpoint(), "another-secret");
    let refused = stranger.list_buckets().send().await;
    assert_eq!(refusal(refused), (403, "SignatureDoesNotMatch".to_owned()));
    let put = stranger.put_object().bucket(BUCKET).key("a").send().await;
    assert_eq!(refusal(put).0, 403);
    assert_eq!(s3.server.requests().total(), 0);
}

#[tokio::test]
async fn an_unsigned_request_is_refused() {
    let s3 = Fixture::start().await;
    s3.put_all(["a"]).await;
    let answer = raw_get(&s3, &format!("/{BUCKET}/a")).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn a_presigned_url_is_served_and_an_altered_one_refused() {
    let s3 = Fixture::start().await;
    s3.put("a b", b"the body").send().await.unwrap();
    let lifetime = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let presigned = s3.client.get_object().bucket(BUCKET).key("a b").presigned(lifetime).await.unwrap();
    let path = presigned.uri().strip_prefix(&s3.server.endpoint()).unwrap();
    let answer = raw_get(&s3, path).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("the body"), "{answer}");
    let answer = raw_get(&s3, &path.replacen("X-Amz-Expires=60", "X-Amz-Expires=61", 1)).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

/// A presigned URL may be given to someone who may not do anything else.
#[tokio::test]
async fn a_presigned_url_does_nothing_else_with_another_header() {
    let s3 = Fixture::start().await;
    s3.put("secret", b"the secret").send().await.unwrap();
    let lifetime = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let presigned = s3.client.put_object().bucket(BUCKET).key("mine").presigned(lifetime).await.unwrap();
    let path = presigned.uri().strip_prefix(&s3.server.endpoint()).unwrap();
    for header in ["x-amz-copy-source: lake/secret", "X-Amz-Meta-A: b", "x-amz-acl: private", "content-md5: AAAA"] {
        let answer = raw(&s3, &format!("PUT {path} HTTP/1.1\r\n{header}\r\ncontent-length: 0")).await;
        let name = header.split_once(':').unwrap().0.to_lowercase();
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("<Code>AccessDenied</Code>"), "{answer}");
        assert!(answer.contains(&format!("not signed: {name}")), "{answer}");
    }
    // The signature is also right if the parameter is written in another way.
    let disguised = path.replacen("X-Amz-SignedHeaders", "X-Amz-Signed%48eaders", 1);
    let header = "authorization: SignedHeaders=x-amz-copy-source, x";
    let copy = format!("PUT {disguised} HTTP/1.1\r\n{header}\r\nx-amz-copy-source: lake/secret\r\ncontent-length: 0");
    let answer = raw(&s3, &copy).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(!s3.exists("mine").await);
    let answer = raw(&s3, &format!("PUT {path} HTTP/1.1\r\ncontent-length: 0")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_header_added_to_a_signed_request_is_refused() {
    let s3 = Fixture::start().await;
    let get = s3.client.get_object().bucket(BUCKET).key("a").customize().interceptor(AddsHeader);
    assert_eq!(refusal(get.send().await), (403, "AccessDenied".to_owned()));
}

/// Adds a header after the request was signed.
#[derive(Debug)]
struct AddsHeader;

impl Intercept for AddsHeader {
    fn name(&self) -> &'static str {
        "AddsHeader"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().insert("x-amz-expected-bucket-owner", "000000000000");
        Ok(())
    }
}

/// What the server answers to a request with this head.
async fn raw(s3: &Fixture, head: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(s3.server.address()).await.unwrap();
    let request = format!("{head}\r\nhost: {}\r\nconnection: close\r\n\r\n", s3.server.address());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// What the server answers to a plain GET of `path`.
async fn raw_get(s3: &Fixture, path: &str) -> String {
    raw(s3, &format!("GET {path} HTTP/1.1")).await
}

#[tokio::test]
async fn requests_are_counted_by_operation() {
    let s3 = Fixture::start().await;
    s3.put_all(["a", "b"]).await;
    let before = s3.server.requests();
    s3.body("a").await;
    refusal(s3.client.get_object().bucket(BUCKET).key("nope").send().await);
    s3.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    let counted = s3.server.requests().since(&before);
    assert_eq!(counted.iter().collect::<Vec<_>>(), [("GetObject", 2), ("ListObjectsV2", 1)]);
    assert_eq!((before.get("PutObject"), counted.total()), (2, 3));
}

#[tokio::test]
async fn a_secret_does_not_print() {
    let root = tempfile::tempdir().unwrap();
    let printed = format!("{:?}", crate::support::config(&root));
    assert!(!printed.contains(SECRET_KEY) && printed.contains("<redacted>"), "{printed}");
}
