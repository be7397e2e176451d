//! Deletes or copies one version of an object, and never touches another version of it.
//!
//! Invariant: an object that was overwritten since it was read stays where it is, however close in time the two are.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use object_store::{Error as StoreError, GetOptions, ObjectStore, ObjectStoreExt, path::Path};

use super::Lake;
use crate::{
    error::Error,
    keys::{Key, ZoneName},
    store::Created,
};

/// An ETag that no object has.
const NO_VERSION: &str = "\"00000000000000000000000000000000\"";

/// What happened to a version that should be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone, by this call or before.
    Gone,
    /// Another version is there, and was left alone.
    Changed,
}

/// What a store can do to one version of an object.
#[async_trait]
pub(super) trait Versions: fmt::Debug + Send + Sync {
    /// Deletes the object if it is this version; `NotFound` and `Precondition` say why not.
    async fn delete_version(&self, location: &Path, etag: &str) -> object_store::Result<()>;

    /// Copies the object if it is this version, over whatever is at `to`.
    async fn copy_version(&self, location: &Path, etag: &str, to: &Path) -> object_store::Result<()>;
}

/// A store without conditional deletes that has no other writer, such as this process's memory.
#[derive(Debug)]
pub(super) struct Unconditional(pub(super) Arc<dyn ObjectStore>);

impl Unconditional {
    async fn check(&self, location: &Path, etag: &str) -> object_store::Result<()> {
        let options = GetOptions { head: true, ..GetOptions::new().with_if_match(Some(etag)) };
        self.0.get_opts(location, options).await.map(drop)
    }
}

#[async_trait]
impl Versions for Unconditional {
    async fn delete_version(&self, location: &Path, etag: &str) -> object_store::Result<()> {
        self.check(location, etag).await?;
        self.0.delete(location).await
    }

    async fn copy_version(&self, location: &Path, etag: &str, to: &Path) -> object_store::Result<()> {
        self.check(location, etag).await?;
        self.0.copy(location, to).await
    }
}

impl Lake {
    /// Deletes an object if it is still the version that `etag` names. Calling again is safe.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails.
    pub async fn delete_version(&self, key: &Key, etag: &str) -> Result<Removed, Error> {
        let zone = self.zone(key.zone());
        let deleted = zone.versions.delete_version(&self.path(key), etag).await;
        removed(deleted, || format!("delete {key} from {zone}"))
    }

    /// Copies an object to another key of its zone if it is still the version that `etag` names. Calling again is safe.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails.
    pub async fn copy_version(&self, key: &Key, etag: &str, to: &Key) -> Result<Removed, Error> {
        let zone = self.zone(key.zone());
        let copied = zone.versions.copy_version(&self.path(key), etag, &self.path(to)).await;
        removed(copied, || format!("copy {key} to {to} in {zone}"))
    }

    /// Makes sure that the raw zone's store refuses to delete a version other than the requested one.
    ///
    /// Leaves one small object, always the same one.
    ///
    /// # Errors
    /// - [`Error::ConditionalDeleteIgnored`]: an object that was overwritten could be lost. Keep objects after their
    ///   commit, or use another store.
    /// - [`Error::Store`]: the store can't be reached, or refuses these credentials.
    pub async fn probe_conditional_delete(&self) -> Result<(), Error> {
        let key = Key::DeleteProbe;
        // Never change these bytes: an object that differs is taken for one of another program.
        let body = "the deletion of another version of this object must be refused\n";
        if let Created::Theirs(_) = self.create(&key, body.into()).await? {
            return Err(Error::damaged(key, "was not written by this program; move it elsewhere"));
        }
        match self.delete_version(&key, NO_VERSION).await? {
            Removed::Changed => Ok(()),
            Removed::Gone => {
                let url = self.zone(ZoneName::Raw).url().to_owned();
                Err(Error::ConditionalDeleteIgnored { url })
            }
        }
    }
}

fn removed(outcome: object_store::Result<()>, doing: impl FnOnce() -> String) -> Result<Removed, Error> {
    match outcome {
        Ok(()) | Err(StoreError::NotFound { .. }) => Ok(Removed::Gone),
        Err(StoreError::Precondition { .. }) => Ok(Removed::Changed),
        Err(error) => Err(Error::store(doing())(error)),
    }
}
