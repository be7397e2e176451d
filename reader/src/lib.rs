//! A DuckDB shell over a lake: every stream's committed rows and dead letters, and the ledger, as SQL.
//!
//! `args → settings → session`: before each statement, a [`session::Session`] asks the [`catalog`] for new commits,
//! updates [`views`] and [`ledger_tables`], and lets DuckDB run the statement. Knows nothing about how batches are
//! made. Invariant: it only reads the lake.

pub mod args;
pub mod catalog;
pub mod error;
pub mod guard;
pub mod ledger_tables;
pub mod listing;
pub mod mentioned;
pub mod names;
pub mod output;
pub mod query;
pub mod quote;
pub mod relations;
pub mod script;
pub mod secrets;
pub mod session;
pub mod settings;
pub mod shell;
pub mod sql_types;
pub mod storage;
pub mod tokens;
pub mod views;

pub use error::Error;
