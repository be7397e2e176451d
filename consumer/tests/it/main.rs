//! What the consumer promises, tested through its public interfaces.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails its test by panicking, too")]

mod after_commit;
mod agreement;
mod cli;
mod cost;
mod decode;
mod enforce;
mod failpoints;
mod formats;
mod hostile_store;
mod input;
mod lake_in_a_folder;
mod lake_on_s3;
mod limits;
mod one_task;
mod processes;
mod program;
mod protocol;
mod rows;
mod simulation;
mod truth;
