//! Objects: put, get, head, delete.
//!
//! Invariant: one transaction of the index checks a put's conditions and makes it visible, after its bytes have been
//! written and verified; until then the old object stays visible.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::{attributes_of, checksums_of, from_http_date, tags_of_header};
use super::body::{READ_BYTES, receive, send};
use super::conditions::{Conditions, modified};
use super::digests::Claims;
use super::{KEY_BYTES_MAX, Service, faults, no_such_version};
use crate::notify::Cause;
use crate::store::blobs::{PendingBlob, read_chunk};
use crate::store::committer::Applied;
use crate::store::records::ObjectRecord;
use crate::store::tables::WriteTables;
use crate::store::{blocking, internal, now_ms};

/// The most keys of one `DeleteObjects`, as on S3.
const KEYS_DELETED_MAX: usize = 1000;

/// So many bytes are read by the thread that answers: it costs less than handing them from one thread to another.
const READ_AT_ONCE_BYTES: u64 = 64 << 10;

/// Makes `record`, whose bytes are in `blob`, the object under `key` if `conditions` allow it. Returns the record.
pub(super) fn replace_object(
    tables: &mut WriteTables<'_>,
    (bucket, key): (&str, &str),
    conditions: &Conditions,
    (record, blob): (ObjectRecord, PendingBlob),
) -> S3Result<Applied<ObjectRecord>> {
    let existing = tables.find_object(bucket, key)?;
    conditions.check_write(existing.as_ref())?;
    tables.put_object(bucket, key, &record)?;
    Ok(Applied {
        value: record,
        adopted: Some(blob),
        released: existing.into_iter().map(|replaced| replaced.blob).collect(),
    })
}

/// The range of an object that a request asks for.
fn range_of(record: &ObjectRecord, asked: Option<Range>) -> S3Result<std::ops::Range<u64>> {
    match asked {
        None => Ok(0..record.size),
        Some(_) if record.size == 0 => Err(s3_error!(InvalidRange, "the object is empty")),
        Some(range) => Ok(range.check(record.size)?),
    }
}

fn content_range(asked: Option<&Range>, range: &std::ops::Range<u64>, size: u64) -> Option<String> {
    asked.map(|_| format!("bytes {}-{}/{size}", range.start, range.end - 1))
}

/// S3 uses signed sizes; no file is too large for one.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The conditions of a read, taken out of a request's input.
macro_rules! read_conditions_of {
    ($input:expr, $headers:expr) => {
        Conditions {
            if_match: $input.if_match.take(),
            if_none_match: $input.if_none_match.take(),
            if_modified_since: $input.if_modified_since.take(),
            if_unmodified_since: $input.if_unmodified_since.take(),
        }
        .or_empty($headers, "if-match")
    };
}

/// The output of GET or HEAD, which share these fields by name.
macro_rules! object_output {
    ($output:ident, $record:expr, $input:expr, $range:expr) => {{
        let record = $record;
        let whole = $input.range.is_none() && $input.checksum_mode.is_some();
        let checksums = if whole { record.checksums } else { Default::default() };
        let attributes = record.attributes;
        $output {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(signed($range.end - $range.start)),
            content_range: content_range($input.range.as_ref(), &$range, record.size),
            e_tag: Some(ETag::Strong(record.etag)),
            content_type: $input.response_content_type.or(attributes.content_type),
            cache_control: $input.response_cache_control.or(attributes.cache_control),
            content_disposition: $input.response_content_disposition.or(attributes.content_disposition),
            content_encoding: $input.response_content_encoding.or(attributes.content_encoding),
            content_language: $input.response_content_language.or(attributes.content_language),
            expires: attributes.expires.as_deref().and_then(from_http_date),
            metadata: (!attributes.user.is_empty()).then(|| attributes.user.into_iter().collect()),
            checksum_crc32: checksums.crc32,
            checksum_crc32c: checksums.crc32c,
            checksum_crc64nvme: checksums.crc64nvme,
            checksum_sha1: checksums.sha1,
            checksum_sha256: checksums.sha256,
            ..Default::default()
        }
    }};
}

impl Service {
    pub(super) async fn on_put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = &mut request.input;
        check_key(&input.key)?;
        let attributes = attributes_of!(input);
        let tags = tags_of_header(input.tagging.as_deref())?;
        let conditions = faults::heeded_of(&request.extensions, Conditions::of_write(&request.headers)?);
        let claims = Claims { md5: input.content_md5.take(), checksums: checksums_of!(input), ..Default::default() };
        let claims = claims.with_headers(&request.headers, request.trailing_headers);

