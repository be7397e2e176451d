//! Assigns field ids to columns, so that a column keeps its id across schema versions.
//!
//! Invariant: an id is assigned once; two columns of one stream never share one, not even in different versions.

use super::{Column, ColumnType, FIRST_STREAM_COLUMN_ID};

/// The ids that a stream has assigned, and their columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnIds {
    /// The columns of the newest version.
    pub current: Vec<Column>,
    /// Columns of earlier versions that the newest does not have, or has with another type.
    pub former: Vec<Column>,
    /// The next free id.
    pub next: i32,
}

impl Default for ColumnIds {
    fn default() -> Self {
        Self { current: Vec::new(), former: Vec::new(), next: FIRST_STREAM_COLUMN_ID }
    }
}

impl ColumnIds {
    /// The ids after a new version whose columns are `columns` (numbered or not).
    ///
    /// A column keeps its id if an earlier one of the same name had the same type, or one that widens into it (integer
    /// to number, more fields in a struct). Otherwise it is a new column, and the earlier one becomes a former one.
    pub fn advance(self, columns: Vec<Column>) -> Self {
        let Self { current, former, mut next } = self;
        let mut earlier: Vec<Column> = current.into_iter().chain(former).collect();
        let current = columns.into_iter().map(|column| number(column, &mut earlier, &mut next)).collect();
        Self { current, former: earlier, next }
    }
}

/// Numbers a column, taking its predecessor out of `earlier` if there is one.
fn number(mut column: Column, earlier: &mut Vec<Column>, next: &mut i32) -> Column {
    let predecessor = earlier.iter().position(|old| old.name == column.name && continues(&old.kind, &column.kind));
    let predecessor = predecessor.map(|at| earlier.remove(at));
    column.id = match &predecessor {
        Some(old) => old.id,
        None => take(next),
    };
    let old_kind = predecessor.map(|old| old.kind);
    column.kind = number_inside(column.kind, old_kind, next);
    column
}

fn number_inside(kind: ColumnType, old: Option<ColumnType>, next: &mut i32) -> ColumnType {
    match (kind, old) {
        (ColumnType::Struct(fields), old) => {
            let mut earlier = if let Some(ColumnType::Struct(fields)) = old { fields } else { Vec::new() };
            ColumnType::Struct(fields.into_iter().map(|field| number(field, &mut earlier, next)).collect())
        }
        (ColumnType::List(element), old) => {
            let mut earlier = if let Some(ColumnType::List(element)) = old { vec![*element] } else { Vec::new() };
            ColumnType::List(Box::new(number(*element, &mut earlier, next)))
        }
        (ColumnType::Map { key, value }, old) => {
            let mut earlier = match old {
                Some(ColumnType::Map { key, value }) => vec![*key, *value],
                _ => Vec::new(),
            };
            let key = Box::new(number(*key, &mut earlier, next));
            ColumnType::Map { key, value: Box::new(number(*value, &mut earlier, next)) }
        }
        (flat, _) => flat,
    }
}

/// Whether values written under the old type can be read as the new one unchanged.
fn continues(old: &ColumnType, new: &ColumnType) -> bool {
    match (old, new) {
        (ColumnType::Int64, ColumnType::Float64) => true,
        (ColumnType::List(old), ColumnType::List(new)) => continues(&old.kind, &new.kind),
        (ColumnType::Map { value: old, .. }, ColumnType::Map { value: new, .. }) => continues(&old.kind, &new.kind),
        (ColumnType::Struct(old), ColumnType::Struct(new)) => {
            // A reader of the struct would lose a removed field, so the struct becomes a new column.
            old.iter().all(|old| new.iter().any(|new| new.name == old.name && continues(&old.kind, &new.kind)))
        }
        (old, new) => old == new,
    }
}

fn take(next: &mut i32) -> i32 {
    let id = *next;
    *next += 1;
    id
}
