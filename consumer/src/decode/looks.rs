//! Recognises objects that are something else than their stream's format says, by their first bytes.
//!
//! Knows signatures. Invariant: what can be read is never refused. A signature with bytes that no text has counts for
//! every format; one that is text counts where no record can begin with it, or where CSV has no header anyway.

use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::Format,
};

/// How many bytes are looked at.
pub(super) const LOOKED_AT_BYTES: usize = 512;

/// Signatures with bytes that are in no text.
const BINARY: [(&[u8], &str); 17] = [
    (b"PAR1\x15", "Parquet"),
    (b"Obj\x01", "Avro"),
    (b"ARROW1\0\0", "Arrow"),
    (b"PK\x03\x04", "zip, or an Office document"),
    (b"PK\x05\x06", "an empty zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office document"),
    (b"\x1f\x8b\x08", "gzip in another compression"),
    (b"\x28\xb5\x2f\xfd", "zstd in another compression"),
    (b"\xfd7zXZ\0", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\xff\x06\0\0sNaPpY", "snappy"),
    (b"\x1f\x9d", "compress (.Z)"),
    (b"SQLite format 3\0", "SQLite"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
];

/// Where a tar archive has its signature.
const TAR_AT: usize = 257;

/// The fault of an object that begins with these bytes, if they show that it is not of this format.
pub(super) fn other_format(first: &[u8], format: Format) -> Option<Fault> {
    let first = &first[..first.len().min(LOOKED_AT_BYTES)];
    let what = binary(first).or_else(|| if format == Format::Csv { None } else { text(first) });
    what.map(|what| fault(what, format))
}

/// The same for a CSV object without a header that can be read.
pub(super) fn other_than_csv(first: &[u8]) -> Option<Fault> {
    let first = &first[..first.len().min(LOOKED_AT_BYTES)];
    let is_json = matches!(first.trim_ascii_start(), [b'[' | b'{', b'"' | b'{' | b'[' | b' ' | b'\r' | b'\n', ..]);
    let what = text(first).or_else(|| is_json.then_some("JSON"));
    what.map(|what| fault(what, Format::Csv))
}

fn fault(what: &str, format: Format) -> Fault {
    let (code, name) = match format {
        Format::JsonArray => (ErrorCode::NotJson, "a JSON array"),
        Format::Ndjson => (ErrorCode::NotJson, "lines of JSON"),
        Format::Csv => (ErrorCode::NotCsv, "CSV"),
    };
    Fault::new(Reason::CorruptedBatch, code, format!("the object looks like {what}, not {name}"))
}

fn binary(first: &[u8]) -> Option<&'static str> {
    let found = BINARY.iter().find(|(signature, _)| first.starts_with(signature));
    let is_tar = || first.get(TAR_AT..).is_some_and(|rest| rest.starts_with(b"ustar")) && first[..100].contains(&0);
    found.map(|(_, what)| *what).or_else(|| is_tar().then_some("tar"))
}

/// What a signature of text shows: no JSON value begins like this.
fn text(first: &[u8]) -> Option<&'static str> {
    let text = first.trim_ascii_start();
    let begins = |word: &str| {
        text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
            && text.get(word.len()).is_none_or(|next| next.is_ascii_whitespace() || *next == b'>')
    };
    if begins("<!doctype html") || begins("<html") {
        return Some("HTML");
    }
    match text {
        [b'<', b'?', b'x', b'm', b'l', b' ', ..] => Some("XML"),
        [b'%', b'P', b'D', b'F', b'-', b'0'..=b'9', ..] => Some("PDF"),
        [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] if rest.starts_with(b"1AY&SY") => Some("bzip2"),
        [b'O', b'R', b'C', ..] if first.contains(&0) => Some("ORC"),
        _ => None,
    }
}
