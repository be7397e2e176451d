//! The reader against small lakes, as a library and as a program.

mod formats;
mod ledger;
mod prompt;
mod s3;
mod scripts;
mod support;
mod views;
