//! What the crate promises, tested from outside.

#![expect(clippy::unwrap_used, reason = "a test helper fails its test by panicking")]

mod any_server;
mod columns;
mod folder;
mod history;
mod inputs;
mod keys;
mod ledger;
mod object_store_suite;
mod s3;
mod schema;
mod settings;
mod tail;
