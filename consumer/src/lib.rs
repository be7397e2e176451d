//! The consumer: discover → plan → decode → enforce → write → commit. The folders of this crate read like that sentence.
//!
//! | stage | folder |
//! |---|---|
//! | where the stream is | `recover` |
//! | discover | [`discover`] |
//! | what makes the next look happen at once | [`hints`] |
//! | plan | `plan` |
//! | run the tasks of a plan, here or elsewhere | [`execute`] |
//! | decode | `decode` |
//! | enforce | [`enforce`]: most records by compiled rules, straight into columns, the rest by the judge |
//! | write | `write`, on top of the crate `tables` |
//! | commit, and what becomes of the raw objects then | `commit` |
//! | who may execute a plan that was left uncommitted, and when | `takeover` |
//! | which process made a plan | `owner` |
//! | all control flow | [`pipeline`] |
//! | `status` and `verify` | [`inspect`] |
//!
//! Invariant: `records read = rows + dead letters`, for every object and every batch, before it is committed.

pub mod args;
mod commit;
mod decode;
pub mod discover;
pub mod enforce;
mod error;
pub mod execute;
pub mod failpoint;
pub mod hints;
pub mod inspect;
pub mod owner;
pub mod pipeline;
mod plan;
mod recover;
pub mod settings;
mod stages;
mod takeover;
mod write;

pub use error::Error;
