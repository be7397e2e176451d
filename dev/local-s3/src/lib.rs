//! An S3-compatible server for one machine.
//!
//! Stands in for MinIO where no Docker engine runs, and serves tests that need an S3 store whose costs
//! they can count and whose faults they choose ([`FaultPlan`]). Without faults it keeps what a client may rely on: conditional writes are atomic, listings are
//! ordered and complete, an acknowledged write survives a killed process. It has one pair of
//! credentials, no TLS, no versions and no access policies, and is not meant to face a network.
//!
//! | file | job |
//! |---|---|
//! | `server` | the socket, and the life of a server |
//! | `gate` | what every request passes before and after its operation; counts, and decides on faults |
//! | `faults` | faults as data, and their seeded decisions |
//! | `service` | the S3 operations |
//! | `store` | the index and the blobs, crash-safe together |
//!
//! [`Server::start`] is where to begin.

mod config;
mod credentials;
mod error;
mod faults;
mod gate;
mod server;
mod service;
mod store;

pub use self::config::Config;
pub use self::credentials::{Credentials, Secret};
pub use self::error::{Error, ErrorKind};
pub use self::faults::{Answer, ContentLength, DoubledOn, Fault, FaultCounts, FaultKind, FaultPlan, KeyMatch, Moment};
pub use self::gate::RequestCounts;
pub use self::server::Server;
