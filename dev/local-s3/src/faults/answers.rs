//! The responses that faults send.
//!
//! Knows S3's error codes and HTTP responses. Knows nothing about when they are sent.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, StatusCode};
use s3s::dto::StreamingBlob;
use s3s::{Body, HttpError, HttpResponse, S3Error, S3ErrorCode};

use super::{Answer, ContentLength};

/// How long a cut body waits before it ends, so that the bytes before the cut leave the server.
const FLUSH: Duration = Duration::from_millis(50);

impl Answer {
    /// The error as S3 words it.
    pub(crate) fn error(self) -> S3Error {
        match self {
            Self::SlowDown => S3Error::with_message(S3ErrorCode::SlowDown, "Please reduce your request rate."),
            Self::TooManyRequests => {
                let code = S3ErrorCode::Custom("TooManyRequests".into());
                let mut error = S3Error::with_message(code, "Please reduce your request rate.");
                error.set_status_code(StatusCode::TOO_MANY_REQUESTS);
                error
            }
            Self::InternalError => internal_error(),
            Self::AccessDenied => S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied"),
            Self::InvalidObjectState => {
                let words = "The operation is not valid for the object's storage class";
                S3Error::with_message(S3ErrorCode::InvalidObjectState, words)
            }
        }
    }
}

fn internal_error() -> S3Error {
    S3Error::with_message(S3ErrorCode::InternalError, "We encountered an internal error. Please try again.")
}

/// 409, as S3 answers a conditional write that conflicts with another one.
pub(crate) fn conflict() -> S3Error {
    let message = "At least one of the pre-conditions you specified did not hold.";
    let mut error = S3Error::with_message(S3ErrorCode::Custom("ConditionalRequestConflict".into()), message);
    error.set_status_code(StatusCode::CONFLICT);
    error
}

/// 200 with an error in the body, as S3 answers a completion that fails after its headers were sent.
pub(crate) fn failed_completion() -> S3Error {
    let mut error = internal_error();
    error.set_status_code(StatusCode::OK);
    error
}

/// Closes the connection instead of sending a response.
pub(crate) fn hang_up() -> HttpError {
    HttpError::new("a fault closes the connection".into())
}

/// Cuts the body of a response after `keep` bytes, or after the number that `draw` returns for its length.
/// Returns `None`, with nothing cut, if the body is not longer than that.
pub(crate) async fn cut(
    response: &mut HttpResponse,
    keep: Option<u64>,
    length: ContentLength,
    draw: impl FnOnce(u64) -> u64,
) -> Option<()> {
    let whole: u64 = response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    let keep = keep.unwrap_or_else(|| draw(whole));
    if keep >= whole {
        return None;
    }
    let sent = first_bytes(response.body_mut(), usize::try_from(keep).ok()?).await?;
    *response.body_mut() = match length {
        ContentLength::Lying => {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(keep));
            Body::from(sent)
        }
        ContentLength::True => {
            let early_end = async {
                tokio::time::sleep(FLUSH).await;
                Err(io::Error::other("a fault cuts the body short"))
            };
            let pieces = stream::iter((!sent.is_empty()).then_some(Ok(sent))).chain(stream::once(early_end));
            Body::from(StreamingBlob::wrap(Box::pin(pieces)))
        }
    };
    Some(())
}

/// The first `count` bytes of a longer body.
async fn first_bytes(body: &mut Body, count: usize) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    while bytes.len() < count {
        bytes.extend_from_slice(&body.next().await?.ok()?);
    }
    bytes.truncate(count);
    Some(bytes.freeze())
}
