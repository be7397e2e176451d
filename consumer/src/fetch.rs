//! Fetches the planned version of an object, whole or not at all.
//!
//! Invariant: bytes are handed on only if they are all of the planned version; a short body is never an end of file.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use lake::{
    ledger::{PlannedObject, PlannedTask},
    store::Lake,
    stream::ReadSettings,
};

use crate::{error::Error, task::Fetched};

/// How many of a task's objects are fetched at once: enough to hide a store's latency behind small objects.
const FETCHES_AT_ONCE: usize = 8;

/// Fetches all objects of a task, in the plan's order; of those that `is_poisoned` names by place, only looks whether they
/// are there.
///
/// # Errors
/// The first object that the store fails to give; the task can be tried again.
pub async fn fetch_task(
    lake: &Lake,
    task: &PlannedTask,
    read: &ReadSettings,
    is_poisoned: impl Fn(usize) -> bool,
) -> Result<Vec<Fetched>, Error> {
    let fetch = |(at, object)| fetch(lake, object, read, is_poisoned(at));
    // Collected, since the compiler can't see that a mapped stream of borrows may move between threads.
    let fetches: Vec<_> = task.objects.iter().enumerate().map(fetch).collect();
    stream::iter(fetches).buffered(FETCHES_AT_ONCE).try_collect().await
}

async fn fetch(lake: &Lake, object: &PlannedObject, read: &ReadSettings, is_poisoned: bool) -> Result<Fetched, Error> {
    let failed = |source| Error::Fetch { key: object.key.to_string(), source };
    let found = match lake.open_version(&object.key, &object.etag).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(Fetched::Missing),
        Err(object_store::Error::Precondition { .. }) => return Ok(Fetched::Changed),
        Err(error) => return Err(failed(error)),
    };
    if is_poisoned {
        return Ok(Fetched::Poison);
    }
    if object.size > read.object_bytes_max {
        return Ok(Fetched::TooLarge);
    }
    let bytes = whole_body(found.into_stream(), object.size).await.map_err(failed)?;
    if bytes.len() as u64 != object.size {
        return Err(Error::ShortBody {
            key: object.key.to_string(),
            received: bytes.len() as u64,
            expected: object.size,
        });
    }
    Ok(Fetched::Bytes(bytes))
}

/// All that a body holds; without a copy where it came in one piece.
async fn whole_body(
    mut body: BoxStream<'static, Result<Bytes, object_store::Error>>,
    size: u64,
) -> Result<Bytes, object_store::Error> {
    let Some(first) = body.try_next().await? else { return Ok(Bytes::new()) };
    let Some(second) = body.try_next().await? else { return Ok(first) };
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    bytes.extend_from_slice(&first);
    bytes.extend_from_slice(&second);
    while let Some(chunk) = body.try_next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}
