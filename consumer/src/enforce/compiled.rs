//! Compiled enforcer: reads JSON straight into columns if the schema certainly accepts it.
//!
//! One pass over the text decodes, enforces and fills the columns, without a value in between. It leaves every record
//! that it does not certainly accept to the parser and the judge. They are slower, and report what is wrong or accept
//! the record, with the same result. Knows no store and no clock. Invariant: what it accepts, they accept, into equal
//! columns.

mod read;
mod rules;

use lake::{
    columns::Column,
    stream::{CsvSettings, ReadSettings},
};
use serde_json::Value;
use tables::RowBuilder;

use crate::decode::{
    csv::Cell,
    json::{Cursor, Doubt, Limits},
};
pub(crate) use read::CellPlaces;
use rules::ObjectRule;

/// A schema and its columns, compiled.
pub struct Compiled {
    record: ObjectRule,
}

impl Compiled {
    /// Compiles a schema whose columns are `columns`; `None` if it has rules that only the judge understands.
    pub fn compile(schema: &Value, columns: &[Column]) -> Option<Self> {
        rules::compile(schema, columns).map(|record| Self { record })
    }

    /// Whether a text of one record became a row; if not, no row was changed.
    pub fn record(&self, text: &str, index: u64, settings: &ReadSettings, rows: &mut RowBuilder) -> bool {
        let mut cursor = Cursor::new(text);
        let before = rows.len();
        let read = self.record_at(&mut cursor, index, settings, rows);
        if read && !cursor.is_at_end() {
            rows.truncate(before);
            return false;
        }
        read
    }

    /// Whether the object at the cursor became a row; if not, no row was changed.
    pub(crate) fn record_at(
        &self,
        cursor: &mut Cursor<'_>,
        index: u64,
        settings: &ReadSettings,
        rows: &mut RowBuilder,
    ) -> bool {
        let (start, fields) = (cursor.at, cursor.fields);
        let read = rows.append_by(index, |columns| {
            read::object(&self.record, columns, cursor, settings.depth_max)?;
            let length = cursor.at - start;
            let fits = length as u64 <= settings.record_bytes_max && cursor.fields - fields <= settings.fields_max;
            if fits { Ok(length) } else { Err(Doubt) }
        });
        read.is_ok()
    }

    /// Maps the names of a CSV header to fields.
    pub(crate) fn places(&self, names: &[String]) -> CellPlaces {
        CellPlaces::of(&self.record, names)
    }

    /// Whether a CSV row became a row; if not, no row was changed. There are as many cells as places.
    pub(crate) fn cells(
        &self,
        places: &CellPlaces,
        cells: &[Cell<'_>],
        raw_bytes: usize,
        index: u64,
        settings: &ReadSettings,
        rows: &mut RowBuilder,
    ) -> bool {
        let CsvSettings { null, .. } = &settings.csv;
        let limits = Limits { depth: settings.depth_max, fields: settings.fields_max };
        let read = rows.append_by(index, |columns| {
            read::row(&self.record, places, columns, cells, null, limits).map(|()| raw_bytes)
        });
        read.is_ok()
    }
}
