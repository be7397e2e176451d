//! Maps the headers, tags and digests of an object between S3's shapes and the index's.
//!
//! A pure mapping. Invariant: a GET returns what a PUT sent, unchanged except for the `aws-chunked` coding, which
//! describes the transfer and not the object.

use std::collections::BTreeMap;

use s3s::dto::{Tag, Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};

/// The [`crate::store::records::Attributes`] of any input that has the header fields of a PUT.
macro_rules! attributes_of {
    ($input:expr) => {
        $crate::store::records::Attributes {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $crate::service::attributes::without_aws_chunked($input.content_encoding.take()),
            content_language: $input.content_language.take(),
            expires: $input.expires.as_ref().and_then($crate::service::attributes::http_date),
            user: $input.metadata.take().unwrap_or_default().into_iter().collect(),
        }
    };
}

/// The [`crate::store::records::Checksums`] of any input that has the checksum fields of a PUT.
macro_rules! checksums_of {
    ($input:expr) => {
        $crate::store::records::Checksums {
            crc32: $input.checksum_crc32.take(),
            crc32c: $input.checksum_crc32c.take(),
            crc64nvme: $input.checksum_crc64nvme.take(),
            sha1: $input.checksum_sha1.take(),
            sha256: $input.checksum_sha256.take(),
        }
    };
}

pub(crate) use {attributes_of, checksums_of};

/// Removes `aws-chunked` from a list of codings.
pub(crate) fn without_aws_chunked(encoding: Option<String>) -> Option<String> {
    let codings: Vec<_> = encoding
        .as_deref()?
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!codings.is_empty()).then(|| codings.join(","))
}

pub(crate) fn http_date(timestamp: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    timestamp.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

pub(crate) fn from_http_date(text: &str) -> Option<Timestamp> {
    Timestamp::parse(TimestampFormat::HttpDate, text).ok()
}

/// The tags of an `x-amz-tagging` header: `a=1&b=2`, percent-encoded.
pub(crate) fn tags_of_header(header: Option<&str>) -> S3Result<BTreeMap<String, String>> {
    let invalid = || s3_error!(InvalidTag, "the x-amz-tagging header is not of the form a=1&b=2, percent-encoded");
    header
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((form_decode(name).ok_or_else(invalid)?, form_decode(value).ok_or_else(invalid)?))
        })
        .collect()
}

pub(crate) fn tags_of_set(tags: Vec<Tag>) -> BTreeMap<String, String> {
    let pairs = tags.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
    pairs.collect()
}

/// Form decoding: percent escapes, and `+` for a space.
pub(crate) fn form_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A parameter of the query, decoded. Its name may be encoded too.
pub(crate) fn query_parameter(uri: &http::Uri, name: &str) -> Option<String> {
    let mut pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.find(|(other, _)| form_decode(other).as_deref() == Some(name))?.1;
    form_decode(value)
}

/// Percent-encodes for `encoding-type=url`: everything but unreserved characters and `/`.
pub(crate) fn url_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
