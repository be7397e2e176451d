//! Copies of objects within the server.
//!
//! Invariant: a copy may share the blob's storage, if the file system has hard links, but never its id: no two records
//! own the same blob.

use std::collections::BTreeMap;
use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::{attributes_of, tags_of_header};
use super::conditions::{Conditions, modified};
use super::objects::{check_key, replace_object};
use super::{Service, faults, no_such_version};
use crate::notify::Cause;
use crate::store::records::{Attributes, ObjectRecord};
use crate::store::{blocking, now_ms};

/// The bucket and key a copy reads from.
pub(super) fn source_of(source: &CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { version_id: Some(id), .. } if **id != *"null" => Err(no_such_version(id)),
        CopySource::Bucket { bucket, key, .. } => Ok((bucket.to_string(), key.to_string())),
        _ => Err(s3_error!(NotImplemented, "the copy source is not bucket/key; access points are not supported")),
    }
}

/// One requested copy.
struct Copy {
    source: (String, String),
    source_conditions: Conditions,
    bucket: String,
    key: String,
    conditions: Conditions,
    /// Replaces the source's attributes, as `tags` replaces its tags.
    attributes: Option<Attributes>,
    tags: Option<BTreeMap<String, String>>,
}

impl Service {
    pub(super) async fn on_copy_object(
        &self,
        mut request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = &mut request.input;
        check_key(&input.key)?;
        let replaces = |directive: Option<&str>| directive == Some("REPLACE");
        let new_attributes = replaces(input.metadata_directive.as_ref().map(MetadataDirective::as_str));
        let new_tags = replaces(input.tagging_directive.as_ref().map(TaggingDirective::as_str));
        let copy = Copy {
            source: source_of(&input.copy_source)?,
            source_conditions: Conditions {
                if_match: input.copy_source_if_match.take(),
                if_none_match: input.copy_source_if_none_match.take(),
                if_modified_since: input.copy_source_if_modified_since.take(),
                if_unmodified_since: input.copy_source_if_unmodified_since.take(),
            }
            .or_empty(&request.headers, "x-amz-copy-source-if-match"),
            conditions: faults::heeded_of(&request.extensions, Conditions::of_write(&request.headers)?),
            attributes: new_attributes.then(|| attributes_of!(input)),
            tags: new_tags.then(|| tags_of_header(input.tagging.as_deref())).transpose()?,
            bucket: request.input.bucket,
            key: request.input.key,
        };
        let place = (copy.bucket.clone(), copy.key.clone());
        let record = self.copy(copy).await?;
        self.announce(Cause::Copy, place, &record);
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(CopyObjectResult {
                last_modified: Some(modified(&record)),
                e_tag: Some(ETag::Strong(record.etag)),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }

    async fn copy(&self, copy: Copy) -> S3Result<ObjectRecord> {
        if copy.source.0 == copy.bucket && copy.source.1 == copy.key && copy.attributes.is_none() && copy.tags.is_none()
        {
            return Err(s3_error!(InvalidRequest, "a copy onto itself must replace the metadata or the tags"));
        }
        let store = Arc::clone(&self.store);
        let (bucket, key) = copy.source;
        let (source, blob) =
            blocking(move || store.with_blob((&bucket, &key), |blobs, id| blobs.duplicate(id))).await?;
        copy.source_conditions.check_copy_source(&source)?;
        let record = ObjectRecord {
            blob: blob.id(),
            modified_ms: now_ms(),
            attributes: copy.attributes.unwrap_or(source.attributes),
            tags: copy.tags.unwrap_or(source.tags),
            ..source
        };
        let (bucket, key, conditions) = (copy.bucket, copy.key, copy.conditions);
        self.store.change(move |tables| replace_object(tables, (&bucket, &key), &conditions, (record, blob))).await
    }
}
