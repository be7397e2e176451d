//! S3 as an [`ObjectStore`], over `aws-sdk-s3`.
//!
//! Knows S3 and its responses. Knows nothing about zones, streams or ledgers. Each operation has its own file below.
//! Invariant: [`PutMode::Create`](object_store::PutMode::Create) and [`PutMode::Update`](object_store::PutMode::Update)
//! are decided by S3 in one conditional PUT; if its response is lost, the error says so instead of guessing.

mod attributes;
mod backoff;
mod connect;
mod copy;
mod delete;
mod error;
mod get;
mod list;
mod multipart;
mod put;
mod renewal;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, path::Path,
};

pub use aws_sdk_s3::config::Credentials;

use super::key;
pub use super::key::{to_key, to_path};
pub use connect::{Waits, service_settings};
pub use error::S3Failure;

/// One S3 bucket as an [`ObjectStore`]. Cheap to clone; clones share their connections.
///
/// A location is S3's key as [`to_path`] writes it, so every key that S3 allows can be listed, read and written;
/// [`to_key`] converts a listed location back to S3's own key. One kind of key is listed but can't be read: the SDK
/// treats a key of only white space as missing.
///
/// # Errors
/// A refusal for a reason that every store has is one of [`object_store::Error`]'s own variants. Everything else is its
/// `Generic` variant, whose source is an [`S3Failure`]: get it with [`S3Failure::of`].
#[derive(Clone)]
pub struct S3Store {
    bucket: Arc<Bucket>,
}

/// What every operation needs: the client, and the names for its errors.
struct Bucket {
    client: aws_sdk_s3::Client,
    /// The client's credentials if they can change.
    credentials: Option<Arc<renewal::Renewable>>,
    name: String,
    /// The endpoint without user name and password, for display.
    endpoint: String,
}

impl S3Store {
    /// Prepares to use a bucket with the settings that every AWS tool reads: environment, profile, SSO, container or
    /// instance role. Sends nothing to the bucket yet, so a wrong name or missing credentials show at first use.
    /// When S3 refuses the credentials, they are read again, and if they have changed, the request is sent again.
    ///
    /// # Errors
    /// [`S3Failure::Settings`] when the bucket name or an endpoint URL is not valid. Correct it.
    pub async fn connect(bucket: &str) -> Result<Self, S3Failure> {
        Self::connect_with(bucket, Waits::LONG).await
    }

    /// Like [`S3Store::connect`], with waits of the caller's choice.
    ///
    /// # Errors
    /// Like [`S3Store::connect`].
    pub async fn connect_with(bucket: &str, waits: Waits) -> Result<Self, S3Failure> {
        connect::from_environment(bucket, waits).await.map(Self::of)
    }

    /// Prepares to use a bucket at an explicit endpoint with explicit credentials, whatever the environment says.
    ///
    /// # Errors
    /// [`S3Failure::Settings`] when the bucket name or the endpoint URL is not valid. Correct it.
    pub fn at(bucket: &str, endpoint: &str, credentials: Credentials) -> Result<Self, S3Failure> {
        connect::explicit(bucket, endpoint, credentials).map(Self::of)
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket.name
    }

    /// The URL that requests go to, without a user name and password.
    pub fn endpoint(&self) -> &str {
        &self.bucket.endpoint
    }

    /// How often S3 refused the credentials and others had replaced them.
    pub fn credential_renewals(&self) -> u64 {
        self.bucket.credentials.as_ref().map_or(0, |credentials| credentials.renewals())
    }

    fn of(bucket: Bucket) -> Self {
        Self { bucket: Arc::new(bucket) }
    }
}

impl fmt::Display for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{} at {}", self.bucket.name, self.bucket.endpoint)
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.bucket, f)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the client: its configuration leads to the credentials.
        f.debug_struct("S3Store").field("bucket", &self.name).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[async_trait]
impl super::Versions for S3Store {
    async fn delete_version(&self, location: &Path, etag: &str) -> Result<()> {
        self.bucket.delete_version(location, etag).await
    }

    async fn copy_version(&self, location: &Path, etag: &str, to: &Path) -> Result<()> {
        self.bucket.copy(location, to, Some(etag)).await
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.bucket.put(location, payload.into(), options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(multipart::Upload::start(&self.bucket, location, options).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        get::get(&self.bucket, location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        delete::delete(Arc::clone(&self.bucket), locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        list::list(Arc::clone(&self.bucket), list::Listing::below(prefix)).boxed()
    }

    /// Lists in the order of S3's keys, from the first key after the key of `offset`.
    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        list::list(Arc::clone(&self.bucket), list::Listing::below(prefix).after(offset)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        list::one_level(&self.bucket, prefix).await
    }

    /// Copies within S3. With [`CopyMode::Create`](object_store::CopyMode::Create) the bytes pass through this
    /// process instead, because S3 servers agree on conditional PUTs but not on conditional copies.
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        copy::copy(&self.bucket, from, to, options).await
    }
}
