//! Reads the first row of a CSV object, which names the fields.
//!
//! Knows which names the schema needs. Invariant: a first row that is surely not a header is a fault of the object, and
//! so no record is ever taken for a header and lost.

use std::collections::HashSet;

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::ReadSettings,
};

use super::{
    Cell, Row, cells,
    fields::{CellKind, CellTypes},
};
use crate::decode::not_utf8;

/// How many missing names a message lists.
const LISTED_MAX: usize = 10;

/// The names in a CSV object's first row.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) names: Vec<String>,
    pub(super) kinds: Vec<(CellKind, bool)>,
}

impl Header {
    /// Reads the first row.
    ///
    /// # Errors
    /// The fault of the object as a whole: without names, no row can be read.
    pub(super) fn read(row: &Row<'_>, types: &CellTypes, settings: &ReadSettings) -> Result<Self, Fault> {
        let corrupted = |code, message: String| Fault::new(Reason::CorruptedBatch, code, message);
        if let Some(fault) = &row.fault {
            return Err(corrupted(fault.code, format!("the header can't be read: {}", fault.message)));
        }
        let text = std::str::from_utf8(row.raw).map_err(|error| not_utf8(Reason::CorruptedBatch, "header", error))?;
        let mut read = Vec::new();
        cells(text, &settings.csv, &mut read)
            .map_err(|what| corrupted(ErrorCode::NotCsv, format!("line {}, the header: {what}", row.line)))?;
        if read.len() as u64 > settings.fields_max {
            let message = format!("the header has {} names; limits.fields allows {}", read.len(), settings.fields_max);
            return Err(corrupted(ErrorCode::TooManyFields, message));
        }
        let names: Vec<String> = read.into_iter().map(|cell| name(cell, types)).collect();
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(corrupted(ErrorCode::DuplicateKey, format!("the header has the name {twice:?} twice")));
        }
        if let Some(what) = why_not(&names, types) {
            return Err(corrupted(ErrorCode::BadHeader, format!("line {}: {what}", row.line)));
        }
        let kinds = names.iter().map(|name| types.kind(name));
        Ok(Self { kinds: kinds.collect(), names })
    }
}

/// The name in a cell. Blanks around it don't belong to it, unless they are quoted or the schema has them.
fn name(cell: Cell<'_>, types: &CellTypes) -> String {
    if cell.is_quoted || types.names(&cell.text) {
        return cell.text.into_owned();
    }
    cell.text.trim_matches([' ', '\t']).to_owned()
}

/// Why these can't be the names of a header, if they can't.
fn why_not(names: &[String], types: &CellTypes) -> Option<String> {
    if let Some(name) = names.iter().find(|name| name.contains(['\n', '\r']) && !types.names(name)) {
        return Some(format!("a line end is in the header's name {name:?}; is a quote not closed?"));
    }
    let given: HashSet<&str> = names.iter().map(String::as_str).collect();
    let missing: Vec<_> = types.required.iter().filter(|name| !given.contains(name.as_str())).collect();
    let listed = || {
        let listed = missing.iter().take(LISTED_MAX).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        if missing.len() > LISTED_MAX { format!("{listed} and {} more", missing.len() - LISTED_MAX) } else { listed }
    };
    if !missing.is_empty() {
        let hint = if missing.len() == types.required.len() { "; is the header missing?" } else { "" };
        let names = if missing.len() == 1 { "name" } else { "names" };
        return Some(format!("the header does not have the required {names} {}{hint}", listed()));
    }
    match &types.described {
        Some(described) if !described.is_empty() && !described.iter().any(|name| given.contains(name.as_str())) => {
            Some("the header has no name of the schema; is the header missing?".to_owned())
        }
        _ => None,
    }
}
