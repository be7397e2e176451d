//! Why a server could not start, and what the operator does about it.
//!
//! Knows nothing about S3 error codes: those are for clients, these are for the operator.
//! Invariant: every error has one [`ErrorKind`], and every kind has one exit code.

use std::net::SocketAddr;
use std::path::PathBuf;

pub use program::ErrorKind;

/// What can go wrong between [`crate::Config`] and a running server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A bucket of the configuration has a name S3 does not allow.
    #[error("bucket name {name:?} is not valid: use 3 to 63 lower-case letters, digits, dots and hyphens")]
    BucketName {
        /// The name as given.
        name: String,
    },
    /// The fault plan has mistakes.
    #[error("the fault plan has mistakes: {}", .problems.join("; "))]
    FaultPlan {
        /// Each mistake, with its path in the plan.
        problems: Vec<String>,
    },
    /// Another program listens on the port.
    #[error(
        "port {} on {} is taken: stop the program that listens there, or choose another with --port (0 picks a free one)",
        .address.port(), .address.ip()
    )]
    PortTaken {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The server cannot listen on the address, for another reason.
    #[error("cannot listen on {address}: check --host and --port")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another server uses the root directory.
    #[error("{} is in use by another local-s3: stop it, or choose another --root", .root.display())]
    RootInUse {
        /// The directory both want.
        root: PathBuf,
    },
    /// The root directory cannot be read or written.
    #[error("cannot use {} as the root: check that it is a directory this user may write to", .path.display())]
    Root {
        /// The file or directory that failed.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The index under the root cannot be opened.
    #[error(
        "cannot open the index {}: it is damaged, or was written by another version of local-s3; restore it together \
         with blobs/ from a backup, or choose another --root", .path.display()
    )]
    Index {
        /// The index file.
        path: PathBuf,
        /// What the index library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A step that should never fail did.
    #[error("internal error while {doing}: please report it")]
    Bug {
        /// The step.
        doing: &'static str,
    },
}

impl Error {
    /// The kind of this error, which says what to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BucketName { .. } | Self::FaultPlan { .. } => ErrorKind::Invalid,
            Self::PortTaken { .. }
            | Self::Listen { .. }
            | Self::RootInUse { .. }
            | Self::Root { .. }
            | Self::Index { .. } => ErrorKind::Retry,
            Self::Bug { .. } => ErrorKind::Bug,
        }
    }
}
