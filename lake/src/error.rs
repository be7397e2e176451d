//! What can go wrong with a lake, and what the one who is told should do about it.
//!
//! A bad record is never an error: it is a dead letter. These are for us.

use crate::{keys::ZoneName, settings::Problems};

/// What to do about an error. Maps one to one to a program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Exit 1. Another consumer took the stream over; starting again is safe.
    Fenced,
    /// Exit 2. An argument, a setting or a schema is wrong: correct it, then start again.
    Invalid,
    /// Exit 3. The lake contradicts itself: do not go on before a person has looked.
    Corrupt,
    /// Exit 4. The store did not answer: try again later, nothing is lost.
    Retry,
    /// Exit 5. The program is wrong: report it.
    Bug,
}

impl ErrorKind {
    /// The exit code that tells a script the kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Fenced => 1,
            Self::Invalid => 2,
            Self::Corrupt => 3,
            Self::Retry => 4,
            Self::Bug => 5,
        }
    }
}

/// An error of this crate; its cause, if any, is its `source()`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings, arguments or definitions are wrong; all that is wrong is listed at once.
    #[error("{0}")]
    Settings(Problems),

    /// The store refused or failed an operation.
    ///
    /// What is wrong comes first, for those who read one line and no further.
    #[error("{}; cannot {doing}", crate::store::reason(source))]
    Store {
        /// What this layer was doing, and where.
        doing: String,
        /// The store's own words.
        source: object_store::Error,
    },

    /// There is nothing where the settings say that the lake is.
    #[error("there is no lake at {url}: correct LAKE_URL or CHECKPOINTS_URL, or run a consumer, which creates it")]
    NoLake {
        /// Where it was looked for.
        url: String,
    },

    /// The store accepted a second create of one key, so that two consumers could both win a batch.
    #[error(
        "the store of zone {zone} at {url} ignores conditional creates (If-None-Match), so batches could be committed \
         twice; use a store that honours them, such as AWS S3, MinIO or local-s3"
    )]
    ConditionalCreateIgnored {
        /// The zone whose store was tested.
        zone: ZoneName,
        /// Where it is.
        url: String,
    },

    /// The store deleted another version of an object than it was told to, so that an object overwritten at that moment
    /// would be lost.
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
        /// What the system said.
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

    /// Something that the code holds to be impossible.
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

    /// A damaged stored file; `what` says what is wrong with it.
    pub fn damaged(key: impl ToString, what: impl Into<String>) -> Self {
        Self::Damaged { key: key.to_string(), what: what.into() }
    }
}

/// An error and its causes on one line, each said once.
///
/// Control characters are escaped: parts of the text may have come from a server or an object's key.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let from_store = error.downcast_ref::<object_store::Error>();
        let words = from_store.map_or_else(|| error.to_string(), crate::store::reason);
        // Some libraries print their cause as a part of their own text.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = if from_store.is_some() { None } else { error.source() };
    }
    escape_control(&text)
}

/// The text with every control character but the line feed escaped, so that no terminal obeys it.
pub fn escape_control(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            escaped.extend(c.escape_unicode());
        } else {
            escaped.push(c);
        }
    }
    escaped
}
