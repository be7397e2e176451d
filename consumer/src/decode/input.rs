//! A text as a window that moves over it: all of what is in memory, or a part of what streams.
//!
//! Knows no format. Invariant: a window is only as long as what was asked for and one piece more.

use std::{borrow::Cow, io::Read};

use super::{
    content::Text,
    source::{Progress, store_failure},
};
use crate::error::Error;

/// How much is read of a stream at a time.
const PIECE_BYTES: u64 = 1 << 20;

/// A text, and how far it was read.
pub(crate) struct Input<'a> {
    held: Cow<'a, [u8]>,
    /// Where the window begins in what is held.
    at: usize,
    /// Where the window begins in the text.
    offset: u64,
    /// What follows what is held.
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

    /// What is held of the text, from where it was read to.
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

    /// Moves the window on by this many of its bytes.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.at += bytes;
        self.offset += bytes as u64;
    }

    /// Makes the window longer; after that it is longer, or the last.
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

    /// Makes the window at least this long, where the text is.
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
