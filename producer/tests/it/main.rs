//! Tests what the producer promises: its bytes, its truth and its program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails on the spot, in its helpers too")]

mod batches;
mod compression;
mod corruption;
mod csv;
mod program;
mod settings;
mod support;
mod truth_file;
