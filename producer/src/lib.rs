//! Makes batches of synthetic events, some corrupt on purpose, sends them, and records the expected result of each.
//!
//! `make → damage → write truth → send`: [`batch`] makes a batch's bytes and its expected result from a seed and a
//! number, [`truth`] defines how expected results are written, [`run`] sends. Knows nothing about consumers.
//! Invariant: an object's truth is written before the object is sent, so the truth can't miss an object.

pub mod batch;
pub mod error;
pub mod run;
pub mod settings;
pub mod truth;

mod compression;
mod corrupt;
mod csv;
mod dice;
mod event;
mod names;
mod pace;
mod retry;
mod send;
mod totals;

pub use compression::Compression;
pub use corrupt::Corruption;
pub use error::Error;
pub use event::InvalidKind;
