//! Writes one object in one PUT, with or without a condition.
//!
//! Knows S3's conditional writes. Knows nothing about why a caller wants them.
//! Invariant: a conditional write is one PUT with its condition, never an upload in parts: S3 may answer the completion
//! of an upload with 200 and an error. What the server may have done without our knowledge is reported as such.

use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use bytes::Bytes;
use object_store::{Error, PutMode, PutOptions, PutResult, Result, path::Path};

use super::{Bucket, S3Failure, attributes::WithAttributes, backoff, connect::timeouts_for, error::Doing, key::to_key};

/// How often a write is tried if S3 refuses it with 409, which means that another write of the key is in progress.
const CONFLICT_TRIES_MAX: u32 = 10;

impl Bucket {
    pub(super) async fn put(&self, location: &Path, body: Bytes, options: PutOptions) -> Result<PutResult> {
        let doing = self.doing("put", location);
        let mut tries = 0;
        let error = loop {
            tries += 1;
            let request = self.put_request(location, &options, &doing)?;
            match send(request, body.clone(), &doing).await {
                Ok(result) => return Ok(result),
                Err(error) if tries < CONFLICT_TRIES_MAX && is_conflict(&error) => backoff::pause(tries).await,
                Err(error) => break error,
            }
        };
        Err(match (options.mode, error) {
            (PutMode::Overwrite, error) => error,
            // 304 was the first proposal in HTTP for a PUT with If-None-Match; some servers still answer it.
            (PutMode::Create, Error::Precondition { path, source } | Error::NotModified { path, source }) => {
                Error::AlreadyExists { path, source }
            }
            (PutMode::Update(_), Error::NotFound { path, source }) => Error::Precondition { path, source },
            (_, error) => doing.in_doubt(error),
        })
    }

    fn put_request(&self, location: &Path, options: &PutOptions, doing: &Doing) -> Result<PutObjectFluentBuilder> {
        let request = self.client.put_object().bucket(&self.name).key(to_key(location));
        let request = request.with_attributes(&options.attributes, options.tags.encoded())?;
        Ok(match &options.mode {
            PutMode::Overwrite => request,
            PutMode::Create => request.if_none_match("*"),
            PutMode::Update(version) => {
                let e_tag = version.e_tag.as_ref().ok_or_else(|| doing.other("an update needs the ETag to replace"))?;
                request.if_match(e_tag)
            }
        })
    }
}

async fn send(request: PutObjectFluentBuilder, body: Bytes, doing: &Doing) -> Result<PutResult> {
    let timeouts = timeouts_for(body.len());
    let request = request.body(body.into()).customize().config_override(timeouts);
    let put = request.send().await.map_err(|error| doing.failed(error))?;
    Ok(PutResult { e_tag: put.e_tag, version: put.version_id })
}

fn is_conflict(error: &Error) -> bool {
    matches!(S3Failure::of(error), Some(S3Failure::Conflict { .. }))
}
