//! Preconditions: may this request go on, given the object's current version?
//!
//! Knows RFC 9110's conditions as S3 applies them. A pure function of request and record.
//! Invariant: a condition on a write is checked inside the transaction that writes, and none is passed over.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Method, header};
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

/// Conditions that S3 knows for directory buckets alone.
const OF_DIRECTORY_BUCKETS: [&str; 3] =
    ["x-amz-if-match-last-modified-time", "x-amz-if-match-size", "x-amz-if-match-initiated-time"];

/// Refuses a change under a condition that S3 does not check for `operation`: to ignore it would do what the client
/// did not want.
///
/// # Errors
/// `NotImplemented`, as S3 answers.
pub(crate) fn refuse_unknown(operation: &str, method: &Method, headers: &HeaderMap) -> S3Result<()> {
    if !matches!(*method, Method::PUT | Method::POST | Method::DELETE) {
        return Ok(());
    }
    let known: &[header::HeaderName] = match operation {
        "put_object" | "copy_object" | "complete_multipart_upload" => &[header::IF_MATCH, header::IF_NONE_MATCH],
        "delete_object" => &[header::IF_MATCH],
        _ => &[],
    };
    let standard = [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE];
    let unknown = standard.iter().filter(|name| !known.contains(name)).map(header::HeaderName::as_str);
    match unknown.chain(OF_DIRECTORY_BUCKETS).find(|name| headers.contains_key(*name)) {
        Some(name) => Err(not_implemented(name)),
        None => Ok(()),
    }
}

fn not_implemented(header: &str) -> S3Error {
    s3_error!(NotImplemented, "a header you provided implies functionality that is not implemented: {header}")
}

impl Conditions {
    /// The conditions of a write, from its headers.
    ///
    /// # Errors
    /// `NotImplemented` for an `If-None-Match` other than `*` and for both conditions at once, as S3 answers;
    /// `InvalidArgument` for what is not an ETag.
    pub(crate) fn of_write(headers: &HeaderMap) -> S3Result<Self> {
        let condition = |name: header::HeaderName| match headers.get(&name) {
            None => Ok(None),
            Some(_) if headers.get_all(&name).iter().count() > 1 => {
                Err(s3_error!(InvalidArgument, "header {name} appears more than once"))
            }
            Some(value) if value.is_empty() => Ok(Some(no_version())),
            Some(value) => ETagCondition::parse_http_header(value.as_bytes())
                .map(Some)
                .map_err(|_| s3_error!(InvalidArgument, "header {name} is neither * nor an ETag")),
        };
        let (if_match, if_none_match) = (condition(header::IF_MATCH)?, condition(header::IF_NONE_MATCH)?);
        let is_other_than_any = matches!(if_none_match, Some(ETagCondition::ETag(_)));
        if is_other_than_any || (if_match.is_some() && if_none_match.is_some()) {
            return Err(not_implemented(header::IF_NONE_MATCH.as_str()));
        }
        Ok(Self { if_match, if_none_match, ..Self::default() })
    }

    /// The same with an `If-Match` whose header is there and empty: s3s takes such a header for a missing one.
    pub(crate) fn or_empty(mut self, headers: &HeaderMap, if_match: &str) -> Self {
        if self.if_match.is_none() && headers.contains_key(if_match) {
            self.if_match = Some(no_version());
        }
        self
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

/// A condition that no version meets.
fn no_version() -> ETagCondition {
    ETagCondition::ETag(ETag::Strong(String::new()))
}

fn precondition_failed(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::PreconditionFailed, message)
}
