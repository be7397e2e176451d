//! What the crate promises, tested from outside.

#![expect(clippy::unwrap_used, reason = "a test helper fails its test by panicking")]

mod generations;
mod kept_bytes;
mod statistics;
