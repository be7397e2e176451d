//! Tests a store before it is trusted: a second create of one key must be refused.

use std::sync::Arc;

use futures::{StreamExt, future::try_join_all};
use object_store::{PutMode, PutOptions};

use super::Lake;
use crate::{
    error::Error,
    keys::{Key, ZoneName},
};

impl Lake {
    /// Makes sure that the ledger's store refuses the second create of a key. Every commit relies on this.
    ///
    /// The stores of the remaining zones are not tested: a second create of one of their files writes the same bytes,
    /// since its name covers them.
    ///
    /// Leaves one small object, always the same one, and deletes nothing.
    ///
    /// # Errors
    /// - [`Error::ConditionalCreateIgnored`]: the store can't be used for a ledger. Use another.
    /// - [`Error::Store`]: the store can't be reached, or refuses these credentials.
    pub async fn probe_conditional_create(&self) -> Result<(), Error> {
        let key = Key::Probe;
        let zone = self.zone(ZoneName::Checkpoints);
        let doing = || format!("test the store at {zone}");
        let create = async |body: &'static str| {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            self.store(&key).put_opts(&self.path(&key), body.into(), options).await
        };
        match create("the second create of this object must be refused\n").await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(Error::store(doing())(error)),
        }
        // Different bytes, so that a store that compares contents is not mistaken for one that keeps the first object.
        match create("this store overwrites objects that it was asked to create\n").await {
            Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(Error::store(doing())(error)),
            Ok(_) => {
                return Err(Error::ConditionalCreateIgnored {
                    zone: ZoneName::Checkpoints,
                    url: zone.url().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Makes sure that a zone can be listed, so that a missing bucket or wrong credentials are reported at the start.
    ///
    /// # Errors
    /// [`Error::Store`], saying which zone and where.
    pub async fn check_reachable(&self, name: ZoneName) -> Result<(), Error> {
        let zone = self.zone(name);
        match zone.store.list(Some(&zone.path(name.as_str()))).next().await {
            None | Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(Error::store(format!("list zone {name} at {zone}"))(error)),
        }
    }

    /// Tests all stores before a consumer relies on them, at once: the ledger's with
    /// [`Lake::probe_conditional_create`], every other one with [`Lake::check_reachable`]. Needs no listing if all zones
    /// are in one bucket.
    ///
    /// # Errors
    /// Those of the two tests.
    pub async fn check_stores(&self) -> Result<(), Error> {
        let mut asked = vec![&self.zone(ZoneName::Checkpoints).store];
        let mut others = Vec::new();
        for name in ZoneName::ALL {
            let store = &self.zone(name).store;
            if !asked.iter().any(|other| Arc::ptr_eq(other, store)) {
                others.push(self.check_reachable(name));
                asked.push(store);
            }
        }
        let (probed, reached) = tokio::join!(self.probe_conditional_create(), try_join_all(others));
        probed.and(reached.map(drop))
    }
}
