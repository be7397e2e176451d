//! A lake on a local-s3 server in this process. A test injects its faults and counts its requests.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use consumer::{
    Error,
    pipeline::{Pipeline, RunSettings},
};
use lake::{
    clock::SystemClock,
    keys::Key,
    ledger::Ledger,
    store::{
        Created, Lake,
        s3::{Credentials, S3Store},
    },
    stream::StreamDefinition,
};
use local_s3::{Config, Fault, FaultPlan, Server};

use crate::lake_in_a_folder::{Contents, contents, events};

pub(crate) struct S3Lake {
    pub(crate) server: Server,
    pub(crate) lake: Lake,
    root: tempfile::TempDir,
}

pub(crate) async fn server() -> (Server, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    let config = Config::new(root.path(), local_s3::Credentials::new("tester", "test-secret")).bucket("lake");
    (Server::start(config).await.unwrap(), root)
}

/// What a program needs to find the lake on this server.
pub(crate) fn environment(server: &Server) -> [(&'static str, String); 5] {
    [
        ("LAKE_URL", "s3://lake".to_owned()),
        ("AWS_ENDPOINT_URL", server.endpoint().to_owned()),
        ("AWS_ACCESS_KEY_ID", "tester".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test-secret".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]
}

pub(crate) fn bucket(server: &Server) -> S3Store {
    S3Store::at("lake", &server.endpoint(), Credentials::new("tester", "test-secret", None, None, "test")).unwrap()
}

impl S3Lake {
    pub(crate) async fn new() -> Self {
        let (server, root) = server().await;
        Self::of(server, root)
    }

    pub(crate) fn of(server: Server, root: tempfile::TempDir) -> Self {
        Self { lake: Lake::on_bucket(bucket(&server)), server, root }
    }

    /// Stops the server. Its files stay.
    pub(crate) async fn stop_server(self) -> tempfile::TempDir {
        self.server.shutdown().await;
        self.root
    }

    pub(crate) fn faults(&self, seed: u64, faults: impl IntoIterator<Item = Fault>) {
        let plan = faults.into_iter().fold(FaultPlan::new(seed), FaultPlan::fault);
        self.server.set_faults(plan).unwrap();
    }

    pub(crate) async fn land(&self, rest: &str, body: &str) {
        land(&self.lake, rest, body).await;
    }

    /// Lands `count` objects of one record each, with ids from 0 and names from `name`.
    pub(crate) async fn land_ids(&self, count: usize, name: impl Fn(usize) -> String) {
        for id in 0..count {
            self.land(&name(id), &format!("[{{\"id\": {id}}}]")).await;
        }
    }

    pub(crate) async fn consume(&self, definition: StreamDefinition) -> Result<(), Error> {
        drain(&self.lake, definition).await
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(self.lake.clone(), events())
    }

    pub(crate) async fn holds(&self) -> Contents {
        contents(&self.ledger()).await
    }
}

/// Lands an object under `raw/events/`.
pub(crate) async fn land(lake: &Lake, rest: &str, body: &str) {
    let key = Key::Raw { stream: events(), rest: rest.to_owned() };
    assert_eq!(lake.create(&key, Bytes::copy_from_slice(body.as_bytes())).await.unwrap(), Created::Ours, "{rest:?}");
}

/// Drains the stream.
pub(crate) async fn drain(lake: &Lake, definition: StreamDefinition) -> Result<(), Error> {
    let settings = RunSettings::in_process(true, 2);
    let pipeline = Pipeline::open(lake.clone(), definition, Arc::new(SystemClock), settings).await?;
    pipeline.run(std::future::pending()).await
}

/// The ids of the rows; each must be there once.
pub(crate) fn ids(contents: &Contents) -> BTreeSet<i64> {
    let ids: Vec<i64> = contents.rows.iter().filter_map(|row| row.get("id")?.as_i64()).collect();
    let distinct: BTreeSet<i64> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len(), "a row is there twice");
    distinct
}
