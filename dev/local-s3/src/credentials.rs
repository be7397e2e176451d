//! The one pair of credentials a server accepts; it can be exchanged while the server runs.
//!
//! Knows nothing about signatures. Credentials come from the environment, never from the command line, where `ps` would
//! show them.
//! Invariant: no `Debug` or `Display` in this crate prints the secret.

use std::sync::{Arc, PoisonError, RwLock};

use program::Secret;
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

/// The access key and its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    access_key: String,
    secret_key: Secret,
}

impl Credentials {
    /// Makes a pair from its two halves.
    #[must_use]
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self { access_key: access_key.into(), secret_key: Secret::new(secret_key) }
    }

    /// The public half.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The secret half.
    #[must_use]
    pub fn secret_key(&self) -> &Secret {
        &self.secret_key
    }
}

/// The pair that is accepted now.
#[derive(Clone, Debug)]
pub(crate) struct Accepted(Arc<RwLock<Credentials>>);

impl Accepted {
    pub(crate) fn only(credentials: Credentials) -> Self {
        Self(Arc::new(RwLock::new(credentials)))
    }

    pub(crate) fn replace(&self, credentials: Credentials) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = credentials;
    }
}

#[async_trait::async_trait]
impl S3Auth for Accepted {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let accepted = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if accepted.access_key() != access_key {
            return Err(s3_error!(InvalidAccessKeyId, "the access key is not the one that this server accepts"));
        }
        Ok(SecretKey::from(accepted.secret_key().expose()))
    }
}
