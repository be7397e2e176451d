//! A text as a window that moves over it: all of a text in memory, or a part of a stream.
//!
//! Knows no format. Invariant: a window is at most one piece longer than what was asked for.

use std::{borrow::Cow, io::Read};

use super::{
    content::Text,
    source::{Progress, store_failure},
};
use crate::error::Error;

/// How much to read from a stream at a time.
const PIECE_BYTES: u64 = 1 << 20;

/// A text, and how far it has been read.
pub(crate) struct Input<'a> {
    held: Cow<'a, [u8]>,
    /// Where the window begins in the buffer.
    at: usize,
    /// Where the window begins in the text.
    offset: u64,
    /// What follows the buffer.
    stream: Option<Box<dyn Read + 'a>>,
    progress: Progress,
}

impl<'a> Input<'a> {
    pub(crate) fn new(text: Text<'a>, progress: &Progress) -> Self {
        let (held, stream) = match text {
            Text::Whole(held) => (held, None),
            Text::Stream(stream) => (Cow::Owned(Vec::new()), Some(stream)),
        };
        Self { held, at: 0, offset: 0, stream, progress: progress.clone() }
    }

    /// The buffered text from the current position.
    pub(crate) fn window(&self) -> &[u8] {
        &self.held[self.at..]
    }

    /// Whether the window reaches to the end of the text.
    pub(crate) fn is_last(&self) -> bool {
        self.stream.is_none()
    }

    /// Where the window begins in the text.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Moves the window forward by this many bytes.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.at += bytes;
        self.offset += bytes as u64;
    }

    /// Makes the window longer. After that it is longer, or the last one.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn grow(&mut self) -> Result<(), Error> {
        self.progress.tick();
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let held = self.held.to_mut();
        held.drain(..self.at);
        self.at = 0;
        let read = stream.take(PIECE_BYTES).read_to_end(held).map_err(store_failure)?;
        if read == 0 {
            self.stream = None;
        }
        Ok(())
    }

    /// Moves to the end of the text.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn skip_rest(&mut self) -> Result<(), Error> {
        loop {
            self.consume(self.window().len());
            if self.is_last() {
                return Ok(());
            }
            self.grow()?;
        }
    }

    /// Makes the window at least this long, if the text is.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn reach(&mut self, bytes: usize) -> Result<(), Error> {
        while self.window().len() < bytes && !self.is_last() {
            self.grow()?;
        }
        Ok(())
    }
}
