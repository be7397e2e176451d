//! The completion of a multipart upload.
//!
//! Invariant: the listed parts become one blob before anything is visible; then one transaction of the index creates
//! the object, removes the upload with all its parts, and remembers the answer for a client that did not get it.

use std::collections::HashMap;
use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::attributes::checksums_of;
use super::body;
use super::conditions::Conditions;
use super::digests::{Claims, multipart_etag};
use super::objects::replace_object;
use super::uploads::{UploadName, part_number};
use super::{Service, faults};
use crate::notify::Cause;
use crate::store::blobs::PendingBlob;
use crate::store::records::{Checksums, CompletionRecord, ObjectRecord, PartRecord};
use crate::store::{blocking, internal, now_ms};

/// Every part but the last must have at least this many bytes, as on S3.
const PART_BYTES_MIN: u64 = 5 << 20;

impl Service {
    pub(super) async fn on_complete_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = &mut request.input;
        let conditions = faults::heeded_of(&request.extensions, Conditions::of_write(&request.headers)?);
        let checksums = claimed_checksums(checksums_of!(input));
        let listed = input.multipart_upload.take().and_then(|upload| upload.parts).unwrap_or_default();
        let CompleteMultipartUploadInput { bucket, key, upload_id: id, .. } = request.input;
        let name = UploadName { bucket, key, id };

        let etag = match self.complete(name.clone(), listed.clone(), conditions, checksums).await {
            // Completed before, or by another request at the same time: the answer may have been lost.
            Err(error) if *error.code() == S3ErrorCode::NoSuchUpload => {
                self.completed_before(name.clone(), listed).await?.ok_or(error)?
            }
            completed => completed?,
        };
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", name.bucket, name.key)),
            bucket: Some(name.bucket),
            key: Some(name.key),
            e_tag: Some(ETag::Strong(etag)),
            ..Default::default()
        }))
    }

    /// Makes the object of the listed parts. Returns its ETag.
    async fn complete(
        &self,
        name: UploadName,
        listed: Vec<CompletedPart>,
        conditions: Conditions,
        checksums: Checksums,
    ) -> S3Result<String> {
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
            .ok_or_else(|| s3_error!(InternalError, "the index has a part without an MD5"))?;
        let record = ObjectRecord {
            blob: blob.id(),
            size: parts.iter().map(|(_, part)| part.size).sum(),
            etag,
            modified_ms: now_ms(),
            attributes: upload.attributes,
            tags: upload.tags,
            checksums,
        };
        let place = (name.bucket.clone(), name.key.clone());
        let record = self.publish(name, parts, conditions, (record, blob)).await?;
        self.announce(Cause::CompleteMultipartUpload, place, &record);
        Ok(record.etag)
    }

    /// The ETag of an earlier completion of the same parts, if it is remembered. As on S3, it does not matter what has
    /// become of the object since, nor do conditions: the first completion met them.
    async fn completed_before(&self, name: UploadName, listed: Vec<CompletedPart>) -> S3Result<Option<String>> {
        let etags = listed.iter().map(|part| part.e_tag.as_ref().map_or("", ETag::value));
        let Some(same) = multipart_etag(etags) else { return Ok(None) };
        let found = self.store.read(move |tables| tables.completion(&name.bucket, &name.key, &name.id)).await?;
        Ok(found.map(|completion| completion.etag).filter(|etag| *etag == same))
    }

    /// Joins the parts into one blob, and verifies it if the client sent digests of the whole.
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
                    s3_error!(NoSuchUpload, "the upload was completed or aborted in the meantime")
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
                    return Err(s3_error!(
                        InvalidPart,
                        "a part was uploaded again in the meantime: complete the upload again"
                    ));
                }
                let mut applied = replace_object(tables, (&name.bucket, &name.key), &conditions, object)?;
                let removed = tables.remove_upload(&name.bucket, &name.key, &name.id)?;
                applied.released.extend(removed.into_iter().map(|part| part.blob));
                tables.put_completion(&CompletionRecord {
                    bucket: name.bucket,
                    key: name.key,
                    upload_id: name.id,
                    etag: applied.value.etag.clone(),
                    completed_ms: applied.value.modified_ms,
                })?;
                Ok(applied)
            })
            .await
    }
}

/// The digests of the whole object that the client sent. Those of the form `…-N` are digests of the parts' digests: the
/// parts have been verified one by one, so these are dropped.
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

/// The stored parts that a completion lists, in its order.
fn select_parts(listed: &[CompletedPart], stored: Vec<(u32, PartRecord)>) -> S3Result<Vec<(u32, PartRecord)>> {
    let numbers: Vec<_> = listed.iter().map(|part| part.part_number.unwrap_or_default()).collect();
    if numbers.is_empty() {
        return Err(s3_error!(MalformedXML, "a completion must list at least one part"));
    }
    if !numbers.is_sorted_by(|earlier, later| earlier < later) {
        return Err(s3_error!(InvalidPartOrder, "the parts are not listed in ascending order"));
    }
    let mut stored: HashMap<_, _> = stored.into_iter().collect();
    let mut selected = Vec::with_capacity(listed.len());
    for (part, number) in listed.iter().zip(numbers) {
        let number = part_number(number)?;
        let etag = part.e_tag.as_ref().map(ETag::value);
        match stored.remove(&number).filter(|record| etag.is_none_or(|etag| etag == record.etag)) {
            Some(record) => selected.push((number, record)),
            None => return Err(s3_error!(InvalidPart, "part {number} was not uploaded, or has another ETag")),
        }
    }
    let all_but_last = &selected[..selected.len() - 1];
    if let Some((number, part)) = all_but_last.iter().find(|(_, part)| part.size < PART_BYTES_MIN) {
        let size = part.size;
        return Err(s3_error!(
            EntityTooSmall,
            "part {number} has {size} bytes; all but the last need at least {PART_BYTES_MIN}"
        ));
    }
    Ok(selected)
}
