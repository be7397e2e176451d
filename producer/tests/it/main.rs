//! What the producer promises, held to its bytes, its truth and its program.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands, in its helpers too")]

mod batches;
mod compression;
mod corruption;
mod csv;
mod program;
mod settings;
mod support;
mod truth_file;
