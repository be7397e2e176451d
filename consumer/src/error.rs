//! What can go wrong with a consumer, as opposed to a record.

use std::time::Duration;

use lake::{ErrorKind, error::describe};
use parquet::errors::ParquetError;

use crate::attempts::DEATHS_MAX;

/// An error of this crate; its cause, if any, is its `source()`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lake, its settings or its store.
    #[error(transparent)]
    Lake(#[from] lake::Error),

    /// A planned object can't be fetched at the moment.
    #[error("cannot read {key}")]
    Fetch {
        /// The object.
        key: String,
        /// The store's own words.
        source: object_store::Error,
    },

    /// A body ended before all of the object had come.
    #[error("the store sent {received} of the {expected} bytes of {key}")]
    ShortBody {
        /// The object.
        key: String,
        /// The bytes that came.
        received: u64,
        /// The bytes that should have.
        expected: u64,
    },

    /// An object was worked on for so long that it is held to hang.
    #[error(
        "{key} was worked on for more than {}, the limit of limits.object_time; the next start tries it again, and after \
         {DEATHS_MAX} such ends it becomes a dead letter",
        humantime::format_duration(*limit)
    )]
    Hung {
        /// The object.
        key: String,
        /// How long an object may take.
        limit: Duration,
    },

    /// The ledger or a file contradicts what was verified or planned.
    #[error("{0}")]
    Corrupt(String),

    /// Something that the code holds to be impossible.
    #[error("this is a bug: {0}")]
    Bug(String),
}

impl Error {
    /// What to do about the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Lake(error) => error.kind(),
            Self::Fetch { source, .. } => lake::store::kind_of(source),
            Self::ShortBody { .. } => ErrorKind::Retry,
            Self::Corrupt(_) => ErrorKind::Corrupt,
            Self::Hung { .. } | Self::Bug(_) => ErrorKind::Bug,
        }
    }
}

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        Self::Bug(format!("cannot write Parquet: {}", describe(&error)))
    }
}
