//! What all programs have in common: exit codes, logs, `.env`, signals, waiting between retries, safe output, secrets,
//! memory.
//!
//! Knows nothing about lakes, streams or stores, so that every program can use it.

pub mod backoff;
mod dotenv;
pub mod exit;
pub mod logs;
pub mod memory;
pub mod output;
mod secret;
pub mod signals;

pub use dotenv::read_dotenv;
pub use exit::{EXIT_CODES, ErrorKind};
pub use secret::Secret;