        let received = receive(self.store.blobs(), input.body.take(), claims, input.content_length).await?;
        let record = ObjectRecord {
            blob: received.blob.id(),
            size: received.size,
            etag: received.digests.etag(),
            modified_ms: now_ms(),
            attributes,
            tags,
            checksums: received.digests.checksums,
        };
        let (bucket, key) = (request.input.bucket, request.input.key);
        let place = (bucket.clone(), key.clone());
        let blob = received.blob;
        let record = self
            .store
            .change(move |tables| replace_object(tables, (&bucket, &key), &conditions, (record, blob)))
            .await?;
        self.announce(Cause::Put, place, &record);
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(record.etag)),
            checksum_crc32: record.checksums.crc32,
            checksum_crc32c: record.checksums.crc32c,
            checksum_crc64nvme: record.checksums.crc64nvme,
            checksum_sha1: record.checksums.sha1,
            checksum_sha256: record.checksums.sha256,
            ..Default::default()
        }))
    }

    pub(super) async fn on_get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let mut input = request.input;
        check_part_number(input.part_number)?;
        let conditions = read_conditions_of!(input, &request.headers);
        let (bucket, key, asked) = (input.bucket, input.key, input.range);
        self.tamper(&request.extensions, &bucket, &key).await?;
        // The index is in memory, and a change of threads takes longer than this.
        let (record, mut file) = self.store.with_blob((&bucket, &key), |blobs, id| blobs.read(id))?;
        conditions.check_read(&record)?;
        let range = range_of(&record, asked)?;
        let mut rest = range.clone();
        let read = move || {
            let first = read_chunk(&mut file, &mut rest, READ_BYTES).map_err(internal("reading a blob"))?;
            Ok((first, file, rest))
        };
        let is_short = range.end - range.start <= READ_AT_ONCE_BYTES;
        let (first, file, rest) = if is_short { read() } else { blocking(read).await }?;
        let last_modified = Some(modified(&record));
        let tag_count = i32::try_from(record.tags.len()).ok().filter(|count| *count > 0);
        let mut output = object_output!(GetObjectOutput, record, input, range);
        output.last_modified = last_modified;
        output.tag_count = tag_count;
        output.body = Some(send(first, file, rest));
        Ok(S3Response::new(output))
    }

    pub(super) async fn on_head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let mut input = request.input;
        check_part_number(input.part_number)?;
        let conditions = read_conditions_of!(input, &request.headers);
        let (bucket, key) = (input.bucket, input.key);
        let record = self.store.read(move |tables| tables.object(&bucket, &key)).await?;
        conditions.check_read(&record)?;
        let range = range_of(&record, input.range)?;
        let status = input.range.map(|_| StatusCode::PARTIAL_CONTENT);
        let last_modified = Some(modified(&record));
        let mut output = object_output!(HeadObjectOutput, record, input, range);
        output.last_modified = last_modified;
        let mut response = S3Response::new(output);
        response.status = status;
        Ok(response)
    }

    pub(super) async fn on_delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let conditions = Conditions::of_write(&request.headers)?;
        let if_match = faults::heeded_by_delete(&request.extensions, conditions.if_match);
        let conditions = Conditions { if_match, ..Default::default() };
        let DeleteObjectInput { bucket, key, .. } = request.input;
        self.store
            .change(move |tables| {
                let existing = tables.find_object(&bucket, &key)?;
                conditions.check_write(existing.as_ref())?;
                if existing.is_some() {
                    tables.remove_object(&bucket, &key)?;
                }
                Ok(Applied {
                    value: (),
                    adopted: None,
                    released: existing.into_iter().map(|removed| removed.blob).collect(),
                })
            })
            .await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    /// Deletes each key under its own condition, all in one transaction.
    pub(super) async fn on_delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete, .. } = request.input;
        let keys = delete.objects.len();
        if keys == 0 || keys > KEYS_DELETED_MAX {
            return Err(s3_error!(
                MalformedXML,
                "a deletion names 1 to {KEYS_DELETED_MAX} keys; this one names {keys}"
            ));
        }
        let quiet = delete.quiet.unwrap_or_default();
        let output = self
            .store
            .change(move |tables| {
                tables.bucket(&bucket)?;
                let mut applied = Applied::value(DeleteObjectsOutput::default());
                let (mut deleted, mut errors) = (Vec::new(), Vec::new());
                for object in delete.objects {
                    match delete_one(tables, &bucket, &object) {
                        Ok(removed) => {
                            applied.released.extend(removed.map(|record| record.blob));
                            deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
                        }
                        Err(error) => errors.push(Error {
                            code: Some(error.code().as_str().to_owned()),
                            key: Some(object.key),
                            message: error.message().map(str::to_owned),
                            version_id: None,
                        }),
                    }
                }
                applied.value.deleted = (!quiet).then_some(deleted);
                applied.value.errors = Some(errors);
                Ok(applied)
            })
            .await?;
        Ok(S3Response::new(output))
    }
}

fn delete_one(tables: &mut WriteTables<'_>, bucket: &str, object: &ObjectIdentifier) -> S3Result<Option<ObjectRecord>> {
    check_key(&object.key)?;
    if object.key.is_empty() {
        return Err(s3_error!(UserKeyMustBeSpecified, "a key to delete is empty"));
    }
    if object.last_modified_time.is_some() || object.size.is_some() {
        return Err(s3_error!(NotImplemented, "deletions by size or time are for directory buckets"));
    }
    if let Some(id) = object.version_id.as_deref().filter(|id| *id != "null") {
        return Err(no_such_version(id));
    }
    let existing = tables.find_object(bucket, &object.key)?;
    let conditions = Conditions { if_match: object.e_tag.clone().map(ETagCondition::ETag), ..Default::default() };
    conditions.check_write(existing.as_ref())?;
    if existing.is_some() {
        tables.remove_object(bucket, &object.key)?;
    }
    Ok(existing)
}

pub(super) fn check_key(key: &str) -> S3Result<()> {
    if key.len() > KEY_BYTES_MAX {
        return Err(s3_error!(KeyTooLongError, "the key has {} bytes; at most {KEY_BYTES_MAX} are allowed", key.len()));
    }
    Ok(())
}

/// An object has one part here, since a completion joins them.
fn check_part_number(part_number: Option<i32>) -> S3Result<()> {
    match part_number {
        None | Some(1) => Ok(()),
        Some(_) => Err(s3_error!(NotImplemented, "local-s3 joins parts on completion: read by range instead")),
    }
}
