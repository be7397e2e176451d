//! What the crate promises, tested from outside.

mod columns;
mod keys;
mod ledger;
mod object_store_suite;
mod s3;
mod settings;
