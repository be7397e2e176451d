//! How a stream's objects are read: what decides the outcome of a record in addition to its schema.
//!
//! Part of every plan, and so stored: golden files fix its shape. Add with a default, never rename.

use serde::{Deserialize, Serialize};

use super::table::Table;

const MIB: u64 = 1 << 20;

/// How records are arranged in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON array of records.
    JsonArray,
    /// One JSON record per line.
    Ndjson,
    /// Rows of cells (RFC 4180); the first row names the fields.
    Csv,
}

/// How the rows of a CSV object are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvSettings {
    /// The separator between two cells: one ASCII character.
    pub delimiter: char,
    /// The quote around a cell that contains a delimiter or a line end: one ASCII character.
    pub quote: char,
    /// The unquoted cell that means no value.
    pub null: String,
    /// Which quotes an unquoted cell may have.
    #[serde(default, skip_serializing_if = "CsvQuotes::is_usual")]
    pub quotes: CsvQuotes,
}

/// Which quotes an unquoted cell of CSV may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CsvQuotes {
    /// One, if it is not at the cell's end: then it can't be a part of a quoted cell whose delimiter is lost.
    #[default]
    Usual,
    /// Not one, as RFC 4180 has it.
    Strict,
    /// Any number, anywhere: they are ordinary characters.
    Lenient,
}

impl CsvQuotes {
    fn is_usual(&self) -> bool {
        *self == Self::Usual
    }
}

impl Default for CsvSettings {
    fn default() -> Self {
        Self { delimiter: ',', quote: '"', null: String::new(), quotes: CsvQuotes::Usual }
    }
}

/// What decides the outcome of a record in addition to its schema. Stored in every plan: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadSettings {
    /// How records are arranged in an object.
    pub format: Format,
    /// How CSV is written; ignored for other formats.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub csv: CsvSettings,
    /// The top-level column that says when an event happened, for the files' time ranges; `None`: no ranges.
    pub event_time: Option<String>,
    /// The longest object that is read, in bytes after decompression; a longer one is a dead letter as a whole.
    pub object_bytes_max: u64,
    /// The longest record that is read, in bytes; a longer one is a dead letter.
    pub record_bytes_max: u64,
    /// The deepest nesting of a record; a deeper one is a dead letter.
    pub depth_max: u64,
    /// The most fields in a record, including those of nested objects; a record with more is a dead letter.
    #[serde(default = "fields_max")]
    pub fields_max: u64,
    /// How many times its own size a compressed object may decompress to; a larger one is a dead letter.
    #[serde(default = "ratio_max")]
    pub ratio_max: u64,
    /// The largest window of a zstd frame, in bytes, rounded down to a power of two: reading a frame takes as much memory.
    #[serde(default = "zstd_window_max", skip_serializing_if = "is_usual_window")]
    pub zstd_window_max: u64,
    /// How many bytes of a record a dead letter keeps.
    pub raw_bytes_max: u64,
    /// The approximate size, in bytes, at which a file of rows or dead letters is full and the next one starts.
    #[serde(default = "file_bytes")]
    pub file_bytes: u64,
}

fn is_usual(csv: &CsvSettings) -> bool {
    *csv == CsvSettings::default()
}

/// Far more than any useful record has.
fn fields_max() -> u64 {
    10_000
}

/// About the most that deflate can reach; zstd on text rarely reaches more than a tenth of it.
fn ratio_max() -> u64 {
    1_000
}

/// What zstd's own tools read without being asked to, and far more than they use without `--long` or `--ultra`.
fn zstd_window_max() -> u64 {
    128 * MIB
}

fn is_usual_window(bytes: &u64) -> bool {
    *bytes == zstd_window_max()
}

/// A good size for readers, and small enough for a task to keep a few times in memory.
fn file_bytes() -> u64 {
    64 * MIB
}

