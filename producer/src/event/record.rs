//! Writes the fields of one record as JSON or as a CSV row, with a fault where it belongs.
//!
//! Knows no field names. Invariant: without a fault, a row has one cell for each field passed in.

use lake::stream::Format;

use super::faults::Fault;
use crate::csv;

/// A record that is being written.
pub(super) struct Record<'a> {
    out: &'a mut Vec<u8>,
    is_csv: bool,
    fault: Option<Fault>,
    is_first: bool,
}

impl<'a> Record<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, format: Format, fault: Option<Fault>) -> Self {
        Self { out, is_csv: format == Format::Csv, fault, is_first: true }
    }

    /// A string field. Its text must not have a character that JSON or CSV would escape.
    pub(super) fn text(&mut self, name: &'static str, write_text: impl FnOnce(&mut Vec<u8>)) {
        let quote: &[u8] = if self.is_csv { b"" } else { b"\"" };
        self.field(name, |out| {
            out.extend_from_slice(quote);
            write_text(out);
            out.extend_from_slice(quote);
        });
    }

    /// A JSON field.
    pub(super) fn json(&mut self, name: &'static str, write_json: impl FnOnce(&mut Vec<u8>)) {
        if !self.is_csv {
            return self.field(name, write_json);
        }
        self.field(name, |out| {
            let mut json = Vec::new();
            write_json(&mut json);
            csv::write_quoted(out, &json);
        });
    }

    /// A field that this record does not have: an empty cell in CSV.
    pub(super) fn nothing(&mut self, name: &'static str) {
        if self.is_csv {
            self.field(name, |_| ());
        }
    }

    /// Ends the record.
    pub(super) fn end(self) {
        if let Some(Fault::More(text)) = self.fault {
            self.out.push(b',');
            self.out.extend_from_slice(text.as_bytes());
        }
        if !self.is_csv {
            self.out.push(b'}');
        }
    }

    fn field(&mut self, name: &'static str, write_value: impl FnOnce(&mut Vec<u8>)) {
        let other = match self.fault {
            Some(Fault::Without(missing)) if missing == name && self.is_csv => Some(""),
            Some(Fault::Without(missing)) if missing == name => return,
            Some(Fault::Instead(at, text)) if at == name => Some(text),
            _ => None,
        };
        self.begin_field(name);
        match other {
            Some(text) => self.out.extend_from_slice(text.as_bytes()),
            None => write_value(self.out),
        }
    }

    fn begin_field(&mut self, name: &str) {
        let is_first = std::mem::take(&mut self.is_first);
        if self.is_csv {
            self.out.extend_from_slice(if is_first { b"" } else { b"," });
            return;
        }
        self.out.extend_from_slice(if is_first { b"{\"" } else { b",\"" });
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}
