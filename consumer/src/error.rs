//! What can go wrong with a consumer, as opposed to a record.

use std::time::Duration;

use lake::ErrorKind;

use crate::execute::DeathCause;

/// An error of this crate; its cause, if any, is its `source()`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lake, its settings or its store.
    #[error(transparent)]
    Lake(#[from] lake::Error),

    /// A file of a table.
    #[error(transparent)]
    Tables(#[from] tables::Error),

    /// A planned object can't be fetched at the moment.
    #[error("cannot read {key}")]
    Fetch {
        /// The object.
        key: String,
        /// The store's own words.
        source: object_store::Error,
    },

    /// A response ended before all of the object had arrived.
    #[error("the store sent {received} of the {expected} bytes of {key}")]
    ShortBody {
        /// The object.
        key: String,
        /// The bytes received.
        received: u64,
        /// The bytes expected.
        expected: u64,
    },

    /// An object took so long that it counts as hung.
    #[error(
        "{key} made no progress for {}, the limit of limits.object_time, and counts as hung; start again: an object \
         that hangs each time becomes a dead letter",
        humantime::format_duration(*limit)
    )]
    Hung {
        /// The object.
        key: String,
        /// How long an object may take.
        limit: Duration,
    },

    /// Child processes died, and no object could be found that makes them die.
    #[error(
        "a task was tried several times, each time in a process of its own that died ({cause}{}); no object makes them \
         die when it is read alone. Something else ends them: another process, or the system because memory runs out. \
         The last words: {last_words:?}",
        reading.as_ref().map(|key| format!(", the last one while it read {key}")).unwrap_or_default()
    )]
    ChildrenDie {
        /// What the last one died of.
        cause: DeathCause,
        /// The object that it was reading.
        reading: Option<String>,
        /// The end of what it wrote.
        last_words: String,
    },

    /// The error of another process.
    #[error("{words}")]
    Elsewhere {
        /// Its kind.
        kind: ErrorKind,
        /// Its message, causes included.
        words: String,
    },

    /// The ledger or a file contradicts what was verified or planned.
    #[error("{0}")]
    Corrupt(String),

    /// Something that the code assumes is impossible.
    #[error("this is a bug: {0}")]
    Bug(String),
}

impl Error {
    /// What to do about the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Lake(error) => error.kind(),
            Self::Tables(error) => error.kind(),
            Self::Fetch { source, .. } => lake::store::kind_of(source),
            Self::ShortBody { .. } | Self::ChildrenDie { .. } => ErrorKind::Retry,
            Self::Elsewhere { kind, .. } => *kind,
            Self::Corrupt(_) => ErrorKind::Corrupt,
            Self::Hung { .. } | Self::Bug(_) => ErrorKind::Bug,
        }
    }
}
