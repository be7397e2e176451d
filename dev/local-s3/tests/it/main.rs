//! What a client of local-s3 may rely on, tested over HTTP with the AWS SDK.
//!
//! One binary, so that the SDK is linked once. Needs no Docker and no network but 127.0.0.1.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, in a helper as in the test itself")]

mod conditions;
mod configurations;
mod digests;
mod fault_answers;
mod fault_plans;
mod fault_reads;
mod faults;
mod keys;
mod listings;
mod notifications;
mod objects;
mod process;
mod requests;
mod support;
mod uploads;
mod versions;
