//! An object's text: decompressed, in memory if it is short, and otherwise as a stream that is known to be complete.
//!
//! Knows compression and encodings, and nothing about records. Invariant: a text is passed on only after it was read to
//! its end once, or if it can't break on the way. So no record of a broken object ever becomes a row.

use std::{
    borrow::Cow,
    io::{self, Cursor, Read},
};

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::{Format, ReadSettings},
};

use super::{
    compression::{Compression, TextLimit},
    source::{Progress, ReadContent, Source, is_store_failure, store_failure},
    too_large_object,
};
use crate::error::Error;

/// Decompressed texts up to this length are kept in memory; longer ones are decompressed twice.
const KEPT_BYTES_MAX: u64 = 32 << 20;

/// How many bytes show an object's compression.
const MAGIC_BYTES: usize = 4;

/// An object's text.
pub(crate) enum Text<'a> {
    /// All of it.
    Whole(Cow<'a, [u8]>),
    /// The text, from its first byte.
    Stream(Box<dyn Read + 'a>),
}

/// The result of opening an object.
pub(crate) struct Opened<'a> {
    /// Its text, or what is wrong with the object as a whole.
    pub(crate) text: Result<Text<'a>, Fault>,
    /// What it contains, once its text is read: for an object that a store sends.
    pub(crate) content: Option<ReadContent>,
}

/// Opens an object of `size` bytes.
///
/// # Errors
/// The store's, if it fails to send the object.
pub(super) fn open<'a>(
    source: &'a Source,
    size: u64,
    settings: &ReadSettings,
    progress: &Progress,
) -> Result<Opened<'a>, Error> {
    let mut reader = source.open(progress);
    let content = reader.hash.clone();
    let mut first = Vec::with_capacity(MAGIC_BYTES);
    (&mut reader).take(MAGIC_BYTES as u64).read_to_end(&mut first).map_err(store_failure)?;
    let compression = Compression::of(&first);
    let reader = Cursor::new(first).chain(reader);
    let text = match (source, compression) {
        (_, Compression::None) if size > settings.object_bytes_max => {
            Err(too_large_object(size, settings.object_bytes_max))
        }
        (Source::Whole(bytes), Compression::None) => Ok(Text::Whole(Cow::Borrowed(bytes.as_ref()))),
        (Source::Streamed(_), Compression::None) => Ok(Text::Stream(Box::new(reader))),
        _ => decompressed(source, reader, compression, size, settings, progress)?,
    };
    Ok(Opened { text, content })
}

/// Decompresses an object to its end, and a second time if the text is too long to keep.
fn decompressed<'a>(
    source: &'a Source,
    mut reader: impl Read,
    compression: Compression,
    size: u64,
    settings: &ReadSettings,
    progress: &Progress,
) -> Result<Result<Text<'a>, Fault>, Error> {
    let limit = TextLimit::of(size, settings);
    let kept_max = match settings.format {
        // An array is read as a whole.
        Format::JsonArray => limit.bytes(),
        Format::Ndjson | Format::Csv => limit.bytes().min(KEPT_BYTES_MAX),
    };
    let text = match look_through(&mut reader, compression, &limit, kept_max, settings) {
        Ok(Looked::Kept(text)) => Ok(Text::Whole(Cow::Owned(text))),
        Ok(Looked::Sound) => {
            let undone = compression.undo(source.open(progress), settings);
            undone.map(Text::Stream).map_err(|error| compression.fault(0, &error, settings))
        }
        Ok(Looked::TooLong) => Err(limit.fault()),
        Err((_, error)) if is_store_failure(&error) => return Err(store_failure(error)),
        Err((at, error)) => Err(compression.fault(at, &error, settings)),
    };
    // The content id covers the bytes that the decoder did not read, too.
    io::copy(&mut reader, &mut io::sink()).map_err(store_failure)?;
    Ok(text)
}

/// The result of decompressing an object once.
enum Looked {
    /// Its text, all of it.
    Kept(Vec<u8>),
    /// Its text is complete, and too long to keep.
    Sound,
    /// Its text is longer than is allowed.
    TooLong,
}

/// The error of a broken object comes with the length of the text before it.
fn look_through(
    reader: &mut impl Read,
    compression: Compression,
    limit: &TextLimit,
    kept_max: u64,
    settings: &ReadSettings,
) -> Result<Looked, (u64, io::Error)> {
    let mut kept = Vec::new();
    let mut undone = compression.undo(reader, settings).map_err(|error| (0, error))?;
    let read = (&mut undone).take(kept_max + 1).read_to_end(&mut kept);
    let length = kept.len() as u64;
    read.map_err(|error| (length, error))?;
    if length <= kept_max {
        return Ok(Looked::Kept(kept));
    }
    drop(kept);
    let mut rest = Counted { read: length };
    let copied = io::copy(&mut undone.take((limit.bytes() + 1).saturating_sub(length)), &mut rest);
    copied.map_err(|error| (rest.read, error))?;
    Ok(if rest.read > limit.bytes() { Looked::TooLong } else { Looked::Sound })
}

/// Counts the bytes written to it, and drops them.
struct Counted {
    read: u64,
}

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.read += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The length of the UTF-8 byte order mark at the start of a text; 0 if it has none.
///
/// # Errors
/// The object's fault if it is in another encoding.
pub(super) fn skip_mark(first: &[u8]) -> Result<usize, Fault> {
    let encoding = match first {
        [0xef, 0xbb, 0xbf, ..] => return Ok(3),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => "UTF-32",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16",
        // Text that begins with an ASCII character, as records do (RFC 4627, section 3).
        [0, 0, 0, 1..=0x7f, ..] | [1..=0x7f, 0, 0, 0, ..] => "UTF-32",
        [0, 1..=0x7f, 0, 1..=0x7f, ..] | [1..=0x7f, 0, 1..=0x7f, 0, ..] => "UTF-16",
        _ => return Ok(0),
    };
    let message = format!("the object looks like {encoding}, and only UTF-8 is read");
    Err(Fault::new(Reason::CorruptedBatch, ErrorCode::BadEncoding, message))
}
