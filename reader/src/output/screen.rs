//! The last guard before a terminal: escapes what the format let through.

use std::io::{self, Write};

use program::output::is_obeyed;

/// A terminal that only gets visible characters, tabs and line ends.
pub(super) struct Screen<W>(pub(super) W);

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Formats write whole texts, so a character is never split between two writes.
        let text = String::from_utf8_lossy(bytes);
        let mut shown = String::with_capacity(text.len());
        for c in text.chars() {
            if is_obeyed(c) && c != '\n' && c != '\t' {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(c);
            }
        }
        self.0.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
