//! One object in several parts.
//!
//! Knows S3's multipart uploads. Knows nothing about part sizes: the caller sends all but the last with 5 MiB or more.
//! Invariant: the object appears at completion or not at all. A dropped upload leaves its parts for the bucket's
//! lifecycle rule; S3 has no other way to clean them up without a request.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::FutureExt;
use object_store::{
    Error, MultipartId, MultipartUpload, PutMultipartOptions, PutPayload, PutResult, Result, UploadPart,
    multipart::{MultipartStore, PartId},
    path::Path,
};

use super::{Bucket, S3Store, attributes::WithAttributes, connect::timeouts_for, key::to_key};

/// An upload in progress.
#[derive(Debug)]
pub(super) struct Upload {
    bucket: Arc<Bucket>,
    location: Path,
    id: MultipartId,
    /// What S3 returned for each part, in the order of the object; `None` while a part is being sent.
    parts: Arc<Mutex<Vec<Option<PartId>>>>,
}

impl Upload {
    pub(super) async fn start(bucket: &Arc<Bucket>, location: &Path, options: PutMultipartOptions) -> Result<Self> {
        let id = bucket.create_upload(location, options).await?;
        Ok(Self { bucket: Arc::clone(bucket), location: location.clone(), id, parts: Arc::default() })
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let parts = Arc::clone(&self.parts);
        let index = {
            let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
            parts.push(None);
            parts.len() - 1
        };
        let (bucket, location, id) = (Arc::clone(&self.bucket), self.location.clone(), self.id.clone());
        async move {
            let part = bucket.upload_part(&location, &id, index, payload.into()).await?;
            parts.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(part);
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts: Option<Vec<PartId>> =
            self.parts.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        let Some(parts) = parts else {
            return Err(self.bucket.doing("complete upload to", &self.location).other("a part was not uploaded"));
        };
        self.bucket.complete_upload(&self.location, &self.id, parts).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.bucket.abort_upload(&self.location, &self.id).await
    }
}

#[async_trait]
impl MultipartStore for S3Store {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.bucket.create_upload(path, PutMultipartOptions::default()).await
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, index: usize, payload: PutPayload) -> Result<PartId> {
        self.bucket.upload_part(path, id, index, payload.into()).await
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, parts: Vec<PartId>) -> Result<PutResult> {
        self.bucket.complete_upload(path, id, parts).await
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        self.bucket.abort_upload(path, id).await
    }
}

impl Bucket {
    async fn create_upload(&self, location: &Path, options: PutMultipartOptions) -> Result<MultipartId> {
        let doing = self.doing("start upload to", location);
        let request = self.client.create_multipart_upload().bucket(&self.name).key(to_key(location));
        let request = request.with_attributes(&options.attributes, options.tags.encoded())?;
        let created = request.send().await.map_err(|error| doing.failed(error))?;
        created.upload_id.ok_or_else(|| doing.other("the response has no upload id"))
    }

    async fn upload_part(&self, location: &Path, id: &str, index: usize, body: Bytes) -> Result<PartId> {
        let doing = self.doing("upload part of", location);
        let timeouts = timeouts_for(body.len());
        let request = self.client.upload_part().bucket(&self.name).key(to_key(location)).upload_id(id);
        let request = request.part_number(number(index)).body(body.into()).customize().config_override(timeouts);
        let uploaded = request.send().await.map_err(|error| doing.failed(error))?;
        let e_tag = uploaded.e_tag().ok_or_else(|| doing.other("the response has no ETag"))?;
        Ok(PartId { content_id: format!("{e_tag} {}", uploaded.checksum_crc32().unwrap_or_default()) })
    }

    async fn complete_upload(&self, location: &Path, id: &str, mut parts: Vec<PartId>) -> Result<PutResult> {
        let doing = self.doing("complete upload to", location);
        if parts.is_empty() {
            // S3 does not complete an upload without parts, but accepts an empty part.
            parts.push(self.upload_part(location, id, 0, Bytes::new()).await?);
        }
        let parts = parts.iter().enumerate().map(|(index, part)| completed(index, part)).collect();
        let upload = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.name).key(to_key(location)).upload_id(id);
        match request.multipart_upload(upload).send().await.map_err(|error| doing.failed(error)) {
            Ok(completed) => Ok(PutResult { e_tag: completed.e_tag, version: completed.version_id }),
            // An upload is gone once it is complete: an earlier try may have completed it, and its response was lost.
            Err(error @ Error::NotFound { .. }) => Err(doing.in_doubt(doing.broken_off(error))),
            Err(error) => Err(doing.in_doubt(error)),
        }
    }

    async fn abort_upload(&self, location: &Path, id: &str) -> Result<()> {
        let doing = self.doing("abort upload to", location);
        let request = self.client.abort_multipart_upload().bucket(&self.name).key(to_key(location)).upload_id(id);
        match request.send().await.map_err(|error| doing.failed(error)) {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// S3 counts parts from 1.
fn number(index: usize) -> i32 {
    i32::try_from(index + 1).unwrap_or(i32::MAX)
}

/// A part as a completion names it: S3 wants its checksum again if the upload has one.
fn completed(index: usize, part: &PartId) -> CompletedPart {
    let (e_tag, checksum) = part.content_id.split_once(' ').unwrap_or((&part.content_id, ""));
    let checksum = Some(checksum.to_owned()).filter(|checksum| !checksum.is_empty());
    CompletedPart::builder().part_number(number(index)).e_tag(e_tag).set_checksum_crc32(checksum).build()
}
