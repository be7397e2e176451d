//! What can go wrong with a lake, and what to do about it.
//!
//! A bad record is never an error: it is a dead letter. These errors are about the lake itself.

pub use program::ErrorKind;
use program::output;

use crate::{keys::ZoneName, settings::Problems};

/// An error of this crate; its cause, if any, is its `source()`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings, arguments or definitions are wrong; all mistakes are listed at once.
    #[error("{0}")]
    Settings(Problems),

    /// The store refused or failed an operation.
    ///
    /// The cause comes first, for people who read only one line.
    #[error("{}; cannot {doing}", crate::store::reason(source))]
    Store {
        /// What this layer was doing, and where.
        doing: String,
        /// The store's own words.
        source: object_store::Error,
    },

    /// There is nothing at the lake's configured place.
    #[error("found no lake at {url}: correct LAKE_URL or the zones' URLs, or run a consumer, which creates it")]
    NoLake {
        /// Where it was looked for.
        url: String,
    },

    /// The store accepted a second create of one key, so two consumers could both win a batch.
    #[error(
        "the store of zone {zone} at {url} ignores conditional creates (If-None-Match), so batches could be committed \
         twice; set {} to a folder (file:///...) for every program that uses this lake, since only the ledger needs \
         them and the other zones can stay where they are, or use a store that honours them, such as AWS S3, MinIO or \
         local-s3",
        zone.variable()
    )]
    ConditionalCreateIgnored {
        /// The zone whose store was tested.
        zone: ZoneName,
        /// Where it is.
        url: String,
    },

    /// The store ignored the condition of a delete and deleted another version, so that an object overwritten at that
    /// moment would be lost.
    #[error(
        "the store of zone raw at {url} ignores the condition of a delete (If-Match), so an object that is overwritten \
         while it is removed would be lost; set source.after_commit to \"keep\", or use a store that honours it"
    )]
    ConditionalDeleteIgnored {
        /// Where the zone is.
        url: String,
    },

    /// The result can't be printed.
    #[error("cannot write the result to stdout")]
    Stdout {
        /// The system's error.
        source: std::io::Error,
    },

    /// A stored file of the ledger contradicts its format or another file.
    #[error("the ledger is damaged: {key}: {what}")]
    Damaged {
        /// The file.
        key: String,
        /// What is wrong with it, and what to do.
        what: String,
    },

    /// Something that the code assumes is impossible.
    #[error("this is a bug: {0}")]
    Bug(String),
}

impl Error {
    /// What to do about the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Settings(_)
            | Self::NoLake { .. }
            | Self::ConditionalCreateIgnored { .. }
            | Self::ConditionalDeleteIgnored { .. } => ErrorKind::Invalid,
            Self::Store { source, .. } => crate::store::kind_of(source),
            Self::Stdout { .. } => ErrorKind::Retry,
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::Bug(_) => ErrorKind::Bug,
        }
    }

    pub(crate) fn store(doing: impl Into<String>) -> impl FnOnce(object_store::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Store { doing, source }
    }

    /// A damaged stored file; `what` describes the damage.
    pub fn damaged(key: impl ToString, what: impl Into<String>) -> Self {
        Self::Damaged { key: key.to_string(), what: what.into() }
    }
}

/// An error and its causes on one line, each once, without control characters: parts of the text may come from a server
/// or an object's key.
pub fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    output::describe_with(error, |cause| cause.downcast_ref::<object_store::Error>().map(crate::store::reason))
}
