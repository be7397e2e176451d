//! What the index stores, and under which keys.
//!
//! Knows bytes and JSON. Knows nothing about transactions or HTTP.
//! Invariant: these shapes are on disk. Add optional fields; never rename or reuse one. A change that cannot read old
//! records raises [`FORMAT`].

use std::collections::BTreeMap;

use redb::TableDefinition;
use s3s::S3Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::blobs::BlobId;
use super::internal;

/// The version of everything in this file.
pub(crate) const FORMAT: u64 = 1;

/// `"format"` to [`FORMAT`].
pub(crate) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// Bucket name to [`BucketRecord`].
pub(crate) const BUCKETS: TableDefinition<&str, &[u8]> = TableDefinition::new("buckets");
/// [`object_key`] to [`ObjectRecord`]; byte order is S3's listing order.
pub(crate) const OBJECTS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("objects");
/// [`upload_key`] to [`UploadRecord`].
pub(crate) const UPLOADS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("uploads");
/// Upload id and part number to [`PartRecord`].
pub(crate) const PARTS: TableDefinition<(&str, u32), &[u8]> = TableDefinition::new("parts");
/// The number of a completion, counted up, to [`CompletionRecord`].
pub(crate) const COMPLETIONS: TableDefinition<u64, &[u8]> = TableDefinition::new("completions");

/// A bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BucketRecord {
    pub(crate) created_ms: u64,
}

/// An object: where its bytes are, and everything that S3 returns about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    pub(crate) blob: BlobId,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) modified_ms: u64,
    #[serde(default)]
    pub(crate) attributes: Attributes,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) checksums: Checksums,
}

/// The headers that an object is stored and served with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Attributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    /// As an HTTP date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) user: BTreeMap<String, String>,
}

/// Base64 digests of a whole object, as S3 names them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Checksums {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crc32: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crc32c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crc64nvme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
}

/// An unfinished multipart upload, with the attributes and tags of its future object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) initiated_ms: u64,
    #[serde(default)]
    pub(crate) attributes: Attributes,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// One part of an upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) blob: BlobId,
    pub(crate) size: u64,
    /// The MD5 of the part in hex, without quotes.
    pub(crate) etag: String,
    pub(crate) modified_ms: u64,
    #[serde(default)]
    pub(crate) checksums: Checksums,
}

/// A completed upload, for a client that did not get the answer and sends its completion again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CompletionRecord {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) upload_id: String,
    /// The ETag of the object, without quotes: the digest of the parts that were listed.
    pub(crate) etag: String,
    pub(crate) completed_ms: u64,
}

/// The index key of an object. A bucket name contains no NUL, so the first NUL ends it.
pub(crate) fn object_key(bucket: &str, key: &str) -> Vec<u8> {
    [bucket.as_bytes(), b"\0", key.as_bytes()].concat()
}

/// The index key of an upload: uploads sort by key, then id, the order in which S3 lists them.
pub(crate) fn upload_key(bucket: &str, key: &str, upload_id: &str) -> Vec<u8> {
    [&object_key(bucket, key), b"\0".as_slice(), upload_id.as_bytes()].concat()
}

/// The smallest key that sorts after every key starting with `prefix`.
pub(crate) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if last < u8::MAX {
            next.push(last + 1);
            break;
        }
    }
    next
}

pub(crate) fn encode<T: Serialize>(record: &T) -> S3Result<Vec<u8>> {
    serde_json::to_vec(record).map_err(internal("encoding an index record"))
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> S3Result<T> {
    serde_json::from_slice(bytes).map_err(internal("decoding an index record"))
}
