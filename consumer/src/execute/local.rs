//! Runs tasks on the cores of this machine.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use lake::store::Lake;

use super::{Executor, TaskReport, TaskRequest, Watch, Worker};
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
    async fn run(&self, tasks: Vec<TaskRequest>, watch: &dyn Watch) -> Result<Vec<TaskReport>, Error> {
        // One more than there are cores, so that one task's transfers overlap with the others' work.
        let at_once = if tasks.iter().any(|task| task.careful) { 1 } else { self.cores + 1 };
        let running: Vec<_> = tasks.iter().map(|task| self.worker.run(task, watch)).collect();
        stream::iter(running).buffered(at_once).try_collect().await
    }
}
