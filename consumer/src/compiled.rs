//! Compiled enforcer: reads JSON straight into columns where the schema surely accepts it.
//!
//! One pass over the bytes decodes, enforces and fills the columns, without a value in between. Whatever it does not
//! surely accept it leaves, untouched, to the parser and the judge, who say what is wrong or that nothing is: slower, and never
//! otherwise. Knows no store and no clock. Invariant: what it accepts, they accept, into equal columns.

mod read;
mod rules;
mod scan;

use lake::{columns::Column, stream::ReadSettings};
use serde_json::Value;

use crate::rows::{Origin, RowBuilder};
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

    /// The rows, and which object they come from by key and version.
    fn rows(&mut self) -> (&mut RowBuilder, &str, &str);

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
            if !self.row(&mut cursor, index, settings, records) {
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

    /// Reads lines of one record each; blank ones are none. `mark` bytes stood before `text` in the object.
    ///
    /// # Errors
    /// Those of `records`.
    pub fn lines<'a, R: Records<'a>>(
        &self,
        text: &'a str,
        mark: u64,
        settings: &ReadSettings,
        records: &mut R,
    ) -> Result<(), R::Error> {
        let mut index = 0;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let raw = line.trim_ascii();
            if !raw.is_empty() {
                let mut cursor = Cursor::new(raw);
                let rows = records.rows().0.len();
                let read = self.row(&mut cursor, index, settings, records);
                if !read || !cursor.is_at_end() {
                    records.rows().0.truncate(rows);
                    let offset = mark + (start + line.len() - line.trim_ascii_start().len()) as u64;
                    records.left(Left { index, offset, raw: raw.as_bytes() })?;
                }
                records.record_done()?;
                index += 1;
            }
            start += line.len();
        }
        Ok(())
    }

    /// Whether the record at the cursor became a row; if not, no row was touched.
    fn row<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        index: u64,
        settings: &ReadSettings,
        records: &mut impl Records<'a>,
    ) -> bool {
        let start = cursor.at;
        let (rows, key, etag) = records.rows();
        let read = rows.append_by(Origin { key, etag, index }, |columns| {
            read::object(&self.record, columns, cursor, settings.depth_max)?;
            let length = cursor.at - start;
            if length as u64 <= settings.record_bytes_max { Ok(length) } else { Err(Doubt) }
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
