//! Reads and changes the index within one transaction.
//!
//! Knows tables and records. Knows nothing about blob files, batching or HTTP.
//! Invariant: a method that returns a refusal has changed nothing, so that refusals can share a transaction.

use redb::{ReadTransaction, ReadableTable, Table, WriteTransaction};
use s3s::{S3Result, s3_error};

use super::internal;
use super::records::{
    BUCKETS, BucketRecord, COMPLETIONS, CompletionRecord, OBJECTS, ObjectRecord, PARTS, PartRecord, UPLOADS,
    UploadRecord, after_prefix, decode, encode, object_key, upload_key,
};

pub(crate) type Bytes = &'static [u8];

/// How many completed uploads are remembered: the newest.
const COMPLETIONS_MAX: u64 = 1_000;

/// The tables of one transaction; the parameters make it a reading or a writing one.
pub(crate) struct Tables<B, O, P, C> {
    pub(crate) buckets: B,
    pub(crate) objects: O,
    pub(crate) uploads: O,
    pub(crate) parts: P,
    pub(crate) completions: C,
    /// Whether anything was written; a transaction that only refused is not committed.
    pub(crate) changed: bool,
}

pub(crate) type ReadTables = Tables<
    redb::ReadOnlyTable<&'static str, Bytes>,
    redb::ReadOnlyTable<Bytes, Bytes>,
    redb::ReadOnlyTable<(&'static str, u32), Bytes>,
    redb::ReadOnlyTable<u64, Bytes>,
>;

pub(crate) type WriteTables<'t> = Tables<
    Table<'t, &'static str, Bytes>,
    Table<'t, Bytes, Bytes>,
    Table<'t, (&'static str, u32), Bytes>,
    Table<'t, u64, Bytes>,
>;

pub(crate) fn open_for_reading(transaction: &ReadTransaction) -> Result<ReadTables, redb::TableError> {
    Ok(Tables {
        buckets: transaction.open_table(BUCKETS)?,
        objects: transaction.open_table(OBJECTS)?,
        uploads: transaction.open_table(UPLOADS)?,
        parts: transaction.open_table(PARTS)?,
        completions: transaction.open_table(COMPLETIONS)?,
        changed: false,
    })
}

pub(crate) fn open_for_writing(transaction: &WriteTransaction) -> Result<WriteTables<'_>, redb::TableError> {
    Ok(Tables {
        buckets: transaction.open_table(BUCKETS)?,
        objects: transaction.open_table(OBJECTS)?,
        uploads: transaction.open_table(UPLOADS)?,
        parts: transaction.open_table(PARTS)?,
        completions: transaction.open_table(COMPLETIONS)?,
        changed: false,
    })
}

