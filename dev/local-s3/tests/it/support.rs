//! A server on a new directory, and a client for it.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_smithy_http_client::Builder;
use local_s3::{Config, Fault, FaultPlan, Server};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const ACCESS_KEY: &str = "test-access";
pub(crate) const SECRET_KEY: &str = "test-secret";
pub(crate) const BUCKET: &str = "lake";

/// A running server with one bucket; its directory is deleted with it.
pub(crate) struct Fixture {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) root: TempDir,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let root = TempDir::new().unwrap();
        let server = Server::start(config(&root)).await.unwrap();
        let client = client(&server.endpoint(), SECRET_KEY);
        Self { server, client, root }
    }

    /// A server that injects these faults.
    pub(crate) async fn with_faults(faults: impl IntoIterator<Item = Fault>) -> Self {
        let s3 = Self::start().await;
        s3.set_faults(faults);
        s3
    }

    /// Replaces the faults, from now on.
    pub(crate) fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        let plan = FaultPlan { seed: 1, faults: faults.into_iter().collect() };
        self.server.set_faults(plan).unwrap();
    }

    pub(crate) async fn exists(&self, key: &str) -> bool {
        self.client.head_object().bucket(BUCKET).key(key).send().await.is_ok()
    }

    /// What the server sends to a plain GET of `key`, and how the connection ends.
    pub(crate) async fn raw_get(&self, key: &str) -> (String, std::io::Result<()>) {
        let lifetime = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
        let presigned = self.client.get_object().bucket(BUCKET).key(key).presigned(lifetime).await.unwrap();
        self.raw("GET", presigned.uri(), "").await
    }

    /// The same for a plain PUT.
    pub(crate) async fn raw_put(&self, key: &str, body: &str) -> (String, std::io::Result<()>) {
        let lifetime = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
        let presigned = self.client.put_object().bucket(BUCKET).key(key).presigned(lifetime).await.unwrap();
        self.raw("PUT", presigned.uri(), body).await
    }

    async fn raw(&self, method: &str, uri: &str, body: &str) -> (String, std::io::Result<()>) {
        let path = uri.strip_prefix(&self.server.endpoint()).unwrap();
        let (host, length) = (self.server.address(), body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer).await.map(drop);
        (String::from_utf8(answer).unwrap(), end)
    }

    pub(crate) fn put(&self, key: &str, body: &[u8]) -> PutObjectFluentBuilder {
        self.client.put_object().bucket(BUCKET).key(key).body(body.to_vec().into())
    }

    /// Puts an empty object under each of `keys`.
    pub(crate) async fn put_all<K: AsRef<str>>(&self, keys: impl IntoIterator<Item = K>) {
        for key in keys {
            self.put(key.as_ref(), b"").send().await.unwrap();
        }
    }

    pub(crate) async fn body(&self, key: &str) -> Vec<u8> {
        let object = self.client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        object.body.collect().await.unwrap().to_vec()
    }
}

pub(crate) fn config(root: &TempDir) -> Config {
    let credentials = local_s3::Credentials::new(ACCESS_KEY, SECRET_KEY);
    Config::new(root.path(), credentials).bucket(BUCKET)
}

/// A client without retries, so that tests see every response.
pub(crate) fn client(endpoint: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .force_path_style(true)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(ACCESS_KEY, secret, None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(Builder::new().build_http());
    Client::from_conf(config.build())
}

/// The status and S3 code of a refusal.
pub(crate) fn refusal<T, E>(result: Result<T, SdkError<E>>) -> (u16, String)
where
    T: std::fmt::Debug,
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    let error = result.unwrap_err();
    let status = error.raw_response().expect("a response, not a failed connection").status().as_u16();
    (status, error.code().unwrap_or_default().to_owned())
}

/// Asserts that the connection was closed without a response.
pub(crate) fn unanswered<T: std::fmt::Debug, E: std::fmt::Debug>(result: Result<T, SdkError<E>>) {
    assert!(matches!(result, Err(SdkError::DispatchFailure(_))), "{result:?}");
}

/// Bytes that differ at every offset that matters.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
