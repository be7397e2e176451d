//! What can go wrong while producing, and what the one who is told should do about it.

use std::{io, path::PathBuf};

use lake::ErrorKind;

/// An error of this crate; its cause, if any, is its `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings are wrong, or the store failed.
    #[error(transparent)]
    Lake(#[from] lake::Error),

    /// The store did not take objects for so long that it was given up.
    #[error("gave up on {url} after {seconds} s")]
    GaveUp {
        /// The raw zone's place.
        url: String,
        /// How long it was tried.
        seconds: u64,
        /// Why the last try failed.
        source: Box<lake::Error>,
    },

    /// Asked to stop, and the store did not take what had been made before.
    #[error("stopped before {url} took the last {batches} batches")]
    Unsent {
        /// The raw zone's place.
        url: String,
        /// How many batches were not known to be stored.
        batches: usize,
    },

    /// Another object stands under a key that follows from the seed.
    #[error(
        "{location} holds other bytes: another run with this --seed wrote it; choose another seed, or empty the lake"
    )]
    KeyTaken {
        /// Where it stands.
        location: String,
    },

    /// The truth file can't be used.
    #[error("cannot {doing} the truth file {}", path.display())]
    Truth {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// Stdout can't be written to, for another reason than that its reader is gone.
    #[error("cannot write to stdout")]
    Stdout {
        /// What the system said.
        source: io::Error,
    },

    /// A part of this program ended by a panic.
    #[error("this is a bug: a task of the producer ended early")]
    Bug {
        /// Which one, and how.
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
