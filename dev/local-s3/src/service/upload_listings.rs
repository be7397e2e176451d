//! Listings of unfinished uploads and of their parts.
//!
//! Reads all uploads of a bucket, or all parts of an upload: there are few.
//! Invariant: uploads are sorted by key, then id, and parts by number, so that markers can resume a listing.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Service;
use super::conditions::modified_at;
use super::listings::{Encoder, entries_max};
use super::objects::signed;
use crate::store::internal;
use crate::store::records::{UploadRecord, after_prefix, decode, object_key};
use crate::store::tables::ReadTables;

/// The length of an upload id.
const UPLOAD_ID_BYTES: usize = 32;

impl Service {
    pub(super) async fn on_list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let ListPartsInput { bucket, key, upload_id, max_parts, part_number_marker, .. } = request.input;
        let limit = entries_max(max_parts)?;
        let after = part_number_marker.unwrap_or_default();
        let (wanted, id) = ((bucket.clone(), key.clone()), upload_id.clone());
        let stored = self
            .store
            .read(move |tables| {
                tables.upload(&wanted.0, &wanted.1, &id)?;
                tables.parts_of(&id)
            })
            .await?;
        let mut parts: Vec<_> = stored
            .into_iter()
            .filter_map(|(number, part)| Some((i32::try_from(number).ok()?, part)))
            .filter(|(number, _)| *number > after)
            .map(|(number, part)| Part {
                part_number: Some(number),
                size: Some(signed(part.size)),
                e_tag: Some(ETag::Strong(part.etag)),
                last_modified: Some(modified_at(part.modified_ms)),
                checksum_crc32: part.checksums.crc32,
                checksum_crc32c: part.checksums.crc32c,
                checksum_crc64nvme: part.checksums.crc64nvme,
                checksum_sha1: part.checksums.sha1,
                checksum_sha256: part.checksums.sha256,
            })
            .collect();
        let is_truncated = truncate(&mut parts, limit);
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(upload_id),
            max_parts: Some(limit),
            part_number_marker,
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            is_truncated: Some(is_truncated),
            parts: Some(parts),
            ..Default::default()
        }))
    }

    pub(super) async fn on_list_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        if input.delimiter.as_deref().is_some_and(|delimiter| !delimiter.is_empty()) {
            return Err(s3_error!(NotImplemented, "local-s3 lists uploads without a delimiter: leave it out"));
        }
        let encode = Encoder::new(input.encoding_type.as_ref());
        let limit = entries_max(input.max_uploads)?;
        let (bucket, prefix) = (input.bucket.clone(), input.prefix.clone().unwrap_or_default());
        let mut uploads = self.store.read(move |tables| uploads_of(tables, &bucket, &prefix)).await?;
        if let Some(after_key) = &input.key_marker {
            let after_id = input.upload_id_marker.as_deref().filter(|id| !id.is_empty());
            uploads.retain(|(key, id, _)| {
                key > after_key || key == after_key && after_id.is_some_and(|after| id.as_str() > after)
            });
        }
        let is_truncated = truncate(&mut uploads, limit);
        let next = uploads.last().filter(|_| is_truncated);
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix.map(|text| encode.text(text)),
            key_marker: input.key_marker.map(|text| encode.text(text)),
            upload_id_marker: input.upload_id_marker,
            next_key_marker: next.map(|(key, ..)| encode.text(key.clone())),
            next_upload_id_marker: next.map(|(_, id, _)| id.clone()),
            max_uploads: Some(limit),
            is_truncated: Some(is_truncated),
            encoding_type: input.encoding_type,
            uploads: Some(uploads.into_iter().map(|upload| describe(upload, encode)).collect()),
            ..Default::default()
        }))
    }
}

fn describe((key, id, record): (String, String, UploadRecord), encode: Encoder) -> MultipartUpload {
    MultipartUpload {
        key: Some(encode.text(key)),
        upload_id: Some(id),
        initiated: Some(modified_at(record.initiated_ms)),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..Default::default()
    }
}

/// Truncates `entries` to `limit`; returns whether that removed any.
fn truncate<T>(entries: &mut Vec<T>, limit: i32) -> bool {
    let limit = usize::try_from(limit).unwrap_or_default();
    let longer = entries.len() > limit && limit > 0;
    entries.truncate(limit);
    longer
}

fn uploads_of(tables: &ReadTables, bucket: &str, prefix: &str) -> S3Result<Vec<(String, String, UploadRecord)>> {
    tables.bucket(bucket)?;
    let reading = internal("listing uploads");
    let first = object_key(bucket, prefix);
    let end = after_prefix(&first);
    let mut uploads = Vec::new();
    for entry in tables.uploads.range(first.as_slice()..end.as_slice()).map_err(&reading)? {
        let (raw_key, record) = entry.map_err(&reading)?;
        // bucket, NUL, key, NUL, id: the key may contain a NUL, but the id has a fixed length.
        let text = std::str::from_utf8(raw_key.value()).ok().and_then(|text| text.get(bucket.len() + 1..));
        let split = text.and_then(|text| text.split_at_checked(text.len().checked_sub(UPLOAD_ID_BYTES)?));
        let (key, id) = split.ok_or_else(|| s3_error!(InternalError, "the index has an upload without a name"))?;
        let key = key.strip_suffix('\0').unwrap_or(key);
        uploads.push((key.to_owned(), id.to_owned(), decode(record.value())?));
    }
    Ok(uploads)
}
