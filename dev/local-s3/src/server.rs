//! A server: a socket, the S3 protocol and a store.
//!
//! Knows connections and how they end. Knows nothing about what an operation does.
//! Invariant: after [`Server::shutdown`] the root is closed, and can be opened again at once.

mod connection;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use s3s::path::check_bucket_name;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use crate::credentials::Accepted;
use crate::faults::{FaultCounts, FaultPlan};
use crate::gate::{Gate, RequestCounts};
use crate::notify::Notifier;
use crate::service::Service;
use crate::store::committer::Applied;
use crate::store::records::BucketRecord;
use crate::store::{Store, now_ms};
use crate::{Config, Credentials, Error};

/// How long a shutdown waits for running requests before it cuts them off.
const GRACE: Duration = Duration::from_secs(10);

/// A running server.
///
/// Dropping it stops it as [`Server::shutdown`] does, but without waiting.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    gate: Gate,
    notifier: Notifier,
    notifying: Option<AbortHandle>,
    accepted: Accepted,
    store: std::sync::Weak<Store>,
    stop: watch::Sender<bool>,
    serving: Option<JoinHandle<()>>,
    closed: Option<oneshot::Receiver<()>>,
}

impl Server {
    /// Opens the root, creates the configured buckets and starts to listen.
    ///
    /// When this returns, the server answers requests. It must be called within a tokio runtime, which then runs the
    /// server.
    ///
    /// # Errors
    /// - [`crate::ErrorKind::Invalid`]: a bucket name or the fault plan is not valid. Correct it.
    /// - [`crate::ErrorKind::Retry`]: the port or the root cannot be used. Free it, or choose another.
    pub async fn start(config: Config) -> Result<Self, Error> {
        if let Some(name) = config.buckets.iter().find(|name| !check_bucket_name(name)) {
            return Err(Error::BucketName { name: name.clone() });
        }
        check_faults(&config.faults)?;
        let listener = listen(SocketAddr::new(config.host, config.port)).await?;
        let address = listener
            .local_addr()
            .map_err(|source| Error::Listen { address: SocketAddr::new(config.host, config.port), source })?;
        let (root, fsync) = (config.root.clone(), config.fsync);
        let (store, closed) = tokio::task::spawn_blocking(move || Store::open(&root, fsync))
            .await
            .map_err(|_| Error::Bug { doing: "opening the store" })??;
        let store = Arc::new(store);
        for bucket in &config.buckets {
            create_bucket(&store, bucket.clone()).await?;
        }
        let (stop, stopped) = watch::channel(false);
        let gate = Gate::new(stopped.clone());
        gate.faults().set(config.faults.clone());
        let weak = Arc::downgrade(&store);
        let (notifier, notifying) = Notifier::start(config.notify.clone());
        let accepted = Accepted::only(config.credentials);
        let service = Service { store, notifier: notifier.clone() };
        let service = s3_service(accepted.clone(), service, gate.clone());
        let serving = Some(tokio::spawn(serve(listener, service, gate.clone(), stopped)));
        Ok(Self { address, gate, notifier, notifying, accepted, store: weak, stop, serving, closed: Some(closed) })
    }

    /// The URL for clients, path-style: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address the server listens on, with the port it picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often each operation was called since the start.
    #[must_use]
    pub fn requests(&self) -> RequestCounts {
        self.gate.counts()
    }

    /// Replaces the current plan for every request that arrives from now on, with all counters at zero;
    /// [`FaultPlan::default`] ends all faults. Running requests keep the faults of the old plan.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`]: the plan has mistakes; correct them. The old plan stays in use.
    pub fn set_faults(&self, plan: FaultPlan) -> Result<(), Error> {
        check_faults(&plan)?;
        self.gate.faults().set(plan);
        Ok(())
    }

    /// Accepts these credentials instead of the current ones, for every request that arrives from now on.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.accepted.replace(credentials);
    }

    /// How often faults happened, by kind, by operation and by index in the plan.
    #[must_use]
    pub fn faults_injected(&self) -> FaultCounts {
        self.gate.faults().counts()
    }

    /// How many notifications were lost since the start: dropped because too many waited, or refused by the target.
    #[must_use]
    pub fn notifications_lost(&self) -> u64 {
        self.notifier.lost()
    }

    /// How many index entries listings have read since the start: what a listing costs.
    #[must_use]
    pub fn index_entries_visited(&self) -> u64 {
        self.store.upgrade().map_or(0, |store| store.entries_visited())
    }

    /// Stops listening, finishes running requests (cut off after ten seconds) and closes the root.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(serving) = self.serving.take()
            && serving.await.is_err()
        {
            tracing::error!("the accept loop panicked");
        }
        if let Some(closed) = self.closed.take() {
            // Resolves when the sender is dropped: an error to a oneshot, but the event to wait for here.
            drop(closed.await);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(notifying) = &self.notifying {
            notifying.abort();
        }
    }
}

fn check_faults(plan: &FaultPlan) -> Result<(), Error> {
    match plan.problems() {
        problems if problems.is_empty() => Ok(()),
        problems => Err(Error::FaultPlan { problems }),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => Error::PortTaken { address },
        _ => Error::Listen { address, source },
    })
}

async fn create_bucket(store: &Store, bucket: String) -> Result<(), Error> {
    let created = store.change(move |tables| {
        if tables.bucket(&bucket).is_err() {
            tables.put_bucket(&bucket, &BucketRecord { created_ms: now_ms() })?;
        }
        Ok(Applied::value(()))
    });
    created.await.map_err(|_| Error::Bug { doing: "creating a bucket at start" })
}

fn s3_service(accepted: Accepted, service: Service, gate: Gate) -> S3Service {
    let mut builder = S3ServiceBuilder::new(service);
    builder.set_auth(accepted);
    builder.set_access(gate);
    builder.build()
}

/// Accepts connections until `stopped` is set, then waits for open ones.
async fn serve(listener: TcpListener, service: S3Service, gate: Gate, mut stopped: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection::serve(stream, service.clone(), gate.clone(), &graceful));
                }
                Err(error) => {
                    // Most likely out of file descriptors: wait for some to be closed instead of spinning.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = told_to_stop(&mut stopped) => break,
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("cut off the requests that were still running");
    }
    connections.shutdown().await;
}

async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // The server holds the sender and sends before it drops it; either way it is time to stop.
    drop(stopped.wait_for(|stopped| *stopped).await);
}
