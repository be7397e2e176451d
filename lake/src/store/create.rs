//! Creates an object if its key is free, and recognises its own write when the response was lost.

use std::time::Duration;

use bytes::Bytes;
use object_store::{ObjectStoreExt, PutMode, PutOptions};

use super::Lake;
use crate::{
    error::{Error, ErrorKind},
    keys::Key,
};

/// How often a create is sent in total, if its outcome is unknown and the store shows no trace of it.
const ATTEMPTS: u32 = 5;

/// What came of a create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object exists with exactly the given bytes: written now, or by an earlier equal write.
    Ours,
    /// Another object exists, with these bytes.
    Theirs(Bytes),
}

impl Lake {
    /// Stores `body` under `key` if the key is free.
    ///
    /// Atomic and final: of all creates of one key, with different bodies, exactly one ever gets [`Created::Ours`].
    /// When the store's response is lost, the object is read back and compared, so calling again is safe. A body that
    /// must differ from another process's equal one carries an attempt id. Nothing is overwritten or deleted.
    ///
    /// # Errors
    /// [`Error::Store`]: the store failed and shows no trace of the object. It may still appear; call again with the
    /// same bytes.
    pub async fn create(&self, key: &Key, body: Bytes) -> Result<Created, Error> {
        let path = self.path(key);
        let mut attempt = 1;
        loop {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let failure = match self.store(key).put_opts(&path, body.clone().into(), options).await {
                Ok(_) => return Ok(Created::Ours),
                Err(error) => error,
            };
            let exists = matches!(failure, object_store::Error::AlreadyExists { .. });
            if !exists && super::kind_of(&failure) != ErrorKind::Retry {
                return Err(Error::store(self.creating(key))(failure));
            }
            match self.store(key).get(&path).await {
                Ok(found) => {
                    let stored = found.bytes().await.map_err(Error::store(format!("read back {key}")))?;
                    return Ok(if stored == body { Created::Ours } else { Created::Theirs(stored) });
                }
                Err(object_store::Error::NotFound { .. }) if attempt < ATTEMPTS => {}
                Err(_) => return Err(Error::store(self.creating(key))(failure)),
            }
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
            attempt += 1;
        }
    }

    fn creating(&self, key: &Key) -> String {
        format!("create {key} in {}", self.zone(key.zone()))
    }
}
