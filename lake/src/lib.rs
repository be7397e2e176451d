//! What Sluice's programs agree on: settings, storage, every object key, the columns, the ledger, the dead-letter
//! contract, and the clock.
//!
//! Knows nothing of JSON records, Parquet, SQL or any sibling crate. The ground floor: everything else stands on it.

pub mod clock;
pub mod columns;
pub mod dead_letter;
mod dotenv;
pub mod error;
pub mod ids;
pub mod keys;
pub mod ledger;
pub mod process;
pub mod settings;
pub mod store;
pub mod stream;

pub use error::{Error, ErrorKind};