impl ReadSettings {
    /// The settings of a stream that sets only its format.
    pub fn of(format: Format) -> Self {
        let object_bytes_max = match format {
            // An array is in memory as a whole.
            Format::JsonArray => 256 * MIB,
            // Lines and rows are streamed: as large as an object can be.
            Format::Ndjson | Format::Csv => OBJECT_BYTES_LIMIT,
        };
        Self {
            format,
            csv: CsvSettings::default(),
            event_time: None,
            object_bytes_max,
            record_bytes_max: 16 * MIB,
            depth_max: 100,
            fields_max: fields_max(),
            ratio_max: ratio_max(),
            zstd_window_max: zstd_window_max(),
            raw_bytes_max: MIB,
            file_bytes: file_bytes(),
        }
    }

    /// The settings in a stream's file; mistakes are recorded in the table.
    pub(super) fn take(table: &mut Table) -> Self {
        let format = match table.text("source.format").as_deref() {
            Some("json_array") => Format::JsonArray,
            Some("ndjson") => Format::Ndjson,
            Some("csv") => Format::Csv,
            Some(other) => {
                let what = format!("{other:?} is not a format; use \"json_array\", \"ndjson\" or \"csv\"");
                table.wrong("source.format", what);
                Format::JsonArray
            }
            None => {
                table.wrong("source.format", "is missing; use \"json_array\", \"ndjson\" or \"csv\"");
                Format::JsonArray
            }
        };
        let usual = Self::of(format);
        let object_bytes = if format == Format::JsonArray { 2048 * MIB } else { OBJECT_BYTES_LIMIT };
        Self {
            format,
            csv: csv(table, format),
            event_time: table.text("source.event_time"),
            object_bytes_max: table.bytes("limits.object_bytes", usual.object_bytes_max, 1..=object_bytes),
            record_bytes_max: table.bytes("limits.record_bytes", usual.record_bytes_max, 1..=1024 * MIB),
            depth_max: table.count("limits.depth", usual.depth_max, 1..=120),
            fields_max: table.count("limits.fields", usual.fields_max, 1..=1_000_000),
            ratio_max: table.count("limits.ratio", usual.ratio_max, 1..=1_000_000_000),
            zstd_window_max: table.bytes("limits.zstd_window", usual.zstd_window_max, 1024..=2048 * MIB),
            raw_bytes_max: table.bytes("limits.raw_bytes", usual.raw_bytes_max, 0..=64 * MIB),
            file_bytes: table.bytes("batch.file_bytes", usual.file_bytes, MIB..=1024 * MIB),
        }
    }
}

/// More than any store accepts as one object.
const OBJECT_BYTES_LIMIT: u64 = 64 << 40;

fn csv(table: &mut Table, format: Format) -> CsvSettings {
    let usual = CsvSettings::default();
    let given = [("csv.delimiter", usual.delimiter), ("csv.quote", usual.quote)].map(|(key, usual)| {
        let Some(text) = table.text(key) else { return (key, usual, false) };
        match text.parse::<char>() {
            Ok(character) if character.is_ascii() && !matches!(character, '\r' | '\n' | '\0') => (key, character, true),
            _ => {
                table.wrong(key, format!("must be one ASCII character other than a line end, not {text:?}"));
                (key, usual, true)
            }
        }
    });
    let [(_, delimiter, _), (_, quote, _)] = given;
    let null = table.text("csv.null");
    let quotes = quotes(table);
    if delimiter == quote {
        table.wrong("csv.quote", format!("must differ from csv.delimiter; both are {quote:?}"));
    }
    if format != Format::Csv {
        let said = given.iter().filter(|(_, _, is_given)| *is_given).map(|(key, _, _)| *key);
        let said = said.chain(null.as_ref().map(|_| "csv.null")).chain(quotes.map(|_| "csv.quotes"));
        for key in said {
            table.wrong(key, "is only for source.format = \"csv\"");
        }
    }
    CsvSettings { delimiter, quote, null: null.unwrap_or(usual.null), quotes: quotes.unwrap_or_default() }
}

/// `csv.quotes`, if it is given.
fn quotes(table: &mut Table) -> Option<CsvQuotes> {
    match table.text("csv.quotes")?.as_str() {
        "strict" => Some(CsvQuotes::Strict),
        "lenient" => Some(CsvQuotes::Lenient),
        other => {
            let what = format!("{other:?} is not one of \"strict\" and \"lenient\"; leave it out for the usual way");
            table.wrong("csv.quotes", what);
            None
        }
    }
}
