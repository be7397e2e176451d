//! Preconditions: may this request go on, given the object's current version?
//!
//! Knows RFC 9110's conditions as S3 applies them. A pure function of request and record.
//! Invariant: a condition on a write is checked inside the transaction that writes.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::store::records::ObjectRecord;

/// The conditions of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// The conditions of a write, from headers that the parsed input does not include.
    pub(crate) fn of_headers(headers: &HeaderMap) -> S3Result<Self> {
        let condition = |name: header::HeaderName| match headers.get(&name) {
            None => Ok(None),
            Some(value) => ETagCondition::parse_http_header(value.as_bytes())
                .map(Some)
                .map_err(|_| s3_error!(InvalidArgument, "header {name} is neither * nor an ETag")),
        };
        Ok(Self {
            if_match: condition(header::IF_MATCH)?,
            if_none_match: condition(header::IF_NONE_MATCH)?,
            ..Self::default()
        })
    }

    /// Whether the object may be read.
    ///
    /// # Errors
    /// `PreconditionFailed` (412), or `NotModified` (304), which carries the ETag.
    pub(crate) fn check_read(&self, record: &ObjectRecord) -> S3Result<()> {
        if self.is_another_version(record) {
            return Err(precondition_failed("the object is not the version asked for"));
        }
        if self.is_known_version(record) {
            let mut error = S3Error::new(S3ErrorCode::NotModified);
            if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", record.etag)) {
                error.set_headers(HeaderMap::from_iter([(header::ETAG, etag)]));
            }
            return Err(error);
        }
        Ok(())
    }

    /// Whether the object may be copied; S3 answers 412 where a read would answer 304.
    pub(crate) fn check_copy_source(&self, record: &ObjectRecord) -> S3Result<()> {
        if self.is_another_version(record) || self.is_known_version(record) {
            return Err(precondition_failed("the source is not a version that may be copied"));
        }
        Ok(())
    }

    /// Whether `existing` may be replaced or created.
    ///
    /// # Errors
    /// `PreconditionFailed`, or `NoSuchKey` for `If-Match` on an object that does not exist.
    pub(crate) fn check_write(&self, existing: Option<&ObjectRecord>) -> S3Result<()> {
        match (&self.if_none_match, existing) {
            (Some(condition), Some(record)) if matches(condition, record) => {
                return Err(precondition_failed("the object already exists"));
            }
            _ => {}
        }
        match (&self.if_match, existing) {
            (Some(_), None) => Err(s3_error!(NoSuchKey, "the object to replace does not exist")),
            (Some(condition), Some(record)) if !matches(condition, record) => {
                Err(precondition_failed("the object is not the version to replace"))
            }
            _ => Ok(()),
        }
    }

    /// `If-Match`, or `If-Unmodified-Since` without it: the order in RFC 9110.
    fn is_another_version(&self, record: &ObjectRecord) -> bool {
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => !matches(condition, record),
            (None, Some(since)) => modified(record) > *since,
            (None, None) => false,
        }
    }

    /// `If-None-Match`, or `If-Modified-Since` without it.
    fn is_known_version(&self, record: &ObjectRecord) -> bool {
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition, record),
            (None, Some(since)) => modified(record) <= *since,
            (None, None) => false,
        }
    }
}

/// When the object was last modified, in whole seconds: the resolution of an HTTP date.
pub(crate) fn modified(record: &ObjectRecord) -> Timestamp {
    modified_at(record.modified_ms)
}

/// A stored time, in whole seconds.
pub(crate) fn modified_at(milliseconds: u64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(milliseconds / 1000))
}

fn matches(condition: &ETagCondition, record: &ObjectRecord) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(ETag::Strong(etag) | ETag::Weak(etag)) => *etag == record.etag,
    }
}

fn precondition_failed(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::PreconditionFailed, message)
}
