//! What the crate promises, tested from outside.

mod object_store_suite;
mod s3;
