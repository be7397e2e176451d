//! Lists keys, page by page.
//!
//! Knows S3's ListObjectsV2. Knows nothing about what keys mean.
//! Invariant: a listing that ends without an error named every key that existed all the time, and named it once.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::{
    operation::list_objects_v2::ListObjectsV2Output,
    types::{EncodingType, Object},
};
use futures::{Stream, TryStreamExt, stream};
use object_store::{
    Error, ListResult, ObjectMeta, Result,
    list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore},
    path::Path,
};
use percent_encoding::percent_decode_str;

use super::{
    Bucket, S3Store,
    error::Doing,
    get::to_chrono,
    key::{prefix_to_path, to_key, to_path},
};

/// What to list. All text is S3's own.
#[derive(Default)]
pub(super) struct Listing {
    prefix: String,
    delimiter: Option<String>,
    start_after: Option<String>,
    token: Option<String>,
    keys_max: Option<i32>,
}

impl Listing {
    /// All keys below a directory, if one is given.
    pub(super) fn below(prefix: Option<&Path>) -> Self {
        let prefix = prefix.filter(|path| !path.is_root()).map(|path| format!("{}/", to_key(path)));
        Self { prefix: prefix.unwrap_or_default(), ..Self::default() }
    }

    /// Leaves out the offset's key and everything before it.
    pub(super) fn after(self, offset: &Path) -> Self {
        Self { start_after: Some(to_key(offset)).filter(|key| !key.is_empty()), ..self }
    }
}

/// One page, decoded.
struct Page {
    objects: Vec<ObjectMeta>,
    prefixes: Vec<Path>,
    next: Option<String>,
}

pub(super) fn list(bucket: Arc<Bucket>, listing: Listing) -> impl Stream<Item = Result<ObjectMeta>> + Send + 'static {
    let pages = stream::try_unfold(Some((bucket, listing)), |left| async move {
        let Some((bucket, mut listing)) = left else { return Ok::<_, Error>(None) };
        let page = bucket.page(&listing).await?;
        let left = page.next.map(|token| {
            listing.token = Some(token);
            (bucket, listing)
        });
        Ok(Some((stream::iter(page.objects.into_iter().map(Ok)), left)))
    });
    pages.try_flatten()
}

/// The objects and the directories directly below one directory.
pub(super) async fn one_level(bucket: &Bucket, prefix: Option<&Path>) -> Result<ListResult> {
    let mut listing = Listing { delimiter: Some("/".to_owned()), ..Listing::below(prefix) };
    let mut result = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
    loop {
        let page = bucket.page(&listing).await?;
        result.objects.extend(page.objects);
        result.common_prefixes.extend(page.prefixes);
        listing.token = page.next;
        if listing.token.is_none() {
            return Ok(result);
        }
    }
}

#[async_trait]
impl PaginatedListStore for S3Store {
    /// Lists one page. Prefix, delimiter and offset are S3's own text rather than a path's.
    async fn list_paginated(&self, prefix: Option<&str>, options: PaginatedListOptions) -> Result<PaginatedListResult> {
        let listing = Listing {
            prefix: prefix.unwrap_or_default().to_owned(),
            delimiter: options.delimiter.map(Into::into),
            start_after: options.offset,
            token: options.page_token,
            keys_max: options.max_keys.map(|keys| i32::try_from(keys).unwrap_or(i32::MAX)),
        };
        let page = self.bucket.page(&listing).await?;
        let result = ListResult { common_prefixes: page.prefixes, objects: page.objects };
        Ok(PaginatedListResult { result, page_token: page.next })
    }
}

impl Bucket {
    async fn page(&self, listing: &Listing) -> Result<Page> {
        let doing = self.doing("list", listing.prefix.escape_default());
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            // Without it, a key with a control character makes the response unreadable.
            .encoding_type(EncodingType::Url)
            .set_prefix(Some(listing.prefix.clone()).filter(|prefix| !prefix.is_empty()))
            .set_delimiter(listing.delimiter.clone())
            .set_start_after(listing.start_after.clone())
            .set_continuation_token(listing.token.clone())
            .set_max_keys(listing.keys_max);
        let answer = request.send().await.map_err(|error| doing.failed(error))?;
        let next = next_token(&answer, listing, &doing)?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let objects = answer.contents().iter().map(|object| meta(object, encoded, &doing));
        let prefixes = answer.common_prefixes().iter().filter_map(|prefix| prefix.prefix());
        let prefixes = prefixes.map(|prefix| {
            let prefix = decode(prefix, encoded, &doing)?;
            Ok(prefix_to_path(prefix.strip_suffix('/').unwrap_or(&prefix)))
        });
        Ok(Page { objects: objects.collect::<Result<_>>()?, prefixes: prefixes.collect::<Result<_>>()?, next })
    }
}

fn next_token(answer: &ListObjectsV2Output, listing: &Listing, doing: &Doing) -> Result<Option<String>> {
    match answer.next_continuation_token() {
        _ if answer.is_truncated() != Some(true) => Ok(None),
        Some(token) if listing.token.as_deref() != Some(token) => Ok(Some(token.to_owned())),
        _ => Err(doing.other("the response is one page of several but does not name the next")),
    }
}

fn meta(object: &Object, encoded: bool, doing: &Doing) -> Result<ObjectMeta> {
    let key = object.key().ok_or_else(|| doing.other("the response lists an object without a key"))?;
    let size = object.size().and_then(|size| u64::try_from(size).ok());
    let last_modified = object.last_modified().and_then(to_chrono);
    let (Some(size), Some(last_modified)) = (size, last_modified) else {
        return Err(doing.other("the response lists an object without its size or Last-Modified"));
    };
    let location = to_path(&decode(key, encoded, doing)?);
    Ok(ObjectMeta { location, last_modified, size, e_tag: object.e_tag().map(str::to_owned), version: None })
}

/// Undoes S3's URL encoding, where a space can be `+` but a plus sign is always encoded.
fn decode(text: &str, encoded: bool, doing: &Doing) -> Result<String> {
    if !encoded {
        return Ok(text.to_owned());
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Into::into).map_err(|_| doing.other("the response lists a key that is not UTF-8"))
}
