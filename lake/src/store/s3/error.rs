//! S3's responses as an [`object_store::Error`] that shows the caller what to do.
//!
//! Knows S3's status and error codes. Knows nothing about what an operation is for.
//! Invariant: no text contains a secret or a control character, whatever the server sent. The SDK's own error values
//! contain whole requests and responses, so no part of them is kept.

mod answer;

use std::fmt;

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use object_store::Error;

use super::Bucket;
pub(super) use answer::{Answer, clean, innermost};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an S3 operation failed, where [`object_store::Error`] has no variant for it.
///
/// The message starts with what is wrong. `doing` is the operation and its location, as in ``put s3://lake/raw/a``;
/// `detail` is the server's or the system's own reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3Failure {
    /// A setting is not valid. Correct it.
    #[error("{name}: {what}")]
    Settings {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: String,
    },

    /// The bucket does not exist. Create it, or correct its name or the endpoint.
    #[error("bucket {bucket:?} does not exist at {endpoint}; create it, or correct the URL or AWS_ENDPOINT_URL")]
    NoSuchBucket {
        /// The bucket.
        bucket: String,
        /// Where it was looked for.
        endpoint: String,
        /// The operation.
        doing: String,
    },

    /// No answer: nothing is listening, the name is unknown, or the request timed out. Try again later.
    #[error("no answer from {endpoint}: {detail}")]
    Unreachable {
        /// Where the request went.
        endpoint: String,
        /// The operation.
        doing: String,
        /// The reason.
        detail: String,
    },

    /// S3 asks for fewer requests. Try again later.
    #[error("{endpoint} asks for fewer requests: {detail}")]
    Throttled {
        /// The endpoint.
        endpoint: String,
        /// The operation.
        doing: String,
        /// S3's words.
        detail: String,
    },

    /// S3 failed, or its response could not be read. Try again later.
    #[error("{endpoint} failed: {detail}")]
    ServerError {
        /// The endpoint.
        endpoint: String,
        /// The operation.
        doing: String,
        /// S3's words.
        detail: String,
    },

    /// Every try conflicted with another writer of the same key (409); nothing was written. Try again.
    #[error("every try conflicted with another writer of the same key: {detail}")]
    Conflict {
        /// The operation.
        doing: String,
        /// S3's words.
        detail: String,
    },

    /// A conditional write got no final response: it may or may not have happened. Read the key back before deciding.
    #[error("{cause}; {doing} may or may not have happened")]
    UnknownOutcome {
        /// Where the request went.
        endpoint: String,
        /// The write.
        doing: String,
        /// How the last try failed.
        #[source]
        cause: Box<S3Failure>,
    },

    /// Anything else. Trying again would fail again.
    #[error("cannot {doing} at {endpoint}: {detail}")]
    Other {
        /// Where the request went.
        endpoint: String,
        /// The operation.
        doing: String,
        /// S3's words, or what was wrong with its response.
        detail: String,
    },
}

impl S3Failure {
    /// The failure inside a store's error, if there is one.
    pub fn of(error: &Error) -> Option<&Self> {
        match error {
            Error::Generic { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }

    /// Whether the same operation may succeed later. After [`S3Failure::UnknownOutcome`] it may also have succeeded.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Throttled { .. } | Self::ServerError { .. } => true,
            Self::Conflict { .. } | Self::UnknownOutcome { .. } => true,
            Self::Settings { .. } | Self::NoSuchBucket { .. } | Self::Other { .. } => false,
        }
    }

    /// Whether S3 may have carried out a request that failed like this.
    pub(super) fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Throttled { .. } | Self::ServerError { .. })
    }
}

impl From<S3Failure> for Error {
    fn from(failure: S3Failure) -> Self {
        Self::Generic { store: "S3", source: Box::new(failure) }
    }
}

/// One operation on one location in a bucket, for its errors.
#[derive(Clone)]
pub(super) struct Doing {
    verb: &'static str,
    bucket: String,
    endpoint: String,
    path: String,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s3://{}/{}", self.verb, self.bucket, self.path)
    }
}

impl Bucket {
    pub(super) fn doing(&self, verb: &'static str, path: impl fmt::Display) -> Doing {
        let path = path.to_string();
        Doing { verb, bucket: self.name.clone(), endpoint: self.endpoint.clone(), path }
    }
}

