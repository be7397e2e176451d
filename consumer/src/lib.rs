//! The consumer: discover → plan → decode → enforce → write → commit. The files of this crate read like that sentence.
//!
//! | stage | file |
//! |---|---|
//! | where the stream stands | `recover` |
//! | discover | `discover` |
//! | plan | `plan` |
//! | decode | `decode` |
//! | enforce | `enforce`; for most records `compiled`, which decodes, enforces and fills the columns in one pass |
//! | write | `rows`, `dead_letters`, `parquet_file`, `store_output` |
//! | commit | `batch`, which puts the stages together for one plan |
//! | what becomes of the objects then | `after_commit` |
//! | what kills the process | `attempts` |
//! | all control flow | `pipeline` |
//!
//! Invariant: `records read = rows + dead letters`, for every object and every batch, before it is committed.

pub mod after_commit;
pub mod args;
pub mod attempts;
pub mod batch;
pub mod compiled;
pub mod dead_letters;
pub mod decode;
pub mod discover;
pub mod enforce;
pub mod error;
pub mod failpoint;
pub mod fetch;
pub mod parquet_file;
pub mod pipeline;
pub mod plan;
pub mod recover;
mod retry;
pub mod rows;
pub mod settings;
pub mod status;
pub mod store_output;
pub mod task;
pub mod verify;

pub use error::Error;
