//! Makes batches of synthetic events, some corrupt on purpose, sends them, and tells the truth about them.
//!
//! `make → damage → tell → send`: [`batch`] makes a batch's bytes and what must become of them from a seed and a
//! number, [`truth`] is the shape in which that is told, [`run`] sends. Knows nothing of whoever reads the objects.
//! Invariant: whatever is sent was told before, so that the truth can't miss an object.

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
