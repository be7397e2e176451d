//! File system errors as an [`object_store::Error`] that shows the caller what to do.
//!
//! Knows the system's errors. Knows nothing about what an operation is for.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use object_store::Error;

use super::name::shown;

/// Why a file system operation failed, where [`object_store::Error`] has no variant for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderFailure {
    /// The disk is full. Free some space, then try again.
    #[error("the disk of {path} is full, or its quota is used up; free some space, then start again")]
    Full {
        /// The file to write.
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
    /// The failure inside a store's error, if there is one.
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

/// The store's error for a system error.
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

/// Whether the system says that a file does not exist or can't exist.
pub(super) fn is_absence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename)
}

#[cfg(test)]
mod tests;
