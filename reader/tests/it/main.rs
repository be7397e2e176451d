//! The reader against small lakes, as a library and as a program.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails its test by panicking, too")]

mod formats;
mod guard;
mod ledger;
mod prompt;
mod s3;
mod scripts;
mod support;
mod views;
