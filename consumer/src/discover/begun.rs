//! A listing that begins before its look, while the ledger is still being read: both wait for the store.
//!
//! Knows nothing about what is known. Invariant: it shows what a listing shows that begins at the same time, so a look
//! that continues it finds all that was there then.

use std::future::pending;

use futures::{StreamExt, stream::iter};
use lake::{
    Error,
    ids::StreamName,
    keys::Prefix,
    store::{Lake, Listed},
};

use super::{Listing, PAGE_LISTED, Rest};

/// A full listing of a stream's raw objects.
#[derive(Debug)]
pub struct BegunListing {
    /// What it has shown so far, at most a page.
    listed: Vec<Result<Listed, Error>>,
    rest: Rest,
}

impl BegunListing {
    /// Prepares to list; sends nothing yet.
    pub fn new(lake: &Lake, stream: &StreamName) -> Self {
        Self { listed: Vec::new(), rest: Rest::of(lake.list(&Prefix::Raw(stream), None).fuse().boxed()) }
    }

    /// Lists until `other` is done, and returns what that returns.
    pub async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        let rest = self.rest.listing();
        let list = async {
            while self.listed.len() < PAGE_LISTED
                && let Some(listed) = rest.next().await
            {
                self.listed.push(listed);
            }
            pending().await
        };
        tokio::select! {
            done = other => done,
            never = list => never,
        }
    }

    /// All that is listed.
    pub(super) fn into_listing(self) -> Listing {
        iter(self.listed).chain(self.rest.into_listing()).boxed()
    }
}
