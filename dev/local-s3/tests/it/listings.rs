//! Listings: order, pages, prefixes, and what they cost.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;

use crate::support::{BUCKET, Fixture, refusal};

fn keys(page: &ListObjectsV2Output) -> Vec<&str> {
    page.contents().iter().filter_map(|object| object.key()).collect()
}

fn prefixes(page: &ListObjectsV2Output) -> Vec<&str> {
    page.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect()
}

#[tokio::test]
async fn keys_come_in_byte_order() {
    let s3 = Fixture::start().await;
    s3.put_all(["b", "a/b", "a", "a.b", "Z", "ä", "a b", "𝄞", "\u{ffee}"]).await;
    let page = s3.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(keys(&page), ["Z", "a", "a b", "a.b", "a/b", "b", "ä", "\u{ffee}", "𝄞"]);
    assert_eq!((page.key_count(), page.is_truncated()), (Some(9), Some(false)));
}

#[tokio::test]
async fn eleven_hundred_keys_come_in_two_pages() {
    let s3 = Fixture::start().await;
    let expected: Vec<_> = (0..1100).map(|number| format!("k/{number:05}")).collect();
    s3.put_all(&expected).await;
    let before = s3.server.requests();
    let mut pages = s3.client.list_objects_v2().bucket(BUCKET).into_paginator().send();
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await {
        listed.extend(keys(&page.unwrap()).into_iter().map(str::to_owned));
    }
    assert_eq!(listed, expected);
    assert_eq!(s3.server.requests().since(&before).get("ListObjectsV2"), 2);

    let first = s3.client.list_objects().bucket(BUCKET).send().await.unwrap();
    let marker = first.contents().last().unwrap().key().unwrap();
    let second = s3.client.list_objects().bucket(BUCKET).marker(marker).send().await.unwrap();
    assert_eq!((first.is_truncated(), first.contents().len()), (Some(true), 1000));
    assert_eq!((second.is_truncated(), second.contents().len()), (Some(false), 100));
}

#[tokio::test]
async fn start_after_skips_what_sorts_before() {
    let s3 = Fixture::start().await;
    s3.put_all(["a", "b", "b/1", "c"]).await;
    let list = || s3.client.list_objects_v2().bucket(BUCKET);
    assert_eq!(keys(&list().start_after("b").send().await.unwrap()), ["b/1", "c"]);
    assert_eq!(keys(&list().start_after("aa").send().await.unwrap()), ["b", "b/1", "c"]);
    assert_eq!(keys(&list().prefix("b").start_after("a").send().await.unwrap()), ["b", "b/1"]);
    assert!(keys(&list().prefix("b").start_after("c").send().await.unwrap()).is_empty());
    assert!(keys(&list().start_after("z").send().await.unwrap()).is_empty());
}

#[tokio::test]
async fn a_delimiter_rolls_keys_up() {
    let s3 = Fixture::start().await;
    s3.put_all(["a", "dir/", "dir/1", "dir/2", "dir/sub/3", "other/4", "z"]).await;
    let list = || s3.client.list_objects_v2().bucket(BUCKET).delimiter("/");
    let top = list().send().await.unwrap();
    assert_eq!((keys(&top), prefixes(&top)), (vec!["a", "z"], vec!["dir/", "other/"]));
    assert_eq!(top.key_count(), Some(4));
    let dir = list().prefix("dir/").send().await.unwrap();
    assert_eq!((keys(&dir), prefixes(&dir)), (vec!["dir/", "dir/1", "dir/2"], vec!["dir/sub/"]));
    let long = s3.client.list_objects_v2().bucket(BUCKET).delimiter("r/").send().await.unwrap();
    assert_eq!(prefixes(&long), ["dir/", "other/"]);
}

#[tokio::test]
async fn pages_of_one_entry_give_every_entry_once() {
    let s3 = Fixture::start().await;
    s3.put_all(["a", "dir/1", "dir/2", "dir0", "other/1", "z"]).await;
    let mut pages = s3.client.list_objects_v2().bucket(BUCKET).delimiter("/").max_keys(1).into_paginator().send();
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        listed.extend(keys(&page).into_iter().chain(prefixes(&page)).map(str::to_owned));
    }
    assert_eq!(listed, ["a", "dir/", "dir0", "other/", "z"]);

    let (mut listed, mut marker) = (Vec::new(), String::new());
    loop {
        let list = s3.client.list_objects().bucket(BUCKET).delimiter("/").max_keys(1).marker(&marker);
        let page = list.send().await.unwrap();
        listed.extend(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned));
        listed.extend(page.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).map(str::to_owned));
        match page.next_marker() {
            Some(next) => marker = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(listed, ["a", "dir/", "dir0", "other/", "z"]);
}

#[tokio::test]
async fn a_page_of_nothing_is_empty_and_a_negative_one_refused() {
    let s3 = Fixture::start().await;
    s3.put_all(["a"]).await;
    let list = || s3.client.list_objects_v2().bucket(BUCKET);
    let page = list().max_keys(0).send().await.unwrap();
    assert_eq!((page.contents().len(), page.is_truncated()), (0, Some(false)));
    assert_eq!(refusal(list().max_keys(-1).send().await), (400, "InvalidArgument".to_owned()));
    let token = list().continuation_token("not base64 !").send().await;
    assert_eq!(refusal(token), (400, "InvalidArgument".to_owned()));
}

#[tokio::test]
async fn url_encoding_carries_every_key() {
    let s3 = Fixture::start().await;
    s3.put_all(["a b+c/ü%2F\u{1}"]).await;
    let list = s3.client.list_objects_v2().bucket(BUCKET).encoding_type(EncodingType::Url).prefix("a b");
    let page = list.send().await.unwrap();
    assert_eq!(keys(&page), ["a%20b%2Bc/%C3%BC%252F%01"]);
    assert_eq!(page.prefix(), Some("a%20b"));
}

#[tokio::test]
async fn a_listing_page_costs_its_page_not_the_bucket() {
    let s3 = Fixture::start().await;
    s3.put_all((0..300).map(|number| format!("deep/{:03}/{number:04}", number / 100))).await;
    s3.put_all((0..50).map(|number| format!("top-{number:02}"))).await;
    let list = || s3.client.list_objects_v2().bucket(BUCKET);

    let before = s3.server.index_entries_visited();
    let page = list().start_after("deep/001/0150").max_keys(10).send().await.unwrap();
    assert_eq!(page.contents().len(), 10);
    assert_eq!(s3.server.index_entries_visited() - before, 11);

    // Below a common prefix the listing seeks: 300 keys cost one entry.
    let before = s3.server.index_entries_visited();
    let page = list().delimiter("/").send().await.unwrap();
    assert_eq!((prefixes(&page), page.contents().len()), (vec!["deep/"], 50));
    assert_eq!(s3.server.index_entries_visited() - before, 51);

    let before = s3.server.index_entries_visited();
    let page = list().delimiter("/").prefix("deep/").send().await.unwrap();
    assert_eq!(prefixes(&page), ["deep/000/", "deep/001/", "deep/002/"]);
    assert_eq!(s3.server.index_entries_visited() - before, 4);
}
