//! Buckets.
//!
//! Invariant: a bucket is removed only if it is empty, checked in the transaction that removes it.

use std::time::{Duration, UNIX_EPOCH};

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Service;
use crate::store::committer::Applied;
use crate::store::now_ms;
use crate::store::records::BucketRecord;

impl Service {
    pub(super) async fn on_create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = request.input.bucket;
        let location = Some(format!("/{bucket}"));
        self.store
            .change(move |tables| {
                if tables.bucket(&bucket).is_ok() {
                    return Err(s3_error!(BucketAlreadyOwnedByYou, "bucket {bucket:?} already exists"));
                }
                tables.put_bucket(&bucket, &BucketRecord { created_ms: now_ms() })?;
                Ok(Applied::value(()))
            })
            .await?;
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    pub(super) async fn on_head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.require_bucket(request.input.bucket).await?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    pub(super) async fn on_delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let bucket = request.input.bucket;
        let remove = move |tables: &mut crate::store::tables::WriteTables<'_>| {
            tables.remove_bucket(&bucket)?;
            Ok(Applied::value(()))
        };
        self.store.change(remove).await?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    pub(super) async fn on_list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let prefix = request.input.prefix.clone().unwrap_or_default();
        let buckets = self.store.read(|tables| tables.all_buckets()).await?;
        let buckets = buckets
            .into_iter()
            .filter(|(name, _)| name.starts_with(&prefix))
            .map(|(name, record)| Bucket {
                name: Some(name),
                creation_date: Some(Timestamp::from(UNIX_EPOCH + Duration::from_millis(record.created_ms))),
                bucket_region: None,
            })
            .collect();
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets),
            prefix: request.input.prefix,
            ..Default::default()
        }))
    }
}
