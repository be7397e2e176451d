//! What can go wrong with a table's files.

use lake::{ErrorKind, error::describe};
use parquet::errors::ParquetError;

/// An error of this crate; its cause, if any, is its `source()`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Parquet refused rows that have the file's schema.
    #[error("this is a bug: cannot write Parquet: {}", describe(.0))]
    Write(ParquetError),

    /// A committed file can't be read.
    #[error("cannot read {key}")]
    Read {
        /// The file.
        key: String,
        /// The error of Parquet or the store.
        source: ParquetError,
    },

    /// A committed file is not what its table says; restore it from a backup.
    #[error("{key} {what}; restore it from a backup")]
    Damaged {
        /// The file.
        key: String,
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    /// What to do about the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Write(_) => ErrorKind::Bug,
            Self::Read { source, .. } => match store_error(source) {
                Some(object_store::Error::NotFound { .. }) | None => ErrorKind::Corrupt,
                Some(error) => lake::store::kind_of(error),
            },
            Self::Damaged { .. } => ErrorKind::Corrupt,
        }
    }
}

/// The store error inside a Parquet error.
fn store_error(error: &ParquetError) -> Option<&object_store::Error> {
    match error {
        ParquetError::External(cause) => cause.downcast_ref(),
        _ => None,
    }
}
