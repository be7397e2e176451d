//! What Sluice's programs agree on: settings, storage, every object key, schema documents and the columns that
//! follow from them, the ledger, the dead-letter contract, and the clock.
//!
//! Knows nothing about JSON records, Parquet, SQL or any sibling crate. Every other crate builds on it.

pub mod clock;
pub mod columns;
pub mod dead_letter;
pub mod error;
pub mod ids;
pub mod keys;
pub mod ledger;
pub mod schema;
pub mod settings;
pub mod store;
pub mod stream;
mod zone;

pub use error::Error;
pub use program::ErrorKind;
