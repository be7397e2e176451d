//! What columns under construction are made of: texts behind one another, offsets, and memory that is used anew.
//!
//! Knows Arrow's layout and nothing of records. Invariant: as many offsets as texts, and one more.

use std::sync::Arc;

use arrow::{
    array::{ArrayData, ArrayRef, StringArray},
    buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::ArrowNativeType,
};

/// Texts behind one another.
pub(crate) struct Texts {
    bytes: Vec<u8>,
    /// Where each text begins, and where the last one ends.
    offsets: Vec<i32>,
}

impl Texts {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }

    pub(super) fn reuse(&mut self, array: ArrayData) {
        let mut buffers = array.into_parts().4.into_iter();
        reuse_offsets(&mut self.offsets, buffers.next());
        reuse(&mut self.bytes, buffers.next());
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.offsets.push(offset(self.bytes.len()));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether one of those from `first` on says `text`.
    pub(crate) fn has_since(&self, first: usize, text: &str) -> bool {
        let ends = self.offsets[first..].windows(2);
        ends.map(|ends| &self.bytes[ends[0] as usize..ends[1] as usize]).any(|other| other == text.as_bytes())
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    pub(super) fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        let Self { bytes, offsets } = std::mem::replace(self, Self::new());
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Arc::new(StringArray::new(offsets, Buffer::from_vec(bytes), nulls))
    }
}

/// Takes a buffer's memory for what an empty vector is to hold, where nobody else has the buffer.
pub(super) fn reuse<T: ArrowNativeType>(values: &mut Vec<T>, buffer: Option<Buffer>) {
    if let Some(Ok(mut memory)) = buffer.map(Buffer::into_vec::<T>)
        && values.is_empty()
    {
        memory.clear();
        *values = memory;
    }
}

pub(super) fn reuse_offsets(offsets: &mut Vec<i32>, buffer: Option<Buffer>) {
    let mut memory = Vec::new();
    reuse(&mut memory, buffer);
    if offsets.len() == 1 {
        memory.push(0);
        *offsets = memory;
    }
}

/// An offset as Arrow stores it. Rows are handed on long before two gigabytes have come together.
pub(super) fn offset(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("a column under construction is flushed every few megabytes")
}
