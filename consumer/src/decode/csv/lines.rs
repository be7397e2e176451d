//! Line ends, of any kind: `\n`, `\r\n` and `\r`.
//!
//! Knows nothing about rows. Invariant: a line has one number, however its end is written and in whatever windows it is
//! read.

use crate::{decode::input::Input, error::Error};

/// The number of the current line, and how lines end here.
pub(super) struct Lines {
    /// From 1.
    number: u64,
    /// Whether the last line ended with `\r` alone.
    end_with_cr: bool,
}

/// What is known of a text that is passed in parts.
#[derive(Default)]
pub(super) struct LineEnds {
    /// Whether the last part ended with `\r`.
    after_cr: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { number: 1, end_with_cr: false }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Moves to the next byte that is not a line end.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn skip_ends(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        loop {
            input.reach(3)?;
            let bytes = match input.window() {
                // `\r\n` that was translated once more, as text files are on Windows.
                [b'\r', b'\r', b'\n', ..] => 3,
                [b'\r', b'\n', ..] => 2,
                [b'\r' | b'\n', ..] => 1,
                _ => return Ok(()),
            };
            self.end_with_cr = bytes == 1 && input.window()[0] == b'\r';
            self.number += 1;
            input.consume(bytes);
        }
    }

    /// Counts the line ends in a part of a row.
    pub(super) fn pass(&mut self, part: &[u8], ends: &mut LineEnds) {
        for at in memchr::memchr2_iter(b'\r', b'\n', part) {
            let after_cr = if at == 0 { ends.after_cr } else { part[at - 1] == b'\r' };
            if part[at] == b'\r' || !after_cr {
                self.number += 1;
            }
        }
        if let Some(last) = part.last() {
            ends.after_cr = *last == b'\r';
        }
    }

    /// How many bytes of a window surely belong to the line that it begins with, without its end, and whether the line
    /// ends after them. Where lines end otherwise, a `\r` alone ends none: what follows it on a broken line would be read
    /// as a row that was never sent.
    pub(super) fn rest_of_line(&self, window: &[u8]) -> (usize, bool) {
        if self.end_with_cr {
            let end = memchr::memchr2(b'\r', b'\n', window);
            return (end.unwrap_or(window.len()), end.is_some());
        }
        let end = memchr::memchr(b'\n', window);
        let line = &window[..end.unwrap_or(window.len())];
        // They may belong to the line end, of which there are two at most: see `skip_ends`.
        let returns = line.iter().rev().take(2).take_while(|byte| **byte == b'\r').count();
        (line.len() - returns, end.is_some())
    }
}
