//! Assigns field ids to columns, so that a column keeps its id across schema versions.
//!
//! Invariant: an id is assigned once; two columns of one stream never share one, not even in different versions.

use std::collections::HashMap;

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
    /// A column keeps its id if an earlier one of the same name had the same type, or a struct with fewer fields. Otherwise it is a
    /// new column, and the earlier one becomes a former one.
    pub fn advance(self, columns: Vec<Column>) -> Self {
        let Self { current, former, mut next } = self;
        let mut earlier = Earlier::new(current.into_iter().chain(former));
        let current = columns.into_iter().map(|column| number(column, &mut earlier, &mut next)).collect();
        Self { current, former: earlier.rest(), next }
    }
}

/// Columns that may be continued, each by one new column.
#[derive(Default)]
struct Earlier {
    columns: Vec<Option<Column>>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Earlier {
    fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        let columns: Vec<_> = columns.into_iter().map(Some).collect();
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, column) in columns.iter().flatten().enumerate() {
            by_name.entry(column.name.clone()).or_default().push(at);
        }
        Self { columns, by_name }
    }

    /// Takes the first column that the new one continues.
    fn take(&mut self, new: &Column) -> Option<Column> {
        let places = self.by_name.get(&new.name)?;
        let is_earlier = |at: &&usize| self.columns[**at].as_ref().is_some_and(|old| continues(&old.kind, &new.kind));
        let at = *places.iter().find(is_earlier)?;
        self.columns[at].take()
    }

    /// The columns that were not taken.
    fn rest(self) -> Vec<Column> {
        self.columns.into_iter().flatten().collect()
    }
}

/// Numbers a column, taking its predecessor out of `earlier` if there is one.
fn number(mut column: Column, earlier: &mut Earlier, next: &mut i32) -> Column {
    let predecessor = earlier.take(&column);
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
            let mut earlier =
                if let Some(ColumnType::Struct(fields)) = old { Earlier::new(fields) } else { Earlier::default() };
            ColumnType::Struct(fields.into_iter().map(|field| number(field, &mut earlier, next)).collect())
        }
        (ColumnType::List(element), old) => {
            let mut earlier =
                if let Some(ColumnType::List(element)) = old { Earlier::new([*element]) } else { Earlier::default() };
            ColumnType::List(Box::new(number(*element, &mut earlier, next)))
        }
        (ColumnType::Map { key, value }, old) => {
            let mut earlier = match old {
                Some(ColumnType::Map { key, value }) => Earlier::new([*key, *value]),
                _ => Earlier::default(),
            };
            let key = Box::new(number(*key, &mut earlier, next));
            ColumnType::Map { key, value: Box::new(number(*value, &mut earlier, next)) }
        }
        (flat, _) => flat,
    }
}

/// Whether values written under the old type can be read as the new one unchanged, by every reader.
///
/// An integer column does not continue as numbers: integers beyond 2^53 would change, and DuckDB compares a filter with the
/// integers' smallest and largest value in an old file as if they were doubles, and so passes over rows.
fn continues(old: &ColumnType, new: &ColumnType) -> bool {
    match (old, new) {
        (ColumnType::List(old), ColumnType::List(new)) => continues(&old.kind, &new.kind),
        (ColumnType::Map { value: old, .. }, ColumnType::Map { value: new, .. }) => continues(&old.kind, &new.kind),
        (ColumnType::Struct(old), ColumnType::Struct(new)) => {
            let new: HashMap<&str, &ColumnType> = new.iter().map(|new| (new.name.as_str(), &new.kind)).collect();
            // A reader of the struct would lose a removed field, so the struct becomes a new column.
            old.iter().all(|old| new.get(old.name.as_str()).is_some_and(|new| continues(&old.kind, new)))
        }
        (old, new) => old == new,
    }
}

fn take(next: &mut i32) -> i32 {
    let id = *next;
    *next += 1;
    id
}
