//! Which headers a signature must cover: all that change what a request means.
//!
//! Knows where a request names its signed headers. Knows nothing about signatures, which are already verified.
//! Invariant: who has a presigned URL can't change what it does by adding a header.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};
use s3s::{S3Result, s3_error};

use crate::service::query_parameter;

/// The signature covers these without naming them: the date is part of what is signed, and the body is compared with
/// its hash.
const COVERED_ANYWAY: [&str; 2] = ["x-amz-date", "x-amz-content-sha256"];

/// Checks that the signature covers every header that S3 wants covered.
///
/// # Errors
/// `AccessDenied`, with the names of the headers that it does not cover.
pub(super) fn check(uri: &Uri, headers: &HeaderMap) -> S3Result<()> {
    let Some(signed) = signed_headers(uri, headers) else { return Ok(()) };
    let is_signed = |name: &str| signed.split(';').any(|other| other.eq_ignore_ascii_case(name));
    let must_be_signed = |name: &&str| {
        (name.starts_with("x-amz-") && !COVERED_ANYWAY.contains(name))
            || *name == "content-md5"
            || (*name == "if-range" && is_signed("range"))
    };
    let names = headers.keys().map(http::HeaderName::as_str).filter(must_be_signed);
    let unsigned: Vec<&str> = names.filter(|name| !is_signed(name)).collect();
    if unsigned.is_empty() {
        return Ok(());
    }
    let unsigned = unsigned.join(", ");
    Err(s3_error!(AccessDenied, "there were headers present in the request which were not signed: {unsigned}"))
}

/// The names in `SignedHeaders`; `None` for a request of signature version 2, which covers all `x-amz-` headers.
fn signed_headers(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if let Some(names) = query_parameter(uri, "X-Amz-SignedHeaders") {
        return Some(names);
    }
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let names = authorization.split_once("SignedHeaders=")?.1;
    Some(names.split([',', ' ']).next().unwrap_or_default().to_owned())
}
