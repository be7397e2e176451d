//! JSON Schemas as documents: how their files are read and bundled, and what each reference in them means.
//!
//! Validates nothing. Columns, compiled rules and the types of CSV cells ask [`Document`] where a reference leads, so that they
//! agree with one another. Invariant: where the specification leaves a doubt, the answer is that the place is not known.

mod bundle;
mod cost;
mod document;
mod draft;
mod stand_in;
mod text;
mod uri;

pub use bundle::{Files, bundle, missing_reference};
pub use cost::{Costly, DEPTH_MAX, SCHEMAS_MAX};
pub use document::{Document, Subschema};
pub use draft::{Draft, is_annotation};
pub use stand_in::{NullBeside, StandIn};
pub use text::parse;
