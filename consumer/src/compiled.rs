//! Compiled enforcer: reads JSON straight into columns where the schema surely accepts it.
//!
//! One pass over the text decodes, enforces and fills the columns, without a value in between. Whatever it does not
//! surely accept it leaves, untouched, to the parser and the judge, who say what is wrong or that nothing is: slower, and never
//! otherwise. Knows no store and no clock. Invariant: what it accepts, they accept, into equal columns.

mod read;
mod rules;
mod scan;

use lake::{
    columns::Column,
    stream::{CsvSettings, ReadSettings},
};
use serde_json::Value;

use crate::{
    decode::{csv::Cell, parse::Limits},
    rows::RowBuilder,
};
pub(crate) use read::CellPlaces;
use rules::ObjectRule;
use scan::{Cursor, Doubt};

/// A schema and its columns, compiled.
pub struct Compiled {
    record: ObjectRule,
}

/// A record that is left to parser and judge.
#[derive(Clone, Copy, Debug)]
pub struct Left<'a> {
    /// Its place among the object's records.
    pub index: u64,
    /// Where it begins in the object.
    pub offset: u64,
    /// Its bytes.
    pub raw: &'a [u8],
}

/// Where a text's records go.
pub trait Records<'a> {
    /// What makes an end of it.
    type Error;

    /// The rows; their object has begun.
    fn rows(&mut self) -> &mut RowBuilder;

    /// Takes a record that is left to parser and judge.
    ///
    /// # Errors
    /// Ends the reading.
    fn left(&mut self, record: Left<'a>) -> Result<(), Self::Error>;

    /// A record was read to its end, into the rows or as one that is left.
    ///
    /// # Errors
    /// Ends the reading.
    fn record_done(&mut self) -> Result<(), Self::Error>;
}

impl Compiled {
    /// Compiles a schema whose columns are `columns`; `None` where it says what only the judge understands.
    pub fn compile(schema: &Value, columns: &[Column]) -> Option<Self> {
        rules::compile(schema, columns).map(|record| Self { record })
    }

    /// Reads an array of records. `mark` bytes stood before `text` in the object. `false` when the text is not one
    /// JSON array from end to end; what was handed on must be taken back then.
    ///
    /// # Errors
    /// Those of `records`.
    pub fn array<'a, R: Records<'a>>(
        &self,
        text: &'a str,
        mark: u64,
        settings: &ReadSettings,
        records: &mut R,
    ) -> Result<bool, R::Error> {
        let mut cursor = Cursor::new(text);
        cursor.skip_space();
        if !cursor.take(b'[') {
            return Ok(false);
        }
        cursor.skip_space();
        let mut index = 0;
        let mut more = !cursor.take(b']');
        while more {
            let start = cursor.at;
            if !self.object(&mut cursor, index, settings, records.rows()) {
                cursor.at = start;
                if cursor.skip_value().is_err() {
                    return Ok(false);
                }
                let raw = cursor.since(start).as_bytes();
                records.left(Left { index, offset: mark + start as u64, raw })?;
            }
            records.record_done()?;
            index += 1;
            cursor.skip_space();
            more = cursor.take(b',');
            if more {
                cursor.skip_space();
            } else if !cursor.take(b']') {
                return Ok(false);
            }
        }
        cursor.skip_space();
        Ok(cursor.is_at_end())
    }

    /// Whether a text of one record became a row; if not, no row was touched.
    pub fn record(&self, text: &str, index: u64, settings: &ReadSettings, rows: &mut RowBuilder) -> bool {
        let mut cursor = Cursor::new(text);
        let before = rows.len();
        let read = self.object(&mut cursor, index, settings, rows);
        if read && !cursor.is_at_end() {
            rows.truncate(before);
            return false;
        }
        read
    }

    /// Finds for the names in a CSV object's first row what their cells stand for.
    pub(crate) fn places(&self, names: &[String]) -> CellPlaces {
        CellPlaces::of(&self.record, names)
    }

    /// Whether a CSV row became a row; if not, no row was touched. There are as many cells as places.
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

    /// Whether the object at the cursor became a row; if not, no row was touched.
    fn object(&self, cursor: &mut Cursor<'_>, index: u64, settings: &ReadSettings, rows: &mut RowBuilder) -> bool {
        let (start, fields) = (cursor.at, cursor.fields);
        let read = rows.append_by(index, |columns| {
            read::object(&self.record, columns, cursor, settings.depth_max)?;
            let length = cursor.at - start;
            let fits = length as u64 <= settings.record_bytes_max && cursor.fields - fields <= settings.fields_max;
            if fits { Ok(length) } else { Err(Doubt) }
        });
        read.is_ok()
    }
}

/// Whether a text is one JSON array from end to end.
pub fn is_array(text: &str) -> bool {
    let mut cursor = Cursor::new(text);
    cursor.skip_space();
    let opens = cursor.peek() == Some(b'[');
    let closes = opens && cursor.skip_value().is_ok();
    cursor.skip_space();
    closes && cursor.is_at_end()
}
