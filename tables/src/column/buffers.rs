//! The parts of columns under construction: consecutive texts, offsets, and reused memory.
//!
//! Knows Arrow's layout, and nothing about records. Invariant: there is one more offset than there are texts.

use std::sync::Arc;

use arrow::{
    array::{ArrayData, ArrayRef, StringArray},
    buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::ArrowNativeType,
};

/// Texts, one after the other.
pub struct Texts {
    bytes: Vec<u8>,
    /// Where each text begins, and where the last one ends.
    offsets: Vec<i32>,
}

impl Texts {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }

    pub(crate) fn reuse(&mut self, array: ArrayData) {
        let mut buffers = array.into_parts().4.into_iter();
        reuse_offsets(&mut self.offsets, buffers.next());
        reuse(&mut self.bytes, buffers.next());
    }

    /// Appends a text.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.offsets.push(offset(self.bytes.len()));
    }

    /// The number of texts.
    #[inline]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether it has no texts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one of the texts from `first` on is `text`.
    pub fn has_since(&self, first: usize, text: &str) -> bool {
        let ends = self.offsets[first..].windows(2);
        ends.map(|ends| &self.bytes[ends[0] as usize..ends[1] as usize]).any(|other| other == text.as_bytes())
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    pub(crate) fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        let Self { bytes, offsets } = std::mem::replace(self, Self::new());
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Arc::new(StringArray::new(offsets, Buffer::from_vec(bytes), nulls))
    }
}

/// Reuses a buffer's memory for an empty vector, if nothing else uses the buffer.
pub(crate) fn reuse<T: ArrowNativeType>(values: &mut Vec<T>, buffer: Option<Buffer>) {
    if let Some(Ok(mut memory)) = buffer.map(Buffer::into_vec::<T>)
        && values.is_empty()
    {
        memory.clear();
        *values = memory;
    }
}

pub(crate) fn reuse_offsets(offsets: &mut Vec<i32>, buffer: Option<Buffer>) {
    let mut memory = Vec::new();
    reuse(&mut memory, buffer);
    if offsets.len() == 1 {
        memory.push(0);
        *offsets = memory;
    }
}

/// An offset as Arrow stores it. Rows are passed on long before they reach two gigabytes.
pub(crate) fn offset(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("a column under construction is flushed every few megabytes")
}
