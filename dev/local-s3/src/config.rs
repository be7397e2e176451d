//! What a server needs to know before it starts.
//!
//! Knows no arguments and no environment: the binary fills this in from both, a test by hand.
//! Invariant: every value here is final; nothing is read from elsewhere later.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::{Credentials, FaultPlan};

/// The settings of one server.
///
/// ```no_run
/// # async fn doc() -> Result<(), local_s3::Error> {
/// use local_s3::{Config, Credentials, Server};
///
/// let config = Config::new("/tmp/s3", Credentials::new("test", "test-secret")).bucket("lake");
/// let server = Server::start(config).await?;
/// println!("{}", server.endpoint());
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory that holds everything the server keeps; created when absent.
    pub root: PathBuf,
    /// The address to listen on; `127.0.0.1` by default, since there is no TLS.
    pub host: IpAddr,
    /// The port to listen on; 0, the default here, picks a free one.
    pub port: u16,
    /// Buckets created at start when absent.
    pub buckets: Vec<String>,
    /// The only credentials the server accepts.
    pub credentials: Credentials,
    /// Whether a write is on the disk before it is answered, so that it survives a power cut as well
    /// as a killed process. Off by default: it costs an fsync or three per write.
    pub fsync: bool,
    /// The faults to inject from the first request on; none by default.
    pub faults: FaultPlan,
}

impl Config {
    /// A server on a free port of 127.0.0.1 that keeps its objects under `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, credentials: Credentials) -> Self {
        Self {
            root: root.into(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            buckets: Vec::new(),
            credentials,
            fsync: false,
            faults: FaultPlan::default(),
        }
    }

    /// Adds a bucket to create at start.
    #[must_use]
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.buckets.push(name.into());
        self
    }

    /// Injects these faults.
    #[must_use]
    pub fn faults(mut self, plan: FaultPlan) -> Self {
        self.faults = plan;
        self
    }
}
