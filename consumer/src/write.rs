//! Writer: a task's rows and dead letters in, files in the store out.

mod output;
mod store;

pub(crate) use output::Output;
pub use output::{Emit, LeftOut, Made, OutputKind, OutputPart};
pub(crate) use store::{data_file, object_copy, store_copy, store_file};
