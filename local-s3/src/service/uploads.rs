//! Multipart uploads.
//!
//! Invariant: the parts named by a completion become one blob before anything is visible; the object
//! appears, and the upload with its parts disappears, in one step of the index.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};
use uuid::Uuid;

use super::Service;
use super::attributes::{attributes_of, checksums_of, tags_of_header};
use super::body::{self, Received, receive};
use super::conditions::{Conditions, modified_at};
use super::copies::source_of;
use super::digests::{Claims, multipart_etag};
use super::objects::{check_key, range_of, replace_object};
use crate::store::blobs::PendingBlob;
use crate::store::committer::Applied;
use crate::store::records::{Checksums, ObjectRecord, PartRecord, UploadRecord};
use crate::store::{blocking, internal, now_ms};

/// S3 numbers parts from 1 to this.
const PARTS_MAX: u32 = 10_000;
/// A part but the last has at least this many bytes, as on S3.
const PART_BYTES_MIN: u64 = 5 << 20;

/// Names an upload as every request about it does.
#[derive(Clone)]
struct UploadName {
    bucket: String,
    key: String,
    id: String,
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
        let asked = input.copy_source_range.as_deref().map(Range::parse).transpose();
        let asked =
            asked.map_err(|_| s3_error!(InvalidArgument, "x-amz-copy-source-range is not of the form bytes=0-9"))?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        let store = Arc::clone(&self.store);
        let received = blocking(move || {
            let (source, file) = store.with_blob((&bucket, &key), |blobs, id| blobs.read(id))?;
            conditions.check_copy_source(&source)?;
            body::copy(store.blobs(), file, range_of(&source, asked)?)
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

    pub(super) async fn on_complete_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = &mut request.input;
        let conditions = Conditions {
            if_match: input.if_match.take(),
            if_none_match: input.if_none_match.take(),
            ..Default::default()
        };
        let checksums = claimed_checksums(checksums_of!(input));
        let listed = input.multipart_upload.take().and_then(|upload| upload.parts).unwrap_or_default();
        let CompleteMultipartUploadInput { bucket, key, upload_id: id, .. } = request.input;
        let name = UploadName { bucket, key, id };

        let wanted = name.clone();
        let (upload, parts) = self
            .store
            .read(move |tables| {
                let upload = tables.upload(&wanted.bucket, &wanted.key, &wanted.id)?;
                Ok((upload, select_parts(&listed, tables.parts_of(&wanted.id)?)?))
            })
            .await?;
        let (blob, checksums) = self.join_parts(&parts, checksums).await?;
        let etag = multipart_etag(parts.iter().map(|(_, part)| part.etag.as_str()))
            .ok_or_else(|| s3_error!(InternalError, "the index holds a part without an MD5"))?;
        let record = ObjectRecord {
            blob: blob.id(),
            size: parts.iter().map(|(_, part)| part.size).sum(),
            etag: etag.clone(),
            modified_ms: now_ms(),
            attributes: upload.attributes,
            tags: upload.tags,
            checksums,
        };
        let output = CompleteMultipartUploadOutput {
            bucket: Some(name.bucket.clone()),
            key: Some(name.key.clone()),
            location: Some(format!("/{}/{}", name.bucket, name.key)),
            e_tag: Some(ETag::Strong(etag)),
            ..Default::default()
        };
        self.publish(name, parts, conditions, (record, blob)).await?;
        Ok(S3Response::new(output))
    }

    /// Joins the parts into one blob, and verifies it when the client claims digests of the whole.
    async fn join_parts(
        &self,
        parts: &[(u32, PartRecord)],
        checksums: Checksums,
    ) -> S3Result<(PendingBlob, Checksums)> {
        let blobs = Arc::clone(self.store.blobs());
        let ids: Vec<_> = parts.iter().map(|(_, part)| part.blob).collect();
        let size = parts.iter().map(|(_, part)| part.size).sum();
        blocking(move || {
            let joined = blobs.join(&ids).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    s3_error!(NoSuchUpload, "the upload was completed or aborted meanwhile")
                }
                _ => internal("joining the parts of an upload")(error),
            })?;
            if checksums != Checksums::default() {
                let claims = Claims { checksums: checksums.clone(), ..Default::default() };
                let file = blobs.read(joined.id()).map_err(internal("opening a blob"))?;
                claims.verify(&body::digest(file, size, &claims)?)?;
            }
            Ok((joined, checksums))
        })
        .await
    }

    async fn publish(
        &self,
        name: UploadName,
        parts: Vec<(u32, PartRecord)>,
        conditions: Conditions,
        object: (ObjectRecord, PendingBlob),
    ) -> S3Result<ObjectRecord> {
        self.store
            .change(move |tables| {
                tables.upload(&name.bucket, &name.key, &name.id)?;
                let stored = tables.parts_of(&name.id)?;
                if !parts.iter().all(|part| stored.contains(part)) {
                    return Err(s3_error!(InvalidPart, "a part was uploaded again meanwhile: complete again"));
                }
                let mut applied = replace_object(tables, (&name.bucket, &name.key), &conditions, object)?;
                let removed = tables.remove_upload(&name.bucket, &name.key, &name.id)?;
                applied.released.extend(removed.into_iter().map(|part| part.blob));
                Ok(applied)
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

fn part_number(number: i32) -> S3Result<u32> {
    u32::try_from(number)
        .ok()
        .filter(|number| (1..=PARTS_MAX).contains(number))
        .ok_or_else(|| s3_error!(InvalidArgument, "part number {number} is not between 1 and {PARTS_MAX}"))
}

/// The digests of the whole object a completion claims; those of the form `…-N` are digests of the
/// parts' digests, which were verified part by part, and are not kept.
fn claimed_checksums(mut checksums: Checksums) -> Checksums {
    let all = [
        &mut checksums.crc32,
        &mut checksums.crc32c,
        &mut checksums.crc64nvme,
        &mut checksums.sha1,
        &mut checksums.sha256,
    ];
    for checksum in all {
        if checksum.as_ref().is_some_and(|value| value.contains('-')) {
            *checksum = None;
        }
    }
    checksums
}

/// The stored parts a completion lists, in its order.
fn select_parts(listed: &[CompletedPart], stored: Vec<(u32, PartRecord)>) -> S3Result<Vec<(u32, PartRecord)>> {
    let numbers: Vec<_> = listed.iter().map(|part| part.part_number.unwrap_or_default()).collect();
    if numbers.is_empty() {
        return Err(s3_error!(MalformedXML, "a completion lists at least one part"));
    }
    if !numbers.is_sorted_by(|earlier, later| earlier < later) {
        return Err(s3_error!(InvalidPartOrder, "the parts are not listed by ascending number"));
    }
    let mut stored: std::collections::HashMap<_, _> = stored.into_iter().collect();
    let mut selected = Vec::with_capacity(listed.len());
    for (part, number) in listed.iter().zip(numbers) {
        let number = part_number(number)?;
        let etag = part.e_tag.as_ref().map(ETag::value);
        match stored.remove(&number).filter(|record| etag.is_none_or(|etag| etag == record.etag)) {
            Some(record) => selected.push((number, record)),
            None => return Err(s3_error!(InvalidPart, "part {number} was not uploaded, or with another ETag")),
        }
    }
    let all_but_last = &selected[..selected.len() - 1];
    if let Some((number, part)) = all_but_last.iter().find(|(_, part)| part.size < PART_BYTES_MIN) {
        let size = part.size;
        return Err(s3_error!(
            EntityTooSmall,
            "part {number} has {size} bytes; all but the last need {PART_BYTES_MIN}"
        ));
    }
    Ok(selected)
}
