//! Multipart uploads until they are completed or aborted.
//!
//! Invariant: the transaction that stores a part checks that its upload exists, so that no part outlives its upload.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};
use uuid::Uuid;

use super::Service;
use super::attributes::{attributes_of, checksums_of, tags_of_header};
use super::body::{self, Received, receive};
use super::conditions::{Conditions, modified_at};
use super::copies::source_of;
use super::digests::Claims;
use super::objects::check_key;
use crate::store::committer::Applied;
use crate::store::records::{PartRecord, UploadRecord};
use crate::store::{blocking, now_ms};

/// The largest part number; S3 counts from 1.
const PARTS_MAX: u32 = 10_000;

/// What every request names an upload by.
#[derive(Clone)]
pub(super) struct UploadName {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) id: String,
}

impl Service {
    pub(super) async fn on_create_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = &mut request.input;
        check_key(&input.key)?;
        let record = UploadRecord {
            initiated_ms: now_ms(),
            attributes: attributes_of!(input),
            tags: tags_of_header(input.tagging.as_deref())?,
        };
        let output = CreateMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            upload_id: Some(Uuid::new_v4().simple().to_string()),
            checksum_algorithm: input.checksum_algorithm.take(),
            checksum_type: input.checksum_type.take(),
            ..Default::default()
        };
        let (bucket, key) = (request.input.bucket, request.input.key);
        let id = output.upload_id.clone().unwrap_or_default();
        self.store
            .change(move |tables| {
                tables.bucket(&bucket)?;
                tables.put_upload(&bucket, &key, &id, &record)?;
                Ok(Applied::value(()))
            })
            .await?;
        Ok(S3Response::new(output))
    }

    pub(super) async fn on_upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = &mut request.input;
        let number = part_number(input.part_number)?;
        let claims = Claims { md5: input.content_md5.take(), checksums: checksums_of!(input), ..Default::default() };
        let claims = claims.with_headers(&request.headers, request.trailing_headers);
        let received = receive(self.store.blobs(), input.body.take(), claims, input.content_length).await?;
        let UploadPartInput { bucket, key, upload_id: id, .. } = request.input;
        let part = self.put_part(UploadName { bucket, key, id }, number, received).await?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(part.etag)),
            checksum_crc32: part.checksums.crc32,
            checksum_crc32c: part.checksums.crc32c,
            checksum_crc64nvme: part.checksums.crc64nvme,
            checksum_sha1: part.checksums.sha1,
            checksum_sha256: part.checksums.sha256,
            ..Default::default()
        }))
    }

    pub(super) async fn on_upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = request.input;
        let number = part_number(input.part_number)?;
        let (bucket, key) = source_of(&input.copy_source)?;
        let asked = input.copy_source_range.as_deref().map(copied_range).transpose()?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        }
        .or_empty(&request.headers, "x-amz-copy-source-if-match");
        let store = Arc::clone(&self.store);
        let received = blocking(move || {
            let (source, file) = store.with_blob((&bucket, &key), |blobs, id| blobs.read(id))?;
            conditions.check_copy_source(&source)?;
            let range = asked.unwrap_or(0..source.size);
            if range.end > source.size {
                let size = source.size;
                return Err(s3_error!(
                    InvalidArgument,
                    "Range specified is not valid for source object of size: {size}"
                ));
            }
            body::copy(store.blobs(), file, range)
        })
        .await?;
        let name = UploadName { bucket: input.bucket, key: input.key, id: input.upload_id };
        let part = self.put_part(name, number, received).await?;
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(CopyPartResult {
                last_modified: Some(modified_at(part.modified_ms)),
                e_tag: Some(ETag::Strong(part.etag)),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }

    async fn put_part(&self, name: UploadName, number: u32, received: Received) -> S3Result<PartRecord> {
        let record = PartRecord {
            blob: received.blob.id(),
            size: received.size,
            etag: received.digests.etag(),
            modified_ms: now_ms(),
            checksums: received.digests.checksums,
        };
        let blob = received.blob;
        self.store
            .change(move |tables| {
                tables.upload(&name.bucket, &name.key, &name.id)?;
                let replaced = tables.put_part(&name.id, number, &record)?;
                Ok(Applied {
                    value: record,
                    adopted: Some(blob),
                    released: replaced.into_iter().map(|part| part.blob).collect(),
                })
            })
            .await
    }

    pub(super) async fn on_abort_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let AbortMultipartUploadInput { bucket, key, upload_id, .. } = request.input;
        self.store
            .change(move |tables| {
                tables.upload(&bucket, &key, &upload_id)?;
                let removed = tables.remove_upload(&bucket, &key, &upload_id)?;
                Ok(Applied { value: (), adopted: None, released: removed.into_iter().map(|part| part.blob).collect() })
            })
            .await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

/// The range of an `x-amz-copy-source-range`. Unlike that of a read it has both ends, and S3 does not shorten it.
fn copied_range(header: &str) -> S3Result<std::ops::Range<u64>> {
    let ends = match Range::parse(header) {
        Ok(Range::Int { first, last: Some(last) }) => last.checked_add(1).map(|end| first..end),
        _ => None,
    };
    ends.ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
             zero-based offsets of the first and last bytes to copy"
        )
    })
}

/// A part number within S3's bounds.
pub(super) fn part_number(number: i32) -> S3Result<u32> {
    u32::try_from(number)
        .ok()
        .filter(|number| (1..=PARTS_MAX).contains(number))
        .ok_or_else(|| s3_error!(InvalidArgument, "part number {number} is not between 1 and {PARTS_MAX}"))
}
