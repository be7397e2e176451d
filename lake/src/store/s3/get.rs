//! Reads an object or its metadata.
//!
//! Knows S3's GET and HEAD. [`body`] handles the bytes themselves.
//! Invariant: what is returned is what was asked for: this range of this version, with its true size.

mod body;

use std::{ops::Range, sync::Arc};

use aws_sdk_s3::{
    operation::{get_object::builders::GetObjectFluentBuilder, head_object::HeadObjectOutput},
    primitives::DateTime,
};
use chrono::Utc;
use futures::StreamExt;
use object_store::{Error, GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, Result, path::Path};

use super::{Bucket, attributes::ToAttributes, error::Doing, key::to_key};
use body::Body;

pub(super) async fn get(bucket: &Arc<Bucket>, location: &Path, options: GetOptions) -> Result<GetResult> {
    if options.head {
        return bucket.head(location, options).await;
    }
    let doing = bucket.doing("get", location);
    let request = bucket.get_request(location, &options, &doing)?;
    let found = request.send().await.map_err(|error| doing.failed(error))?;
    check_version(location, options.if_match.as_deref(), found.e_tag(), &doing)?;

    let span = Span::of(found.content_range(), found.content_length(), options.range.is_some());
    // Retryable: a server that announces the wrong bytes once may get it right next time.
    let span = span.map_err(|problem| doing.broken_off(problem))?;
    let meta = meta(location, span.size, found.last_modified(), found.e_tag(), found.version_id(), &doing)?;
    let attributes = found.to_attributes();
    let range = span.range.clone();
    let body = Body::new(Arc::clone(bucket), location.clone(), &meta, range.clone(), found.body, doing);
    Ok(GetResult { payload: GetResultPayload::Stream(body.into_stream().boxed()), meta, range, attributes })
}

impl Bucket {
    fn get_request(&self, location: &Path, options: &GetOptions, doing: &Doing) -> Result<GetObjectFluentBuilder> {
        let range =
            options.range.as_ref().map(|range| header(range).map_err(|error| doing.other(error))).transpose()?;
        Ok(self
            .client
            .get_object()
            .bucket(&self.name)
            .key(to_key(location))
            .set_range(range)
            .set_if_match(options.if_match.clone())
            .set_if_none_match(options.if_none_match.clone())
            .set_if_modified_since(options.if_modified_since.map(to_smithy))
            .set_if_unmodified_since(options.if_unmodified_since.map(to_smithy))
            .set_version_id(options.version.clone()))
    }

    async fn head(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let doing = self.doing("head", location);
        let request = self
            .client
            .head_object()
            .bucket(&self.name)
            .key(to_key(location))
            .set_if_match(options.if_match.clone())
            .set_if_none_match(options.if_none_match.clone())
            .set_if_modified_since(options.if_modified_since.map(to_smithy))
            .set_if_unmodified_since(options.if_unmodified_since.map(to_smithy))
            .set_version_id(options.version.clone());
        let found: HeadObjectOutput = match request.send().await {
            Ok(found) => found,
            Err(error) => {
                let status = error.raw_response().map(|answer| answer.status().as_u16());
                let error = doing.failed(error);
                return Err(match status {
                    Some(status @ 400..=404) => self.explain(location, options, status, error).await,
                    _ => error,
                });
            }
        };
        let Some(size) = found.content_length().and_then(|size| u64::try_from(size).ok()) else {
            return Err(doing.other("the response has no Content-Length"));
        };
        check_version(location, options.if_match.as_deref(), found.e_tag(), &doing)?;
        let meta = meta(location, size, found.last_modified(), found.e_tag(), found.version_id(), &doing)?;
        let attributes = found.to_attributes();
        let payload = GetResultPayload::Stream(futures::stream::empty().boxed());
        Ok(GetResult { payload, meta, range: 0..size, attributes })
    }

