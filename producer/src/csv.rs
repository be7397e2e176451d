//! CSV (RFC 4180): quotes cells, and checks whether a damaged row can still be read.
//!
//! Knows no field names. Invariant: a row reported as unreadable is unreadable to every reader that requires as many
//! cells as the header has and refuses text after a closing quote.

use lake::dead_letter::ErrorCode;

/// Appends a header row. The names must not need quotes.
pub(crate) fn write_names(out: &mut Vec<u8>, names: &[&str]) {
    out.extend_from_slice(names.join(",").as_bytes());
    out.push(b'\n');
}

/// Appends a quoted cell; quotes inside it are doubled.
pub(crate) fn write_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Why a row without a line feed can't be read as `columns` cells; `None` if it can.
///
/// [`ErrorCode::Truncated`] means that a quote is open at its end: it is the last row, or swallows what follows.
pub(crate) fn unreadable(row: &[u8], columns: usize) -> Option<&'static [ErrorCode]> {
    let seen = look_at(row);
    if seen.is_within_quotes {
        return Some(&[ErrorCode::Truncated]);
    }
    if std::str::from_utf8(row).is_err() {
        return Some(&[ErrorCode::BadEncoding]);
    }
    if seen.has_text_behind_quotes {
        return Some(&[ErrorCode::NotCsv]);
    }
    // A quote in an unquoted cell may be reported first.
    (seen.cells != columns).then_some(&[ErrorCode::RaggedRow, ErrorCode::NotCsv])
}

/// What a row looks like.
struct Seen {
    cells: usize,
    is_within_quotes: bool,
    has_text_behind_quotes: bool,
}

fn look_at(row: &[u8]) -> Seen {
    let mut seen = Seen { cells: 1, is_within_quotes: false, has_text_behind_quotes: false };
    let (mut cell_begins, mut is_behind_quotes) = (true, false);
    let mut bytes = row.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if seen.is_within_quotes => {
                // A doubled quote is one quote of the text.
                is_behind_quotes = bytes.next_if_eq(&&b'"').is_none();
                seen.is_within_quotes = !is_behind_quotes;
            }
            _ if seen.is_within_quotes => {}
            b',' => {
                seen.cells += 1;
                (cell_begins, is_behind_quotes) = (true, false);
                continue;
            }
            b'"' if cell_begins => seen.is_within_quotes = true,
            _ => seen.has_text_behind_quotes |= is_behind_quotes,
        }
        cell_begins = false;
    }
    seen
}
