//! What can go wrong while producing, and what the user should do about it.

use std::{io, path::PathBuf};

use lake::ErrorKind;
use program::backoff::Patience;

/// An error of this crate; its cause, if any, is its `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings are wrong, or the store failed.
    #[error(transparent)]
    Lake(#[from] lake::Error),

    /// The store failed for too long.
    #[error("gave up on {url} after {patience}; --store-wait sets how long")]
    GaveUp {
        /// The raw zone's URL.
        url: String,
        /// How long the producer kept trying.
        patience: Patience,
        /// The last failure.
        source: Box<lake::Error>,
    },

    /// Stopped before the store took all batches that were already made.
    #[error("stopped before {url} took the last {batches} batches")]
    Unsent {
        /// The raw zone's URL.
        url: String,
        /// How many batches are not known to be stored.
        batches: usize,
    },

    /// Another object already has a key that follows from the seed.
    #[error(
        "{location} exists with other bytes: another run with this seed wrote it; choose another seed or empty the lake"
    )]
    KeyTaken {
        /// Where the object is.
        location: String,
    },

    /// The truth file can't be used.
    #[error("cannot {doing} the truth file {}", path.display())]
    Truth {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },

    /// Writing to stdout failed, and not because its reader is gone.
    #[error("cannot write to stdout")]
    Stdout {
        /// The system's error.
        source: io::Error,
    },

    /// A task of this program panicked.
    #[error("this is a bug: a task of the producer ended early")]
    Bug {
        /// Which task, and how.
        source: tokio::task::JoinError,
    },
}

impl Error {
    /// What to do about the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Lake(error) => error.kind(),
            Self::GaveUp { .. } | Self::Unsent { .. } | Self::Stdout { .. } => ErrorKind::Retry,
            Self::KeyTaken { .. } | Self::Truth { .. } => ErrorKind::Invalid,
            Self::Bug { .. } => ErrorKind::Bug,
        }
    }
}
