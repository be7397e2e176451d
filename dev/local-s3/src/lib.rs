//! An S3-compatible server for one machine.
//!
//! Replaces MinIO where no Docker engine runs, and serves tests that count an S3 store's requests and choose its faults
//! ([`FaultPlan`]). Without faults, a client may rely on it: conditional writes are atomic, listings are ordered and
//! complete, and an acknowledged write survives a killed process. It has one pair of credentials, no TLS, no versions
//! and no access policies, and is not meant to be exposed to a network.
//!
//! | file | job |
//! |---|---|
//! | `server` | the socket, and starting and stopping the server |
//! | `gate` | what every request passes before and after its operation; counts requests and decides on faults |
//! | `faults` | faults as data, and their seeded decisions |
//! | `service` | the S3 operations |
//! | `notify` | posts an event for each object that was created |
//! | `store` | the index and the blobs, crash-safe together |
//!
//! Start with [`Server::start`].

mod config;
mod credentials;
mod error;
mod faults;
mod gate;
mod notify;
mod server;
mod service;
mod store;

pub use self::config::Config;
pub use self::credentials::Credentials;
pub use self::error::{Error, ErrorKind};
pub use self::faults::{Answer, ContentLength, DoubledOn, Fault, FaultCounts, FaultKind, FaultPlan, KeyMatch, Moment};
pub use self::gate::RequestCounts;
pub use self::notify::NotifyTarget;
pub use self::server::Server;
pub use program::Secret;