    /// Finds out why a HEAD failed. Its response has no body, so a missing bucket looks like a missing key, and unknown
    /// credentials look like a missing permission. A GET of one byte is refused for the same reason and names it.
    async fn explain(&self, location: &Path, options: GetOptions, status: u16, error: Error) -> Error {
        let doing = self.doing("head", location);
        let options = GetOptions { range: Some(GetRange::Bounded(0..1)), ..options };
        let Ok(request) = self.get_request(location, &options, &doing) else { return error };
        match request.send().await {
            // The object has been created since.
            Ok(_) if status == 404 => Error::NotFound { path: location.to_string(), source: error.into() },
            // The credentials or the permissions have changed since.
            Ok(_) => doing.broken_off(error),
            Err(refusal) => doing.failed(refusal),
        }
    }
}

/// Refuses another version than the one asked for: some servers ignore `If-Match` on a read, and name what they send.
fn check_version(location: &Path, if_match: Option<&str>, e_tag: Option<&str>, doing: &Doing) -> Result<()> {
    let is_one = |tag: &&str| !tag.contains(',') && *tag != "*";
    match (if_match.filter(is_one), e_tag) {
        (Some(asked), Some(sent)) if opaque(asked) != opaque(sent) => {
            let source = format!("the response to {doing} is of another version than requested").into();
            Err(Error::Precondition { path: location.to_string(), source })
        }
        _ => Ok(()),
    }
}

/// An ETag without its quotes and its mark of weakness.
fn opaque(tag: &str) -> &str {
    tag.trim_start_matches("W/").trim_matches('"')
}

fn header(range: &GetRange) -> Result<String, String> {
    range.is_valid().map_err(|error| error.to_string())?;
    Ok(match range {
        GetRange::Bounded(range) => bounded(range),
        GetRange::Offset(start) => format!("bytes={start}-"),
        GetRange::Suffix(length) => format!("bytes=-{length}"),
    })
}

fn bounded(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end - 1)
}

/// Which bytes a response contains, and out of how many.
struct Span {
    range: Range<u64>,
    size: u64,
}

impl Span {
    fn of(content_range: Option<&str>, content_length: Option<i64>, asked_range: bool) -> Result<Self, &'static str> {
        let length = content_length.and_then(|length| u64::try_from(length).ok());
        match (content_range, length) {
            (Some(text), length) => {
                let span = Self::parse(text).ok_or("the response's Content-Range can't be read")?;
                let agrees = length.is_none_or(|length| length == span.range.end - span.range.start);
                if agrees { Ok(span) } else { Err("the response's Content-Range and Content-Length differ") }
            }
            (None, _) if asked_range => Err("the response ignores the requested range"),
            (None, Some(size)) => Ok(Self { range: 0..size, size }),
            (None, None) => Err("the response has no Content-Length"),
        }
    }

    /// Reads `bytes 2-4/14`.
    fn parse(text: &str) -> Option<Self> {
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last, size) = (first.parse().ok()?, last.parse::<u64>().ok()?, size.parse().ok()?);
        (first <= last && last < size).then_some(Self { range: first..last + 1, size })
    }
}

fn meta(
    location: &Path,
    size: u64,
    last_modified: Option<&DateTime>,
    e_tag: Option<&str>,
    version: Option<&str>,
    doing: &Doing,
) -> Result<ObjectMeta> {
    let last_modified =
        last_modified.and_then(to_chrono).ok_or_else(|| doing.other("the response has no Last-Modified"))?;
    let (e_tag, version) = (e_tag.map(str::to_owned), version.map(str::to_owned));
    Ok(ObjectMeta { location: location.clone(), last_modified, size, e_tag, version })
}

pub(super) fn to_chrono(time: &DateTime) -> Option<chrono::DateTime<Utc>> {
    chrono::DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}

fn to_smithy(time: chrono::DateTime<Utc>) -> DateTime {
    DateTime::from_secs(time.timestamp())
}
