//! How a program ends: the kinds of errors, their exit codes, and the last line on stderr.
//!
//! Scripts depend on the codes: add kinds, never change a code.

use std::process::ExitCode;

/// The exit codes, for `--help`.
pub const EXIT_CODES: &str = "Exit codes: 0 done · 2 invalid arguments, settings or schema · 3 the lake is damaged or \
a verification failed · 4 the store can't be reached · 5 a bug";

/// What to do about an error. Each kind has one exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Exit 2. An argument, a setting or a schema is wrong: correct it, then start again.
    Invalid,
    /// Exit 3. The lake contradicts itself: a person must look before anything continues.
    Corrupt,
    /// Exit 4. The store did not answer: try again later, nothing is lost.
    Retry,
    /// Exit 5. The program is wrong: report it.
    Bug,
}

impl ErrorKind {
    /// The exit code of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Invalid => 2,
            Self::Corrupt => 3,
            Self::Retry => 4,
            Self::Bug => 5,
        }
    }
}

impl From<ErrorKind> for ExitCode {
    fn from(kind: ErrorKind) -> Self {
        Self::from(kind.exit_code())
    }
}

/// Prints an error message on stderr and returns its exit code.
pub fn fail(words: &str, kind: ErrorKind) -> ExitCode {
    crate::output::note(format_args!("error: {words}"));
    kind.into()
}

/// Ends the program on a wrong command line: exit 2, or 0 for `--help` and `--version`.
pub fn on_usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    let failed = error.use_stderr() || printed.is_err();
    if failed { ErrorKind::Invalid.into() } else { ExitCode::SUCCESS }
}
