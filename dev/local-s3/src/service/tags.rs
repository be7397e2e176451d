//! Tags of objects.
//!
//! Invariant: changing an object's tags does not change its bytes, its ETag or its date.

use std::collections::BTreeMap;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::Service;
use super::attributes::tags_of_set;
use crate::store::committer::Applied;

impl Service {
    pub(super) async fn on_get_tags(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let GetObjectTaggingInput { bucket, key, .. } = request.input;
        let record = self.store.read(move |tables| tables.object(&bucket, &key)).await?;
        let tag = |(key, value)| Tag { key: Some(key), value: Some(value) };
        Ok(S3Response::new(GetObjectTaggingOutput {
            tag_set: record.tags.into_iter().map(tag).collect(),
            version_id: None,
        }))
    }

    pub(super) async fn on_put_tags(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let PutObjectTaggingInput { bucket, key, tagging, .. } = request.input;
        self.set_tags(bucket, key, tags_of_set(tagging.tag_set)).await?;
        Ok(S3Response::new(PutObjectTaggingOutput::default()))
    }

    pub(super) async fn on_delete_tags(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let DeleteObjectTaggingInput { bucket, key, .. } = request.input;
        self.set_tags(bucket, key, BTreeMap::new()).await?;
        let mut response = S3Response::new(DeleteObjectTaggingOutput::default());
        response.status = Some(http::StatusCode::NO_CONTENT);
        Ok(response)
    }

    async fn set_tags(&self, bucket: String, key: String, tags: BTreeMap<String, String>) -> S3Result<()> {
        self.store
            .change(move |tables| {
                let mut record = tables.object(&bucket, &key)?;
                record.tags = tags;
                tables.put_object(&bucket, &key, &record)?;
                Ok(Applied::value(()))
            })
            .await
    }
}
