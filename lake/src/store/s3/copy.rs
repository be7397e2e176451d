//! Copies inside the bucket.
//!
//! Knows S3's copy. Knows nothing about conditions: [`Bucket::put`] does.
//! Invariant: a copy that must not replace anything never does, on any server that honours a conditional PUT.

use object_store::{CopyMode, CopyOptions, Error, GetOptions, PutMode, PutOptions, Result, path::Path};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Bucket, get, key::to_key};

/// How a copied key is written in a header: characters that a URL path allows stay as they are.
const IN_HEADER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The largest object that a copy without replacing loads into memory.
const CARRIED_BYTES_MAX: u64 = 256 << 20;

pub(super) async fn copy(bucket: &std::sync::Arc<Bucket>, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
    match options.mode {
        CopyMode::Overwrite => bucket.copy(from, to, None).await,
        CopyMode::Create => carry(bucket, from, to).await,
    }
}

impl Bucket {
    /// Copies an object, over whatever is at `to`; with `etag`, only that version.
    pub(super) async fn copy(&self, from: &Path, to: &Path, etag: Option<&str>) -> Result<()> {
        let doing = self.doing("copy to", to);
        let key = to_key(from);
        let source = format!("{}/{}", self.name, utf8_percent_encode(&key, IN_HEADER));
        let request = self.client.copy_object().bucket(&self.name).key(to_key(to)).copy_source(source);
        let request = request.set_copy_source_if_match(etag.map(str::to_owned));
        match request.send().await.map_err(|error| doing.failed(error)) {
            Ok(_) => Ok(()),
            Err(Error::NotFound { source, .. }) => Err(Error::NotFound { path: from.to_string(), source }),
            Err(error) => Err(error),
        }
    }
}

/// Copies through this process. AWS honours `If-None-Match` on a copy, but other servers ignore it there and replace.
async fn carry(bucket: &std::sync::Arc<Bucket>, from: &Path, to: &Path) -> Result<()> {
    let found = get::get(bucket, from, GetOptions::default()).await?;
    if found.meta.size > CARRIED_BYTES_MAX {
        let source =
            format!("{from} has {} bytes; a copy without replacing is limited to {CARRIED_BYTES_MAX}", found.meta.size);
        return Err(Error::NotSupported { source: source.into() });
    }
    let options = PutOptions { mode: PutMode::Create, attributes: found.attributes.clone(), ..PutOptions::default() };
    bucket.put(to, found.bytes().await?, options).await?;
    Ok(())
}
