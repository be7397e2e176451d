//! The listing of versions, as S3 answers it for a bucket that was never versioned.
//!
//! Invariant: each object is its own newest and only version, with the id `null`, in the order and the pages of a plain
//! listing.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Service;
use super::conditions::modified;
use super::listings::{Encoder, entries_max, owner, query, start_at_marker};
use super::objects::signed;
use crate::store::listing::Start;
use crate::store::records::ObjectRecord;

/// The id of the one version of an object.
const VERSION_ID: &str = "null";

impl Service {
    pub(super) async fn on_list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = request.input;
        check_version_marker(&input)?;
        let encode = Encoder::new(input.encoding_type.as_ref());
        let entries_max = entries_max(input.max_keys)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let start = start_at_marker(input.key_marker.as_deref(), &prefix, input.delimiter.as_deref());
        let page = self
            .store
            .page(query(&input.bucket, Some(&prefix), input.delimiter.as_deref(), start, entries_max))
            .await?;
        let (next_key, next_version) = match page.next {
            None => (None, None),
            Some(Start::AfterKey(key)) => (Some(encode.text(key)), Some(VERSION_ID.to_owned())),
            Some(Start::AfterPrefix(prefix)) => (Some(encode.text(prefix)), None),
        };
        Ok(S3Response::new(ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: Some(encode.text(prefix)),
            delimiter: input.delimiter.map(|text| encode.text(text)),
            key_marker: Some(encode.text(input.key_marker.unwrap_or_default())),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            max_keys: Some(entries_max),
            is_truncated: Some(next_key.is_some()),
            next_key_marker: next_key,
            next_version_id_marker: next_version,
            versions: Some(page.objects.into_iter().map(|object| version(object, encode)).collect()),
            common_prefixes: Some(encode.prefixes(page.common_prefixes)),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }
}

/// Whether the version at which to go on can exist. An object has one, so that the next page begins after its key.
fn check_version_marker(input: &ListObjectVersionsInput) -> S3Result<()> {
    let marker = input.version_id_marker.as_deref().filter(|marker| !marker.is_empty());
    match (marker, input.key_marker.as_deref().filter(|marker| !marker.is_empty())) {
        (Some(_), None) => {
            Err(s3_error!(InvalidArgument, "A version-id marker cannot be specified without a key marker."))
        }
        (Some(marker), _) if marker != VERSION_ID => Err(super::no_such_version(marker)),
        _ => Ok(()),
    }
}

fn version((key, record): (String, ObjectRecord), encode: Encoder) -> ObjectVersion {
    ObjectVersion {
        key: Some(encode.text(key)),
        version_id: Some(VERSION_ID.to_owned()),
        is_latest: Some(true),
        last_modified: Some(modified(&record)),
        size: Some(signed(record.size)),
        e_tag: Some(ETag::Strong(record.etag)),
        storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
        owner: Some(owner()),
        ..Default::default()
    }
}
