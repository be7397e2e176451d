//! Digests sent with a body.

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};

use crate::support::{BUCKET, Fixture, noise, refusal};

const ALGORITHMS: [ChecksumAlgorithm; 5] = [
    ChecksumAlgorithm::Crc32,
    ChecksumAlgorithm::Crc32C,
    ChecksumAlgorithm::Crc64Nvme,
    ChecksumAlgorithm::Sha1,
    ChecksumAlgorithm::Sha256,
];

#[tokio::test]
async fn a_content_md5_that_is_wrong_or_is_none_is_refused() {
    let s3 = Fixture::start().await;
    let put = |md5: &str| s3.put("a", b"hello").content_md5(md5).send();
    assert_eq!(refusal(put("1B2M2Y8AsgTpgAmY7PhCfg==").await), (400, "BadDigest".to_owned()));
    assert_eq!(refusal(put("AAAA").await), (400, "InvalidDigest".to_owned()));
    put("XUFAKrxLKna5cZ2REBfFkg==").await.unwrap();
}

#[tokio::test]
async fn every_checksum_the_sdk_computes_is_accepted_and_given_back() {
    let s3 = Fixture::start().await;
    for algorithm in ALGORITHMS {
        let put = s3.put("a", b"hello").checksum_algorithm(algorithm.clone()).send().await.unwrap();
        let get = s3.client.get_object().bucket(BUCKET).key("a").checksum_mode(ChecksumMode::Enabled);
        let got = get.send().await.unwrap();
        let of_put = [
            put.checksum_crc32(),
            put.checksum_crc32_c(),
            put.checksum_crc64_nvme(),
            put.checksum_sha1(),
            put.checksum_sha256(),
        ];
        let of_get = [
            got.checksum_crc32(),
            got.checksum_crc32_c(),
            got.checksum_crc64_nvme(),
            got.checksum_sha1(),
            got.checksum_sha256(),
        ];
        assert_eq!(of_put, of_get, "{algorithm}");
        assert_eq!(of_put.iter().flatten().count(), 1, "{algorithm}");
    }
}

#[tokio::test]
async fn a_streamed_body_with_a_trailing_checksum_round_trips() {
    let s3 = Fixture::start().await;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("body");
    let body = noise(3_000_000);
    std::fs::write(&path, &body).unwrap();
    for algorithm in ALGORITHMS {
        let stream = ByteStream::from_path(&path).await.unwrap();
        let put = s3.client.put_object().bucket(BUCKET).key("a").body(stream).content_encoding("gzip");
        put.checksum_algorithm(algorithm.clone()).send().await.unwrap();
        assert!(s3.body("a").await == body, "{algorithm}");
        let head = s3.client.head_object().bucket(BUCKET).key("a").send().await.unwrap();
        assert_eq!(head.content_encoding(), Some("gzip"), "{algorithm}");
    }
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_and_nothing_is_stored() {
    let s3 = Fixture::start().await;
    let wrong = (400, "BadDigest".to_owned());
    // The digests of "hello", sent with a different body.
    assert_eq!(refusal(s3.put("a", b"hellO").content_md5("XUFAKrxLKna5cZ2REBfFkg==").send().await), wrong);
    assert_eq!(refusal(s3.put("a", b"hellO").checksum_crc32("NhCmhg==").send().await), wrong);
    assert_eq!(refusal(s3.put("a", b"hellO").checksum_sha1("qvTGHdzF6KLavt4PO0gs2a6pQ00=").send().await), wrong);
    assert_eq!(refusal(s3.client.head_object().bucket(BUCKET).key("a").send().await).0, 404);
    s3.put("a", b"hello").content_md5("XUFAKrxLKna5cZ2REBfFkg==").send().await.unwrap();
}

#[tokio::test]
async fn a_body_altered_on_the_way_is_refused() {
    let s3 = Fixture::start().await;
    let put = s3.put("a", b"hello").customize().mutate_request(|request| {
        *request.body_mut() = SdkBody::from("hellO");
    });
    assert_eq!(refusal(put.send().await).0, 400);
    assert_eq!(refusal(s3.client.head_object().bucket(BUCKET).key("a").send().await).0, 404);
}
