//! Enforcer: decides whether a record is valid, and what is wrong with one that is not.
//!
//! [`Compiled`] reads most records straight into columns. [`Judge`] decides about the rest, with messages. Knows
//! records and schemas, and nothing about stores or plans.

mod compiled;
mod judge;

pub(crate) use compiled::CellPlaces;
pub use compiled::Compiled;
pub use judge::Judge;

pub use crate::decode::json::{Limits, parse};
