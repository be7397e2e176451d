//! The listing of versions: each object has one.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::EncodingType;

use crate::support::{BUCKET, Fixture, refusal};

fn keys(page: &ListObjectVersionsOutput) -> Vec<&str> {
    page.versions().iter().filter_map(|version| version.key()).collect()
}

fn prefixes(page: &ListObjectVersionsOutput) -> Vec<&str> {
    page.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect()
}

#[tokio::test]
async fn every_object_is_its_only_version() {
    let s3 = Fixture::start().await;
    let put = s3.put("a", b"12345").send().await.unwrap();
    s3.put("a", b"123").send().await.unwrap();
    s3.put_all(["b c"]).await;
    let page = s3.client.list_object_versions().bucket(BUCKET).send().await.unwrap();
    assert_eq!(keys(&page), ["a", "b c"]);
    assert!(page.versions().iter().all(|version| version.version_id() == Some("null")));
    assert!(page.versions().iter().all(|version| version.is_latest() == Some(true)));
    assert_eq!(page.versions()[0].size(), Some(3));
    assert_ne!(page.versions()[0].e_tag(), put.e_tag());
    assert_eq!((page.is_truncated(), page.delete_markers().len()), (Some(false), 0));
    let encoded = s3.client.list_object_versions().bucket(BUCKET).prefix("b ").encoding_type(EncodingType::Url);
    assert_eq!(keys(&encoded.send().await.unwrap()), ["b%20c"]);
    let absent = s3.client.list_object_versions().bucket("absent").send().await;
    assert_eq!(refusal(absent), (404, "NoSuchBucket".to_owned()));
}

/// A client empties a bucket like this.
#[tokio::test]
async fn pages_of_versions_give_every_object_once_and_each_can_be_deleted() {
    let s3 = Fixture::start().await;
    let all = ["a", "dir/1", "dir/2", "dir0", "other/1", "z"];
    s3.put_all(all).await;
    let (mut listed, mut key, mut id) = (Vec::new(), None, None);
    loop {
        let list = s3.client.list_object_versions().bucket(BUCKET).max_keys(2);
        let page = list.set_key_marker(key).set_version_id_marker(id).send().await.unwrap();
        listed.extend(page.versions().iter().map(|version| (version.key.clone(), version.version_id.clone())));
        (key, id) = (page.next_key_marker, page.next_version_id_marker);
        if page.is_truncated != Some(true) {
            break;
        }
    }
    assert_eq!(listed.iter().filter_map(|(key, _)| key.as_deref()).collect::<Vec<_>>(), all);
    for (key, id) in listed {
        s3.client.delete_object().bucket(BUCKET).set_key(key).set_version_id(id).send().await.unwrap();
    }
    s3.client.delete_bucket().bucket(BUCKET).send().await.unwrap();
}

#[tokio::test]
async fn a_delimiter_rolls_versions_up_page_by_page() {
    let s3 = Fixture::start().await;
    s3.put_all(["a", "dir/1", "dir/2", "dir0", "other/1", "z"]).await;
    let (mut listed, mut marker) = (Vec::new(), None);
    loop {
        let list = s3.client.list_object_versions().bucket(BUCKET).delimiter("/").max_keys(1);
        let page = list.set_key_marker(marker).send().await.unwrap();
        listed.extend(keys(&page).into_iter().chain(prefixes(&page)).map(str::to_owned));
        match page.next_key_marker {
            Some(next) => marker = Some(next),
            None => break,
        }
    }
    assert_eq!(listed, ["a", "dir/", "dir0", "other/", "z"]);
}

#[tokio::test]
async fn a_marker_that_no_listing_gave_is_refused() {
    let s3 = Fixture::start().await;
    let list = || s3.client.list_object_versions().bucket(BUCKET);
    let without_key = list().version_id_marker("null").send().await;
    assert_eq!(refusal(without_key), (400, "InvalidArgument".to_owned()));
    let unknown = list().key_marker("a").version_id_marker("unknown").send().await;
    assert_eq!(refusal(unknown), (400, "InvalidArgument".to_owned()));
    assert_eq!(refusal(list().max_keys(-1).send().await), (400, "InvalidArgument".to_owned()));
}
