//! What a file system could not do, as an [`object_store::Error`] that tells the caller what to do.
//!
//! Knows the system's errors. Knows nothing of what an operation was for.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use object_store::Error;

use super::name::shown;

/// Why a file system could not do an operation, where [`object_store::Error`] has no variant for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderFailure {
    /// Nothing more can be written. Make room, then try again.
    #[error("the disk that holds {path} is full, or its quota used up; make room, then start again")]
    Full {
        /// The file that was to be written.
        path: String,
    },

    /// Anything else.
    #[error("cannot {doing} {path}: {detail}")]
    Other {
        /// The operation.
        doing: &'static str,
        /// The file.
        path: String,
        /// The system's own words.
        detail: String,
    },
}

impl FolderFailure {
    /// The failure inside a store's error, if that is what it holds.
    pub fn of(error: &Error) -> Option<&Self> {
        match error {
            Error::Generic { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }
}

impl From<FolderFailure> for Error {
    fn from(failure: FolderFailure) -> Self {
        Self::Generic { store: "file", source: Box::new(failure) }
    }
}

/// The store's error for what the system reports.
pub(super) fn failed<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Error + 'a {
    move |source| {
        let words = || FolderFailure::Other { doing, path: shown(path), detail: source.to_string() };
        match source.kind() {
            kind if is_absence(kind) => Error::NotFound { path: shown(path), source: words().into() },
            ErrorKind::AlreadyExists => Error::AlreadyExists { path: shown(path), source: words().into() },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Error::PermissionDenied { path: shown(path), source: words().into() }
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FolderFailure::Full { path: shown(path) }.into(),
            _ => words().into(),
        }
    }
}

/// Whether the system says that there is no such file, and that there may be none.
pub(super) fn is_absence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename)
}

#[cfg(test)]
mod tests;
