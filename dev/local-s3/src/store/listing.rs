//! One page of a listing.
//!
//! Knows the order of keys and how a delimiter rolls them up. Knows nothing about S3's two list operations, their
//! tokens or their XML.
//! Invariant: a page reads at most one index entry more than it returns, whatever the bucket contains: it seeks past
//! the keys below a common prefix instead of reading them.

use std::ops::Bound;

use redb::ReadableTable;
use s3s::{S3Result, s3_error};

use super::internal;
use super::records::{ObjectRecord, after_prefix, decode, object_key};
use super::tables::Bytes;

/// Which page to read.
#[derive(Clone, Debug)]
pub(crate) struct PageQuery {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    /// Never empty.
    pub(crate) delimiter: Option<String>,
    pub(crate) start: Option<Start>,
    /// The most objects and common prefixes together.
    pub(crate) entries_max: usize,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Start {
    /// After this key.
    AfterKey(String),
    /// After every key below this common prefix.
    AfterPrefix(String),
}

/// A page, in key order within each list.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<(String, ObjectRecord)>,
    pub(crate) common_prefixes: Vec<String>,
    /// Where the next page starts, if there is one.
    pub(crate) next: Option<Start>,
    /// How many index entries were read.
    pub(crate) visited: u64,
}

/// Reads the page that `query` asks for from a table keyed by [`object_key`].
pub(crate) fn read_page(objects: &impl ReadableTable<Bytes, Bytes>, query: &PageQuery) -> S3Result<Page> {
    let mut page = Page::default();
    if query.entries_max == 0 {
        return Ok(page);
    }
    let reading = internal("listing objects");
    let scope = object_key(&query.bucket, &query.prefix);
    let bucket_length = query.bucket.len() + 1;
    let mut from = first_bound(query, &scope);
    let mut last = None;
    'seek: loop {
        let range = (from.as_ref().map(Vec::as_slice), Bound::Unbounded);
        for entry in objects.range::<&[u8]>(range).map_err(&reading)? {
            let (raw_key, record) = entry.map_err(&reading)?;
            page.visited += 1;
            if !raw_key.value().starts_with(&scope) {
                return Ok(page);
            }
            if page.objects.len() + page.common_prefixes.len() == query.entries_max {
                page.next = last;
                return Ok(page);
            }
            let key = std::str::from_utf8(&raw_key.value()[bucket_length..])
                .map_err(|_| s3_error!(InternalError, "the index has a key that is not text"))?;
            if let Some(common) = common_prefix(key, &query.prefix, query.delimiter.as_deref()) {
                from = Bound::Included(after_prefix(&object_key(&query.bucket, common)));
                last = Some(Start::AfterPrefix(common.to_owned()));
                page.common_prefixes.push(common.to_owned());
                continue 'seek;
            }
            last = Some(Start::AfterKey(key.to_owned()));
            page.objects.push((key.to_owned(), decode(record.value())?));
        }
        return Ok(page);
    }
}

fn first_bound(query: &PageQuery, scope: &[u8]) -> Bound<Vec<u8>> {
    let asked = match &query.start {
        None => return Bound::Included(scope.to_vec()),
        Some(Start::AfterKey(key)) => Bound::Excluded(object_key(&query.bucket, key)),
        Some(Start::AfterPrefix(prefix)) => Bound::Included(after_prefix(&object_key(&query.bucket, prefix))),
    };
    match &asked {
        Bound::Excluded(at) | Bound::Included(at) if at.as_slice() < scope => Bound::Included(scope.to_vec()),
        _ => asked,
    }
}

/// The common prefix that `key` is rolled up into: up to and including the first delimiter after `prefix`.
pub(crate) fn common_prefix<'k>(key: &'k str, prefix: &str, delimiter: Option<&str>) -> Option<&'k str> {
    let delimiter = delimiter?;
    let at = key.get(prefix.len()..)?.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}
