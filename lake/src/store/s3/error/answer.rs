//! Reduces an SDK error to what matters: whether there was a response, and which.
//!
//! Knows the SDK's error values. Knows nothing about what a response means.
//! Invariant: every text that leaves this file went through [`clean`].

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

const TEXT_CHARS_MAX: usize = 300;

/// How a failed request ended.
#[derive(Clone)]
pub(in super::super) enum Answer {
    /// No response came.
    None { detail: String },
    /// The response could not be read to its end.
    Unreadable { detail: String },
    /// The request was never sent.
    NotSent { detail: String },
    /// The request was never sent, for lack of credentials to sign it.
    NoCredentials { detail: String },
    /// S3 refused. `status` is 0 for one key's entry in a response about many; `code` is empty if S3 sent none.
    Refused { status: u16, code: String, detail: String },
}

impl Answer {
    pub(in super::super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        if let Some(reason) = credentials_error(error) {
            return Self::NoCredentials { detail: clean(&reason) };
        }
        let detail = innermost(error);
        match error {
            SdkError::ServiceError(refusal) => {
                let (code, message) = (refusal.err().code(), refusal.err().message());
                let mut detail = described(refusal.raw().status().as_u16(), code, message);
                if let Some(region) = refusal.raw().headers().get("x-amz-bucket-region")
                    && matches!(refusal.raw().status().as_u16(), 301 | 307 | 400)
                {
                    detail.push_str(&clean(&format!("; the bucket is in region {region}: set AWS_REGION")));
                }
                Self::Refused {
                    status: refusal.raw().status().as_u16(),
                    code: code.unwrap_or_default().to_owned(),
                    detail,
                }
            }
            SdkError::ConstructionFailure(_) => Self::NotSent { detail },
            SdkError::DispatchFailure(failure) if failure.is_user() => Self::NotSent { detail },
            SdkError::ResponseError(_) => Self::Unreadable { detail: format!("unreadable response: {detail}") },
            _ if is_refused_connection(error) => Self::None { detail: "nothing is listening there".to_owned() },
            _ => Self::None { detail },
        }
    }

    /// One key's entry in a response about many keys.
    pub(in super::super) fn entry(code: Option<&str>, message: Option<&str>) -> Self {
        Self::Refused { status: 0, code: code.unwrap_or_default().to_owned(), detail: described(0, code, message) }
    }

    /// The request could not even be built.
    pub(in super::super) fn not_sent(error: &(dyn Error + 'static)) -> Self {
        Self::NotSent { detail: innermost(error) }
    }

    /// Whether S3 refused with one of these codes.
    pub(in super::super) fn has_code(&self, codes: &[&str]) -> bool {
        matches!(self, Self::Refused { code, .. } if codes.contains(&code.as_str()))
    }
}

/// `403 AccessDenied: you may not`, or as much of it as there is.
fn described(status: u16, code: Option<&str>, message: Option<&str>) -> String {
    let status = if status == 0 { String::new() } else { status.to_string() };
    let head = [status.as_str(), code.unwrap_or_default()].into_iter().filter(|part| !part.is_empty());
    let head = head.collect::<Vec<_>>().join(" ");
    clean(&message.map_or(head.clone(), |message| format!("{head}: {message}")))
}

/// The deepest cause in a chain of errors: what the system said, without the SDK's layers around it.
pub(in super::super) fn innermost(error: &(dyn Error + 'static)) -> String {
    clean(&chain(error).last().unwrap_or(error).to_string())
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn is_refused_connection(error: &(dyn Error + 'static)) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    chain(error).filter_map(|error| error.downcast_ref()).any(refused)
}

fn credentials_error(error: &(dyn Error + 'static)) -> Option<String> {
    let found = chain(error).find_map(|error| error.downcast_ref::<CredentialsError>())?;
    Some(match found {
        CredentialsError::CredentialsNotLoaded(_) => "none found".to_owned(),
        other => innermost(other),
    })
}

/// Text from outside as one line of limited length without characters that a terminal would act on.
pub(in super::super) fn clean(text: &str) -> String {
    let mut cleaned: String = text
        .chars()
        .map(|character| if program::output::is_obeyed(character) { ' ' } else { character })
        .take(TEXT_CHARS_MAX)
        .collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() {
        cleaned.push('…');
    }
    cleaned
}
