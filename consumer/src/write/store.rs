//! Stores the results of a task: its files, and byte-for-byte copies of the objects that it could not read.
//!
//! Invariant: each object is created only if absent, so that a second execution of the plan finds its own work or
//! fails.

use futures::TryStreamExt;
use lake::{
    ids::{Fingerprint, Ordinal, sha256_hex},
    keys::{DataFile, Key},
    ledger::{OutputFile, PlannedObject},
    store::{Created, Lake},
};
use object_store::{ObjectStoreExt, WriteMultipart};

use tables::WrittenFile;

use crate::{decode::Source, error::Error, execute::PlanHead};

/// Creates one data file, or adopts the equal one that another executor of the plan has stored.
///
/// # Errors
/// - [`Error::Corrupt`]: the name that only these bytes can have belongs to other bytes.
/// - [`Error::Lake`]: the store failed; calling again is safe.
pub(crate) async fn store_file(lake: &Lake, key: Key, file: WrittenFile) -> Result<OutputFile, Error> {
    let _place = lake.transfers().begin().await;
    let output = OutputFile {
        size: file.bytes.len() as u64,
        sha256: sha256_hex(&file.bytes),
        rows: file.rows,
        event_time_min: file.event_times.map(|(min, _)| min),
        event_time_max: file.event_times.map(|(_, max)| max),
        key,
    };
    match lake.create(&output.key, file.bytes).await? {
        Created::Ours => Ok(output),
        Created::Theirs(found) => Err(Error::Corrupt(format!(
            "{} exists with other bytes ({} instead of {}) than its plan and this program's version produce; another \
             program wrote it, so move it away and start again",
            output.key,
            found.len(),
            output.size
        ))),
    }
}

/// Keeps an unreadable object byte for byte under `copy`.
///
/// # Errors
/// [`Error::Lake`] or [`Error::Fetch`] when a store fails; calling again is safe.
pub(crate) async fn store_copy(lake: &Lake, copy: &Key, object: &PlannedObject, source: Source) -> Result<(), Error> {
    let _place = lake.begin_small_write(copy).await;
    match source {
        Source::Whole(bytes) => {
            if let Created::Theirs(_) = lake.create(copy, bytes).await? {
                return Err(Error::Corrupt(format!("{copy} exists and is not a copy of {}; move it away", object.key)));
            }
            Ok(())
        }
        Source::Streamed(_) => stream_copy(lake, copy, object).await,
    }
}

/// Copies an object too large for memory. Not conditional, since a multipart upload can't safely be: the key names
/// the plan and the input, and with them the only bytes that can ever be written there.
async fn stream_copy(lake: &Lake, copy: &Key, object: &PlannedObject) -> Result<(), Error> {
    let read = |source| Error::Fetch { key: object.key.to_string(), source };
    let write = |source| lake::Error::Store { doing: format!("copy {} to {copy}", object.key), source };
    let mut body = lake.open_version(&object.key, &object.etag).await.map_err(read)?.into_stream();
    let upload = lake.store(copy).put_multipart(&lake.path(copy)).await.map_err(write)?;
    let mut upload = WriteMultipart::new(upload);
    while let Some(chunk) = body.try_next().await.map_err(read)? {
        upload.wait_for_capacity(4).await.map_err(write)?;
        upload.put(chunk);
    }
    upload.finish().await.map_err(write)?;
    Ok(())
}

/// The name of a task's file in its zone.
pub(crate) fn data_file(plan: &PlanHead, task: Ordinal, fingerprint: Fingerprint) -> DataFile {
    DataFile {
        stream: plan.stream.clone(),
        ingested_date: plan.planned_at.date(),
        batch: plan.batch,
        task,
        fingerprint,
    }
}

/// Where an unreadable object is kept; `input` is its place among the batch's inputs.
///
/// # Errors
/// [`Error::Bug`]: no plan has so many inputs.
pub(crate) fn object_copy(plan: &PlanHead, input: usize) -> Result<Key, Error> {
    let input = Ordinal::new(input).ok_or_else(|| Error::Bug("the plan has too many inputs".to_owned()))?;
    let id = Some(Fingerprint::of(plan.plan_id.as_bytes()));
    Ok(Key::ObjectCopy { stream: plan.stream.clone(), batch: plan.batch, input, plan: id })
}
