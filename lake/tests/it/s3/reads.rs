//! Reads of bodies that break off, stay short, or belong to another version.

use super::*;

#[tokio::test]
async fn a_body_that_breaks_off_is_resumed_from_there() {
    let breaks_off = |number, request: &Request| match number {
        0 => format!("{TEN_BYTES}content-length: 10\r\n\r\n0123"),
        _ => {
            assert_eq!(request.header("range"), Some("bytes=4-9"));
            assert_eq!(request.header("if-match"), Some("\"ten\""));
            TEN_BYTES.replace("200 OK", "206 Partial Content")
                + "content-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\n456789"
        }
    };
    let server = Scripted::start(breaks_off).await;

    let read = server.store().get(&some_path()).await.unwrap().bytes().await.unwrap();

    assert_eq!(read, "0123456789");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_range_that_breaks_off_is_resumed_within_its_bounds() {
    let breaks_off = |number, request: &Request| {
        let head = TEN_BYTES.replace("200 OK", "206 Partial Content");
        match number {
            0 => head + "content-range: bytes 2-7/10\r\ncontent-length: 6\r\n\r\n234",
            _ => {
                assert_eq!(request.header("range"), Some("bytes=5-7"));
                head + "content-range: bytes 5-7/10\r\ncontent-length: 3\r\n\r\n567"
            }
        }
    };
    let server = Scripted::start(breaks_off).await;

    assert_eq!(server.store().get_range(&some_path(), 2..8).await.unwrap(), "234567");
}

#[tokio::test]
async fn a_body_that_stays_short_is_an_error_and_not_an_end_of_file() {
    let short = |number, _: &Request| match number {
        0 => format!("{TEN_BYTES}content-length: 10\r\n\r\n0123"),
        _ => {
            TEN_BYTES.replace("200 OK", "206 Partial Content")
                + "content-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\n"
        }
    };
    let server = Scripted::start(short).await;

    let found = server.store().get(&some_path()).await.unwrap();
    let chunks: Vec<_> = found.into_stream().collect().await;

    let error = chunks.last().unwrap().as_ref().unwrap_err();
    assert!(S3Failure::of(error).unwrap().is_retryable(), "{error}");
    assert!(error.to_string().contains("6 bytes before its end"), "{error}");
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn a_response_that_contradicts_itself_may_be_requested_again() {
    let lying = |number, _: &Request| match number {
        0 => format!("{TEN_BYTES}content-length: 10\r\n\r\n0123"),
        _ => {
            TEN_BYTES.replace("200 OK", "206 Partial Content")
                + "content-range: bytes 4-9/10\r\ncontent-length: 2\r\n\r\n45"
        }
    };
    let server = Scripted::start(lying).await;
    let error = server.store().get(&some_path()).await.unwrap().bytes().await.unwrap_err();
    assert!(S3Failure::of(&error).unwrap().is_retryable(), "{error}");
    let error = server.store().get_range(&some_path(), 4..10).await.unwrap_err();
    assert!(S3Failure::of(&error).unwrap().is_retryable(), "{error}");
}

#[tokio::test]
async fn an_object_replaced_while_it_is_read_fails_its_precondition() {
    let replaced = |number, _: &Request| match number {
        0 => format!("{TEN_BYTES}content-length: 10\r\n\r\n0123"),
        _ => refusal("412 Precondition Failed", "PreconditionFailed", "replaced"),
    };
    let server = Scripted::start(replaced).await;

    let error = server.store().get(&some_path()).await.unwrap().bytes().await.unwrap_err();

    assert!(matches!(error, Error::Precondition { .. }), "{error}");
}

#[tokio::test]
async fn a_body_with_a_wrong_checksum_is_an_error() {
    let damaged =
        |_, _: &Request| format!("{TEN_BYTES}x-amz-checksum-crc32: AAAAAA==\r\ncontent-length: 10\r\n\r\n0123456789");
    let server = Scripted::start(damaged).await;

    let error = server.store().get(&some_path()).await.unwrap().bytes().await.unwrap_err();

    assert!(error.to_string().contains("checksum"), "{error}");
}

/// Fails when the version of the response is not compared: s3rver, for example, ignores `If-Match` on a read.
#[tokio::test]
async fn another_version_than_the_one_asked_for_is_not_read_from_a_server_that_ignores_if_match() {
    let of_another_version = |number, request: &Request| {
        let head = TEN_BYTES.replace("\"ten\"", "\"other\"");
        match number {
            0 | 1 => head + "content-length: 10\r\n\r\n" + if request.method == "HEAD" { "" } else { "0123456789" },
            2 => format!("{TEN_BYTES}content-length: 10\r\n\r\n0123"),
            _ => {
                let head = head.replace("200 OK", "206 Partial Content");
                head + "content-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\n456789"
            }
        }
    };
    let server = Scripted::start(of_another_version).await;
    let planned = || GetOptions::new().with_if_match(Some("\"ten\""));

    let whole = server.store().get_opts(&some_path(), planned()).await.unwrap_err();
    assert!(matches!(whole, Error::Precondition { .. }), "{whole}");
    let head = server.store().get_opts(&some_path(), GetOptions { head: true, ..planned() }).await.unwrap_err();
    assert!(matches!(head, Error::Precondition { .. }), "{head}");
    let found = server.store().get_opts(&some_path(), planned()).await.unwrap();
    let resumed = found.bytes().await.unwrap_err();
    assert!(matches!(resumed, Error::Precondition { .. }), "{resumed}");
}
