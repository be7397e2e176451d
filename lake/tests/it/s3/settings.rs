//! From settings to a store.

use super::*;

#[tokio::test]
async fn a_store_shows_bucket_and_endpoint_and_no_credentials() {
    let endpoint = "http://user:hidden@127.0.0.1:9";
    let store = S3Store::at(BUCKET, endpoint, credentials_of(SECRET_KEY)).unwrap();

    for text in [format!("{store}"), format!("{store:?}"), format!("{store:#?}")] {
        assert!(text.contains(BUCKET) && text.contains("http://127.0.0.1:9"), "{text}");
        assert!(!text.contains(SECRET_KEY) && !text.contains(ACCESS_KEY) && !text.contains("hidden"), "{text}");
    }
}

#[tokio::test]
async fn requests_to_an_endpoint_with_a_host_name_have_the_bucket_in_the_path() {
    let server = Scripted::start(|_, _| PUT_DONE.to_owned()).await;
    let named = server.endpoint.replace("127.0.0.1", "localhost");
    let store = S3Store::at(BUCKET, &named, credentials_of(SECRET_KEY)).unwrap();

    store.put(&Path::from("a"), "x".into()).await.unwrap();

    let requests = server.requests();
    assert!(requests[0].target.starts_with("/lake/a"), "{}", requests[0].target);
    assert!(requests[0].header("host").unwrap().starts_with("localhost:"));
}

#[tokio::test]
async fn settings_that_cannot_be_right_are_refused() {
    for (bucket, endpoint) in [
        ("", "http://127.0.0.1:9"),
        ("a/b", "http://127.0.0.1:9"),
        (BUCKET, "127.0.0.1:9000"),
        (BUCKET, "localhost:9000"),
        (BUCKET, "ftp://127.0.0.1"),
        (BUCKET, ""),
    ] {
        let error = S3Store::at(bucket, endpoint, credentials_of(SECRET_KEY)).unwrap_err();
        assert!(matches!(error, S3Failure::Settings { .. }), "{error}");
    }
}
