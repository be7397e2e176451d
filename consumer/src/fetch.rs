//! Fetches the planned versions of a task's objects, each whole or not at all.
//!
//! Invariant: bytes are handed on only if they are all of the planned version; a short body is never an end of file.

use lake::{
    ledger::{PlannedObject, PlannedTask},
    store::{FoundVersion, Lake, Wanted},
    stream::ReadSettings,
};

use crate::{error::Error, task::Fetched};

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
    let unread = |(at, object): (usize, &PlannedObject)| match is_poisoned(at) {
        true => Some(Fetched::Poison),
        false => (object.size > read.object_bytes_max).then_some(Fetched::TooLarge),
    };
    let unread: Vec<Option<Fetched>> = task.objects.iter().enumerate().map(unread).collect();
    let wanted = task.objects.iter().zip(&unread).map(|(object, unread)| {
        let (key, etag) = (object.key.clone(), object.etag.clone());
        Wanted { key, etag, whole: unread.is_none() }
    });
    let found = lake.fetch(wanted.collect()).await;
    let found = task.objects.iter().zip(unread).zip(found);
    found.map(|((object, unread), found)| fetched(object, unread, found)).collect()
}

fn fetched(
    object: &PlannedObject,
    unread: Option<Fetched>,
    found: Result<FoundVersion, object_store::Error>,
) -> Result<Fetched, Error> {
    let key = || object.key.to_string();
    match found.map_err(|source| Error::Fetch { key: key(), source })? {
        FoundVersion::Missing => Ok(Fetched::Missing),
        FoundVersion::Changed => Ok(Fetched::Changed),
        FoundVersion::There => unread.ok_or_else(|| Error::Bug(format!("{} was looked at and not read", key()))),
        FoundVersion::Whole(bytes) if bytes.len() as u64 == object.size => Ok(Fetched::Bytes(bytes)),
        FoundVersion::Whole(bytes) => {
            Err(Error::ShortBody { key: key(), received: bytes.len() as u64, expected: object.size })
        }
    }
}
