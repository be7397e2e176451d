//! The settings a server starts with.
//!
//! Knows nothing about arguments or the environment: the binary fills this in from both, a test by hand.
//! Invariant: every value here is final; nothing else is read later.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::{Credentials, FaultPlan, NotifyTarget};

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
    /// The directory for all data; created if it does not exist.
    pub root: PathBuf,
    /// The address to listen on; `127.0.0.1` by default, since it has no TLS.
    pub host: IpAddr,
    /// The port to listen on; 0, the default here, picks a free one.
    pub port: u16,
    /// Buckets to create at startup if they do not exist.
    pub buckets: Vec<String>,
    /// The only credentials the server accepts.
    pub credentials: Credentials,
    /// Whether a write is on disk before it is answered, so that it survives a power cut and not only a killed
    /// process. Off by default: it costs one to three fsyncs per write.
    pub fsync: bool,
    /// The faults to inject from the first request on; none by default.
    pub faults: FaultPlan,
    /// Where to post an event for each object that is created; nowhere by default.
    pub notify: Option<NotifyTarget>,
}

impl Config {
    /// A server on a free port of 127.0.0.1 that stores its objects under `root`.
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
            notify: None,
        }
    }

    /// Adds a bucket to create at startup.
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

    /// Posts an event for each object that is created.
    #[must_use]
    pub fn notify(mut self, target: NotifyTarget) -> Self {
        self.notify = Some(target);
        self
    }
}
