//! What an executor reports while tasks run, so that it does not have to write the ledger itself.

use async_trait::async_trait;
use lake::keys::Key;

use crate::error::Error;

/// Notes what happens to single objects. The coordinator of a batch implements it.
#[async_trait]
pub trait Watch: Send + Sync {
    /// A careful task is about to read this input of the batch; it waits until this returns.
    ///
    /// # Errors
    /// They end the task.
    async fn begins(&self, input: usize, object: &Key) -> Result<(), Error>;

    /// This input took too long; the task ends with [`Error::Hung`].
    ///
    /// # Errors
    /// They end the task instead.
    async fn hangs(&self, input: usize, object: &Key) -> Result<(), Error>;
}

/// Notes nothing: for tasks whose end is watched in another way.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatch;

#[async_trait]
impl Watch for NoWatch {
    async fn begins(&self, _: usize, _: &Key) -> Result<(), Error> {
        Ok(())
    }

    async fn hangs(&self, _: usize, _: &Key) -> Result<(), Error> {
        Ok(())
    }
}
