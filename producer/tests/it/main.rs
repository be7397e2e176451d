//! What the producer promises, held to its bytes, its truth and its program.

mod batches;
mod program;
mod settings;
mod support;
mod truth_file;