impl<B, O, P, C> Tables<B, O, P, C>
where
    B: ReadableTable<&'static str, Bytes>,
    O: ReadableTable<Bytes, Bytes>,
    P: ReadableTable<(&'static str, u32), Bytes>,
    C: ReadableTable<u64, Bytes>,
{
    pub(crate) fn bucket(&self, bucket: &str) -> S3Result<BucketRecord> {
        match self.buckets.get(bucket).map_err(internal("reading a bucket"))? {
            Some(record) => decode(record.value()),
            None => Err(s3_error!(NoSuchBucket, "bucket {bucket:?} does not exist: create it first")),
        }
    }

    pub(crate) fn all_buckets(&self) -> S3Result<Vec<(String, BucketRecord)>> {
        let reading = internal("listing the buckets");
        self.buckets
            .iter()
            .map_err(&reading)?
            .map(|entry| {
                let (name, record) = entry.map_err(&reading)?;
                Ok((name.value().to_owned(), decode(record.value())?))
            })
            .collect()
    }

    /// The object, or `None` if the bucket exists and the object does not.
    pub(crate) fn find_object(&self, bucket: &str, key: &str) -> S3Result<Option<ObjectRecord>> {
        let record = self.objects.get(object_key(bucket, key).as_slice()).map_err(internal("reading an object"))?;
        match record {
            Some(record) => decode(record.value()).map(Some),
            None => self.bucket(bucket).map(|_| None),
        }
    }

    pub(crate) fn object(&self, bucket: &str, key: &str) -> S3Result<ObjectRecord> {
        self.find_object(bucket, key)?
            .ok_or_else(|| s3_error!(NoSuchKey, "object {key:?} does not exist in bucket {bucket:?}"))
    }

    pub(crate) fn upload(&self, bucket: &str, key: &str, upload_id: &str) -> S3Result<UploadRecord> {
        let record =
            self.uploads.get(upload_key(bucket, key, upload_id).as_slice()).map_err(internal("reading an upload"))?;
        match record {
            Some(record) => decode(record.value()),
            None => {
                self.bucket(bucket)?;
                Err(s3_error!(
                    NoSuchUpload,
                    "upload {upload_id:?} does not exist: it was completed or aborted, or never created"
                ))
            }
        }
    }

    /// The completion of an upload, if it is remembered and the bucket has not been created again since.
    pub(crate) fn completion(&self, bucket: &str, key: &str, upload_id: &str) -> S3Result<Option<CompletionRecord>> {
        let reading = internal("looking for a completed upload");
        let created_ms = self.bucket(bucket)?.created_ms;
        for entry in self.completions.iter().map_err(&reading)?.rev() {
            let record: CompletionRecord = decode(entry.map_err(&reading)?.1.value())?;
            if (record.bucket.as_str(), record.key.as_str(), record.upload_id.as_str()) == (bucket, key, upload_id) {
                return Ok(Some(record).filter(|record| record.completed_ms >= created_ms));
            }
        }
        Ok(None)
    }

    /// The parts of an upload, by ascending number.
    pub(crate) fn parts_of(&self, upload_id: &str) -> S3Result<Vec<(u32, PartRecord)>> {
        let reading = internal("listing the parts of an upload");
        self.parts
            .range((upload_id, 0)..=(upload_id, u32::MAX))
            .map_err(&reading)?
            .map(|entry| {
                let (number, record) = entry.map_err(&reading)?;
                Ok((number.value().1, decode(record.value())?))
            })
            .collect()
    }
}

impl WriteTables<'_> {
    pub(crate) fn put_bucket(&mut self, bucket: &str, record: &BucketRecord) -> S3Result<()> {
        let bytes = encode(record)?;
        self.buckets.insert(bucket, bytes.as_slice()).map_err(internal("writing a bucket"))?;
        self.changed = true;
        Ok(())
    }

    /// Removes an empty bucket.
    pub(crate) fn remove_bucket(&mut self, bucket: &str) -> S3Result<()> {
        self.bucket(bucket)?;
        if holds_any(&self.objects, bucket)? || holds_any(&self.uploads, bucket)? {
            return Err(s3_error!(
                BucketNotEmpty,
                "bucket {bucket:?} has objects or unfinished uploads: delete or abort them first"
            ));
        }
        self.buckets.remove(bucket).map_err(internal("removing a bucket"))?;
        self.changed = true;
        Ok(())
    }

    pub(crate) fn put_object(&mut self, bucket: &str, key: &str, record: &ObjectRecord) -> S3Result<()> {
        let bytes = encode(record)?;
        self.objects
            .insert(object_key(bucket, key).as_slice(), bytes.as_slice())
            .map_err(internal("writing an object"))?;
        self.changed = true;
        Ok(())
    }

    pub(crate) fn remove_object(&mut self, bucket: &str, key: &str) -> S3Result<()> {
        self.objects.remove(object_key(bucket, key).as_slice()).map_err(internal("removing an object"))?;
        self.changed = true;
        Ok(())
    }

    pub(crate) fn put_upload(
        &mut self,
        bucket: &str,
        key: &str,
        upload_id: &str,
        record: &UploadRecord,
    ) -> S3Result<()> {
        let bytes = encode(record)?;
        self.uploads
            .insert(upload_key(bucket, key, upload_id).as_slice(), bytes.as_slice())
            .map_err(internal("writing an upload"))?;
        self.changed = true;
        Ok(())
    }

    /// Writes a part. Returns the part it replaces.
    pub(crate) fn put_part(
        &mut self,
        upload_id: &str,
        number: u32,
        record: &PartRecord,
    ) -> S3Result<Option<PartRecord>> {
        let bytes = encode(record)?;
        let replaced = self.parts.insert((upload_id, number), bytes.as_slice()).map_err(internal("writing a part"))?;
        self.changed = true;
        replaced.map(|record| decode(record.value())).transpose()
    }

    /// Remembers a completion, and forgets the oldest one if there are too many.
    pub(crate) fn put_completion(&mut self, record: &CompletionRecord) -> S3Result<()> {
        let writing = internal("writing a completion");
        let bytes = encode(record)?;
        let last = self.completions.last().map_err(internal("reading a completion"))?.map(|(number, _)| number.value());
        let number = last.map_or(0, |last| last + 1);
        self.completions.insert(number, bytes.as_slice()).map_err(&writing)?;
        if number >= COMPLETIONS_MAX {
            self.completions.remove(number - COMPLETIONS_MAX).map_err(&writing)?;
        }
        self.changed = true;
        Ok(())
    }

    /// Removes an upload with all its parts. Returns the parts.
    pub(crate) fn remove_upload(&mut self, bucket: &str, key: &str, upload_id: &str) -> S3Result<Vec<PartRecord>> {
        let parts = self.parts_of(upload_id)?;
        for (number, _) in &parts {
            self.parts.remove((upload_id, *number)).map_err(internal("removing a part"))?;
        }
        self.uploads.remove(upload_key(bucket, key, upload_id).as_slice()).map_err(internal("removing an upload"))?;
        self.changed = true;
        Ok(parts.into_iter().map(|(_, part)| part).collect())
    }
}

/// Whether a table keyed by [`object_key`] has any entry of `bucket`.
fn holds_any(table: &impl ReadableTable<Bytes, Bytes>, bucket: &str) -> S3Result<bool> {
    let first = object_key(bucket, "");
    let end = after_prefix(&first);
    let mut range =
        table.range(first.as_slice()..end.as_slice()).map_err(internal("looking for the objects of a bucket"))?;
    Ok(range.next().is_some())
}
