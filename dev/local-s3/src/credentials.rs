//! The one pair of credentials a server accepts.
//!
//! Knows nothing about signatures. Credentials come from the environment, never from the command line, where `ps` would
//! show them.
//! Invariant: no `Debug` or `Display` in this crate prints the secret.

use program::Secret;

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
