//! The reader on small lakes, as a library and as a program.

#![expect(clippy::unwrap_used, reason = "test helpers also fail a test by panicking")]

mod formats;
mod guard;
mod ledger;
mod mentioned;
mod prompt;
mod s3;
mod scripts;
mod secrets;
mod subtraction;
mod support;
mod verify;
mod views;
