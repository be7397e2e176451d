//! Runs tasks on the cores of this machine.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use lake::store::Lake;

use super::{Executor, NoWatch, TaskReport, TaskRequest, Worker};
use crate::error::Error;

/// An executor of this process.
#[derive(Debug)]
pub struct LocalExecutor {
    worker: Arc<Worker>,
    cores: usize,
}

impl LocalExecutor {
    /// An executor that reads records on this many cores.
    pub fn new(lake: Lake, cores: usize) -> Self {
        Self { worker: Arc::new(Worker::new(lake, cores)), cores }
    }
}

#[async_trait]
impl Executor for LocalExecutor {
    async fn run(&self, tasks: Vec<TaskRequest>) -> Result<Vec<TaskReport>, Error> {
        let running: Vec<_> = tasks.iter().map(|task| self.worker.run(task, Arc::new(NoWatch))).collect();
        // Some that are being read, and as many whose files are being stored.
        stream::iter(running).buffered(2 * (self.cores + 1)).try_collect().await
    }
}
