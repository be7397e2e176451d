//! Deletes keys, many at a time.
//!
//! Knows S3's DeleteObjects and DeleteObject. Knows nothing about what is deleted.
//! Invariant: one outcome per location, in the order of the locations.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_s3::types::{Delete, Error as Refusal, ObjectIdentifier};
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{Error, Result, path::Path};

use super::{Bucket, error::Answer, key::to_key};

/// The most keys that S3 accepts in one request.
const KEYS_MAX: usize = 1_000;
const REQUESTS_AT_ONCE: usize = 4;
const SINGLE_AT_ONCE: usize = 16;
/// Codes of servers that don't support DeleteObjects, or want a checksum with it that the SDK no longer sends.
const BETTER_ONE_BY_ONE: &[&str] = &["NotImplemented", "MethodNotAllowed", "MissingContentMD5"];
/// Codes of some servers for a missing key. For a deletion, that is a success.
const GONE: &[&str] = &["NoSuchKey"];

pub(super) fn delete(
    bucket: Arc<Bucket>,
    locations: BoxStream<'static, Result<Path>>,
) -> BoxStream<'static, Result<Path>> {
    let outcomes = locations.chunks(KEYS_MAX).map(move |locations| {
        let bucket = Arc::clone(&bucket);
        async move { stream::iter(bucket.delete_chunk(locations).await) }
    });
    outcomes.buffered(REQUESTS_AT_ONCE).flatten().boxed()
}

impl Bucket {
    /// Deletes one version of an object: S3 checks that it is still the current one.
    pub(super) async fn delete_version(&self, path: &Path, etag: &str) -> Result<()> {
        let doing = self.doing("delete", path);
        let request = self.client.delete_object().bucket(&self.name).key(to_key(path)).if_match(etag);
        request.send().await.map(drop).map_err(|error| doing.failed(error))
    }

    async fn delete_chunk(&self, locations: Vec<Result<Path>>) -> Vec<Result<Path>> {
        let paths: Vec<&Path> = locations.iter().flatten().collect();
        // XML does not allow these characters, so a request for many keys can't name such a key.
        let (single, many): (Vec<&Path>, Vec<&Path>) =
            paths.into_iter().partition(|path| to_key(path).contains(|character: char| character.is_control()));
        let mut failures = self.delete_many(&many).await;
        failures.extend(self.delete_each(&single).await);
        locations
            .into_iter()
            .map(|location| location.and_then(|path| failures.remove(&path).map_or(Ok(path), Err)))
            .collect()
    }

    async fn delete_each(&self, paths: &[&Path]) -> HashMap<Path, Error> {
        let paths: Vec<Path> = paths.iter().map(|&path| path.clone()).collect();
        let outcomes = stream::iter(paths).map(|path| async move {
            let doing = self.doing("delete", &path);
            let request = self.client.delete_object().bucket(&self.name).key(to_key(&path));
            match request.send().await.map_err(|error| doing.failed(error)) {
                Ok(_) | Err(Error::NotFound { .. }) => None,
                Err(error) => Some((path, error)),
            }
        });
        outcomes.buffer_unordered(SINGLE_AT_ONCE).filter_map(std::future::ready).collect().await
    }

    async fn delete_many(&self, paths: &[&Path]) -> HashMap<Path, Error> {
        // Every server supports the plain request.
        if paths.len() < 2 {
            return self.delete_each(paths).await;
        }
        match self.request_deletion(paths).await {
            Ok(refusals) => self.failures(paths, &refusals),
            Err(answer) if answer.has_code(BETTER_ONE_BY_ONE) => self.delete_each(paths).await,
            Err(answer) => paths.iter().map(|&path| (path.clone(), self.not_deleted(path, answer.clone()))).collect(),
        }
    }

    async fn request_deletion(&self, paths: &[&Path]) -> Result<Vec<Refusal>, Answer> {
        let keys = paths.iter().map(|path| ObjectIdentifier::builder().key(to_key(path)).build());
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|error| Answer::not_sent(&error))?;
        let delete = Delete::builder().set_objects(Some(keys)).quiet(true).build();
        let delete = delete.map_err(|error| Answer::not_sent(&error))?;
        let request = self.client.delete_objects().bucket(&self.name).delete(delete);
        let answer = request.send().await.map_err(|error| Answer::of(&error))?;
        Ok(answer.errors.unwrap_or_default())
    }

    /// The failures in a response that lists what was not deleted.
    fn failures(&self, paths: &[&Path], refusals: &[Refusal]) -> HashMap<Path, Error> {
        let answers: HashMap<&str, Answer> = refusals
            .iter()
            .map(|refusal| (refusal.key().unwrap_or_default(), Answer::entry(refusal.code(), refusal.message())))
            .collect();
        let mut failures = HashMap::new();
        for &path in paths {
            if let Some(answer) = answers.get(to_key(path).as_str()).filter(|answer| !answer.has_code(GONE)) {
                failures.insert(path.clone(), self.not_deleted(path, answer.clone()));
            }
        }
        failures
    }

    fn not_deleted(&self, path: &Path, answer: Answer) -> Error {
        self.doing("delete", path).answered(answer)
    }
}