impl Doing {
    /// The store's error for an SDK error.
    pub(super) fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.answered(Answer::of(&error))
    }

    /// The error for a response that makes no sense, in our own words.
    pub(super) fn other(&self, detail: impl fmt::Display) -> Error {
        let detail = clean(&detail.to_string());
        S3Failure::Other { endpoint: self.endpoint.clone(), doing: self.to_string(), detail }.into()
    }

    /// The error for a response that ended too early or could not be read.
    pub(super) fn broken_off(&self, detail: impl fmt::Display) -> Error {
        let detail = clean(&detail.to_string());
        S3Failure::ServerError { endpoint: self.endpoint.clone(), doing: self.to_string(), detail }.into()
    }

    /// Adds to a conditional write's error that the write may have happened, if that is possible.
    pub(super) fn in_doubt(&self, error: Error) -> Error {
        let Error::Generic { store, source } = error else { return error };
        match source.downcast::<S3Failure>() {
            Ok(cause) if cause.leaves_doubt() => {
                S3Failure::UnknownOutcome { endpoint: self.endpoint.clone(), doing: self.to_string(), cause }.into()
            }
            Ok(failure) => (*failure).into(),
            Err(source) => Error::Generic { store, source },
        }
    }

    /// The store's error for an [`Answer`].
    pub(super) fn answered(&self, answer: Answer) -> Error {
        let (endpoint, doing) = (self.endpoint.clone(), self.to_string());
        match answer {
            Answer::None { detail } => S3Failure::Unreachable { endpoint, doing, detail }.into(),
            Answer::Unreadable { detail } => S3Failure::ServerError { endpoint, doing, detail }.into(),
            Answer::NotSent { detail } => S3Failure::Other { endpoint, doing, detail }.into(),
            Answer::NoCredentials { detail } => {
                let hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role";
                let source: Cause = format!("no credentials for {endpoint}; {hint} ({detail})").into();
                Error::Unauthenticated { path: self.path.clone(), source }
            }
            Answer::Refused { status, code, detail } => self.by_code(status, &code, detail),
        }
    }

    fn by_code(&self, status: u16, code: &str, detail: String) -> Error {
        let (endpoint, doing, path) = (self.endpoint.clone(), self.to_string(), self.path.clone());
        let source = || -> Cause { format!("{endpoint} refuses to {doing}: {detail}").into() };
        if let Some(wrong) = wrong_credentials(code) {
            return Error::Unauthenticated { path, source: format!("{wrong} at {endpoint}: {detail}").into() };
        }
        match (status, code) {
            (_, "NoSuchBucket") => S3Failure::NoSuchBucket { bucket: self.bucket.clone(), endpoint, doing }.into(),
            (_, "NoSuchKey" | "NoSuchVersion" | "NoSuchUpload") => Error::NotFound { path, source: source() },
            (304, _) => Error::NotModified { path, source: source() },
            (412, _) | (_, "PreconditionFailed") => Error::Precondition { path, source: source() },
            (401, _) => Error::Unauthenticated { path, source: source() },
            // S3 reports its own timeouts with status 400.
            (_, "RequestTimeout" | "InternalError") => S3Failure::ServerError { endpoint, doing, detail }.into(),
            (429 | 503, _) | (_, "SlowDown" | "Throttling" | "ThrottlingException" | "TooManyRequests") => {
                S3Failure::Throttled { endpoint, doing, detail }.into()
            }
            (403, _) | (_, "AccessDenied") => Error::PermissionDenied { path, source: source() },
            // The key that encrypts this object can't be used.
            (400, code) if code.starts_with("KMS.") => Error::PermissionDenied { path, source: source() },
            (409, _) => S3Failure::Conflict { doing, detail }.into(),
            (501, _) | (_, "NotImplemented") => Error::NotSupported { source: source() },
            (500.., _) => S3Failure::ServerError { endpoint, doing, detail }.into(),
            (404, _) => {
                let detail =
                    format!("{detail}; S3 would say whether the key or the bucket is missing: is this an S3 endpoint?");
                S3Failure::Other { endpoint, doing, detail }.into()
            }
            _ => S3Failure::Other { endpoint, doing, detail }.into(),
        }
    }
}

/// Whether S3's code says that the credentials themselves are wrong, so that others could be right.
pub(super) fn blames_credentials(code: &str) -> bool {
    code != "RequestTimeTooSkewed" && wrong_credentials(code).is_some()
}

/// What is wrong with the credentials and what to correct, if S3's code blames them.
fn wrong_credentials(code: &str) -> Option<&'static str> {
    Some(match code {
        "SignatureDoesNotMatch" => "the secret is wrong (AWS_SECRET_ACCESS_KEY)",
        "InvalidAccessKeyId" | "UnrecognizedClientException" => "the access key is unknown (AWS_ACCESS_KEY_ID)",
        "InvalidToken" => "the session token is wrong (AWS_SESSION_TOKEN)",
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => "the credentials have expired: renew them",
        "RequestTimeTooSkewed" => "this machine's clock is wrong",
        _ => return None,
    })
}
