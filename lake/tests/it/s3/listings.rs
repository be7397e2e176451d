//! Listings of keys, including odd ones, page by page.

use super::*;

#[tokio::test]
async fn a_truncated_listing_without_a_next_page_is_an_error() {
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    let server = Scripted::start(move |_, _| answer("200 OK", "", page)).await;

    let error = server.store().list(None).try_collect::<Vec<_>>().await.unwrap_err();

    assert!(error.to_string().contains("does not name the next"), "{error}");
}

#[tokio::test]
async fn listed_keys_are_decoded_if_and_only_if_the_server_encoded_them() {
    for (encoding, expected) in [("<EncodingType>url</EncodingType>", "a b+c/ä"), ("", "a+b%2Bc/%C3%A4")] {
        let page = format!(
            "<ListBucketResult>{encoding}<Contents><Key>a+b%2Bc/%C3%A4</Key><Size>1</Size>\
             <LastModified>2026-11-20T10:00:00Z</LastModified></Contents></ListBucketResult>"
        );
        let server = Scripted::start(move |_, _| answer("200 OK", "", &page)).await;

        let listed: Vec<_> = server.store().list(None).try_collect().await.unwrap();

        assert_eq!(to_key(&listed[0].location), expected);
    }
}

#[tokio::test]
async fn a_listing_that_breaks_off_is_an_error() {
    let page = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 500\r\n\r\n<ListBucketResult>";
    let server = Scripted::start(move |_, _| page.to_owned()).await;

    let error = server.store().list(None).try_collect::<Vec<_>>().await.unwrap_err();

    assert!(S3Failure::of(&error).unwrap().is_retryable(), "{error}");
}

#[tokio::test]
async fn odd_directories_are_listed_level_by_level() {
    let served = serve().await;
    for key in ["/a", "b//c", "b/d/"] {
        served.store.put(&to_path(key), "x".into()).await.unwrap();
    }

    let root = served.store.list_with_delimiter(None).await.unwrap();
    assert_eq!(root.common_prefixes, [Path::parse("%~").unwrap(), Path::from("b")]);
    let slash = served.store.list_with_delimiter(Some(&root.common_prefixes[0])).await.unwrap();
    assert_eq!(slash.objects[0].location, to_path("/a"));
    let b = served.store.list_with_delimiter(Some(&Path::from("b"))).await.unwrap();
    assert_eq!(b.common_prefixes, [to_path("b/"), Path::from("b/d")]);
    let below: Vec<_> = served.store.list(Some(&to_path("b/"))).try_collect().await.unwrap();
    assert_eq!(below.iter().map(|meta| to_key(&meta.location)).collect::<Vec<_>>(), ["b//c"]);
}

#[tokio::test]
async fn a_listing_may_outlive_its_store() {
    let served = serve().await;
    served.store.put(&some_path(), "x".into()).await.unwrap();
    let store = S3Store::at(BUCKET, &served.server.endpoint(), credentials_of(SECRET_KEY)).unwrap();

    let listing = store.list(None);
    drop(store);

    let listed = tokio::spawn(listing.try_collect::<Vec<_>>()).await.unwrap().unwrap();
    assert_eq!(listed.len(), 1);
}
