//! What the consumer promises, tested through its public interfaces.

#![expect(clippy::unwrap_used, reason = "a test helper fails its test by panicking")]

mod after_commit;
mod agreement;
mod any_work;
mod blame;
mod cli;
mod cost;
mod csv;
mod decode;
mod drafts;
mod earlier_version;
mod enforce;
mod failpoints;
mod formats;
mod hints;
mod hints_by_queue;
mod hostile_store;
mod input;
mod isolated;
mod known;
mod lake_in_a_folder;
mod lake_on_s3;
mod leftovers;
mod limits;
mod listing_in_parts;
mod looks;
mod one_task;
mod other_processes;
mod processes;
mod program;
mod protocol;
mod resources;
mod restore;
mod rotated_keys;
mod rows;
mod simulation;
mod store_wait;
mod transfers;
mod truth;
mod unreadable;
