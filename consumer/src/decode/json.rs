//! JSON: one cursor over its text, a strict parser of one record, and the feeders of arrays and lines.

pub(crate) mod array;
mod cursor;
pub(crate) mod lines;
mod parse;

pub(crate) use cursor::{Cursor, Doubt};
pub use parse::{Limits, parse};
