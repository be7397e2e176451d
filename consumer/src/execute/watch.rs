//! What a task reports while it runs.

/// Learns which object a task is reading.
pub trait Watch: Send + Sync {
    /// The task begins to read this input of the batch. Called on the thread that reads.
    fn begins(&self, input: usize);
}

/// Learns nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatch;

impl Watch for NoWatch {
    fn begins(&self, _: usize) {}
}
