//! An event, and its JSON as MinIO writes it.
//!
//! Invariant: the key in `Records` is URL-encoded, as in every S3 event; the `Key` beside it is not.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::TimestampFormat;
use serde_json::json;

use crate::service::modified_at;
use crate::store::records::ObjectRecord;

/// What a query's encoding leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What created an object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause {
    Put,
    Copy,
    CompleteMultipartUpload,
}

/// One object that was created.
#[derive(Debug)]
pub(crate) struct Event {
    cause: Cause,
    bucket: String,
    key: String,
    size: u64,
    etag: String,
    created_ms: u64,
}

impl Event {
    pub(crate) fn new(cause: Cause, (bucket, key): (String, String), record: &ObjectRecord) -> Self {
        let (size, etag, created_ms) = (record.size, record.etag.clone(), record.modified_ms);
        Self { cause, bucket, key, size, etag, created_ms }
    }

    /// The body to post.
    pub(super) fn to_json(&self) -> String {
        let Self { cause, bucket, key, size, etag, .. } = self;
        let name = format!("s3:ObjectCreated:{cause:?}");
        let encoded = utf8_percent_encode(key, ENCODED).to_string().replace("%20", "+");
        json!({
            "EventName": name,
            "Key": format!("{bucket}/{key}"),
            "Records": [{
                "eventVersion": "2.0",
                "eventSource": "minio:s3",
                "awsRegion": "",
                "eventTime": self.time(),
                "eventName": name,
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "Config",
                    "bucket": {"name": bucket, "arn": format!("arn:aws:s3:::{bucket}")},
                    "object": {"key": encoded, "size": size, "eTag": etag},
                },
            }],
        })
        .to_string()
    }

    fn time(&self) -> String {
        let mut text = Vec::new();
        match modified_at(self.created_ms).format(TimestampFormat::DateTime, &mut text) {
            Ok(()) => String::from_utf8_lossy(&text).into_owned(),
            Err(_) => String::new(),
        }
    }
}
