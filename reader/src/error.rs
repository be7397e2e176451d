//! The errors of a statement or of the program, and their exit codes.
//!
//! Invariant: an error's text never contains a secret.

use std::io;

use lake::ErrorKind;

/// Why a statement or the program failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lake could not be read: settings, store, or a damaged ledger.
    #[error(transparent)]
    Lake(#[from] lake::Error),
    /// A statement failed, or DuckDB rejected it: DuckDB's own message.
    #[error("{0}")]
    Sql(String),
    /// A statement would write into the lake, or could not be checked.
    #[error("refused: {0}")]
    Refused(String),
    /// An unknown command of the shell, or one with wrong arguments.
    #[error("{0}")]
    Command(String),
    /// The script could not be read.
    #[error("cannot read {name}")]
    Script {
        /// The file, or `stdin`.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// The output file could not be created.
    #[error("cannot write {name}")]
    Write {
        /// The file.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// A local copy of a committed file could not be written.
    #[error("cannot write {path}")]
    Copy {
        /// The copy.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// The result could not be written.
    #[error("cannot write the result")]
    Output(#[from] io::Error),
    /// The terminal could not be used.
    #[error("cannot use the terminal")]
    Terminal(#[source] io::Error),
    /// A file that a commit names, or a ledger, can't be read.
    #[error("cannot read {view}: {words}\n`consumer verify` lists every file that is missing or damaged")]
    Unreadable {
        /// The relation that it belongs to.
        view: String,
        /// What is wrong with it.
        words: String,
    },
    /// DuckDB rejected a statement of this program.
    #[error("this is a bug: cannot {doing}: {words}")]
    Bug {
        /// What this program was doing.
        doing: &'static str,
        /// DuckDB's message.
        words: String,
    },
}

impl Error {
    /// What to do about the error; decides the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Lake(error) => error.kind(),
            Self::Sql(_)
            | Self::Refused(_)
            | Self::Command(_)
            | Self::Script { .. }
            | Self::Write { .. }
            | Self::Copy { .. }
            | Self::Output(_)
            | Self::Terminal(_) => ErrorKind::Invalid,
            Self::Unreadable { .. } => ErrorKind::Corrupt,
            Self::Bug { .. } => ErrorKind::Bug,
        }
    }

    /// Whether the reader of the output has left. That ends a script without an error.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// An error in a statement that the user wrote.
    pub(crate) fn sql(error: duckdb::Error) -> Self {
        Self::Sql(words(&error))
    }

    /// An error in a statement that this program wrote.
    pub(crate) fn bug(doing: &'static str) -> impl FnOnce(duckdb::Error) -> Self {
        move |error| Self::Bug { doing, words: words(&error) }
    }
}

/// DuckDB's own message.
pub(crate) fn words(error: &duckdb::Error) -> String {
    match error {
        duckdb::Error::DuckDBFailure(_, Some(message)) => message.trim_end().to_owned(),
        other => other.to_string(),
    }
}
