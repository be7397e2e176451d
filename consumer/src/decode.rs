//! Decoder: an object's bytes in; its records out, each with its place, or the fault of the object as a whole.
//!
//! Four feeders cut records out of an object and pass them to a [`RecordSink`]: [`json::array`], [`json::lines`],
//! [`csv`], and [`Record`]s made by hand. Knows formats, and nothing about schemas, stores or clocks. Invariant: every
//! byte of a readable object that is not white space or punctuation between records belongs to exactly one record.

mod compression;
mod content;
pub(crate) mod csv;
mod input;
pub(crate) mod json;
mod looks;
mod record;
mod source;

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::{Format, ReadSettings},
};

use crate::error::Error;
pub(crate) use content::Opened;
use content::{Text, open as open_text, skip_mark};
use csv::CellTypes;
use input::Input;
pub(crate) use record::{Content, Record, RecordSink};
pub use source::{Progress, Source, Streamed};

/// Opens an object of `size` bytes. Returns its text, or what is wrong with the object as a whole.
///
/// # Errors
/// The store's, if it fails to send the object.
pub(crate) fn open<'a>(
    source: &'a Source,
    size: u64,
    settings: &ReadSettings,
    progress: &Progress,
) -> Result<Opened<'a>, Error> {
    open_text(source, size, settings, progress)
}

/// Passes each record of a text to `sink`, in order. Returns the fault of the object as a whole if no record can be
/// read.
///
/// # Errors
/// The store's, or those of `sink`.
pub(crate) fn feed<S: RecordSink>(
    text: Text<'_>,
    settings: &ReadSettings,
    cells: &CellTypes,
    progress: &Progress,
    sink: &mut S,
) -> Result<Result<(), Fault>, Error> {
    let mut input = Input::new(text, progress);
    input.reach(looks::LOOKED_AT_BYTES)?;
    if let Err(fault) = begin(&mut input, settings.format) {
        // What an object contains is known once all of it was read.
        input.skip_rest()?;
        return Ok(Err(fault));
    }
    match settings.format {
        Format::JsonArray => json::array::feed(&mut input, sink),
        Format::Ndjson => json::lines::feed(&mut input, settings, sink),
        Format::Csv => csv::feed(&mut input, settings, cells, sink),
    }
}

/// Moves to where the records of a text begin.
///
/// # Errors
/// The object's fault, if its first bytes show that it has none.
fn begin(input: &mut Input<'_>, format: Format) -> Result<(), Fault> {
    if input.window().is_empty() {
        return Err(empty_object());
    }
    let mark = skip_mark(input.window())?;
    input.consume(mark);
    looks::other_format(input.window(), format).map_or(Ok(()), Err)
}

/// The fault of an object that is larger than its stream allows. The size alone shows it.
pub(crate) fn too_large_object(size: u64, limit: u64) -> Fault {
    let message = format!("the object has {size} bytes; limits.object_bytes allows {limit}");
    Fault::new(Reason::Oversized, ErrorCode::TooLarge, message)
}

fn empty_object() -> Fault {
    Fault::new(Reason::CorruptedBatch, ErrorCode::Empty, "the object is empty")
}

/// The fault of an object that has bytes, but no record.
fn blank_object() -> Fault {
    Fault::new(Reason::CorruptedBatch, ErrorCode::Empty, "the object is only white space")
}

fn not_utf8(reason: Reason, what: &str, error: std::str::Utf8Error) -> Fault {
    let message = format!("the {what} is not UTF-8 from byte {} on", error.valid_up_to());
    Fault::new(reason, ErrorCode::BadEncoding, message)
}
