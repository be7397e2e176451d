//! The bytes of one GET, to their end.
//!
//! Knows how many bytes are due. Knows nothing about what they are.
//! Invariant: the stream ends without an error only after exactly the bytes of its range of one version of the object.

use std::{ops::Range, sync::Arc};

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::{Stream, stream};
use object_store::{GetOptions, GetRange, ObjectMeta, Result, path::Path};
use tracing::debug;

use super::{
    super::{
        Bucket, backoff,
        error::{Doing, innermost},
    },
    Span, check_version,
};

/// How often one stream is resumed after it breaks off.
const RESUMES_MAX: u32 = 5;

pub(super) struct Body {
    bucket: Arc<Bucket>,
    location: Path,
    e_tag: Option<String>,
    version: Option<String>,
    /// The bytes still to come.
    due: Range<u64>,
    bytes: ByteStream,
    resumes: u32,
    doing: Doing,
}

impl Body {
    pub(super) fn new(
        bucket: Arc<Bucket>,
        location: Path,
        meta: &ObjectMeta,
        due: Range<u64>,
        bytes: ByteStream,
        doing: Doing,
    ) -> Self {
        let (e_tag, version) = (meta.e_tag.clone(), meta.version.clone());
        Self { bucket, location, e_tag, version, due, bytes, resumes: 0, doing }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        stream::try_unfold(self, |mut body| async move { Ok(body.next().await?.map(|bytes| (bytes, body))) })
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let left = self.due.end - self.due.start;
            match self.bytes.try_next().await {
                Ok(Some(chunk)) if chunk.len() as u64 <= left => {
                    self.due.start += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                Ok(Some(_)) => return Err(self.doing.other("the response has more bytes than it announced")),
                // Read to the end of the stream: the checksum is compared there.
                Ok(None) if left == 0 => return Ok(None),
                Err(error) if left == 0 => return Err(self.doing.broken_off(innermost(&error))),
                Ok(None) => self.resume("the connection was closed").await?,
                Err(error) => self.resume(&innermost(&error)).await?,
            }
        }
    }

    /// Requests the rest, of the same version only.
    async fn resume(&mut self, reason: &str) -> Result<()> {
        let left = self.due.end - self.due.start;
        if self.resumes == RESUMES_MAX || self.e_tag.is_none() {
            return Err(self.doing.broken_off(format!("the response broke off {left} bytes before its end: {reason}")));
        }
        self.resumes += 1;
        debug!(location = %self.location, bytes_left = left, reason, "resuming after the response broke off");
        backoff::pause(self.resumes).await;

        let options = GetOptions {
            range: Some(GetRange::Bounded(self.due.clone())),
            if_match: self.e_tag.clone(),
            version: self.version.clone(),
            ..GetOptions::default()
        };
        let request = self.bucket.get_request(&self.location, &options, &self.doing)?;
        let found = request.send().await.map_err(|error| self.doing.failed(error))?;
        check_version(&self.location, self.e_tag.as_deref(), found.e_tag(), &self.doing)?;
        let span = Span::of(found.content_range(), found.content_length(), true);
        if span.is_ok_and(|span| span.range == self.due) {
            self.bytes = found.body;
            return Ok(());
        }
        Err(self.doing.broken_off("the response has a different range than requested"))
    }
}
