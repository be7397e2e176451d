//! The two ways S3 lists objects.
//!
//! Knows tokens, markers and the URL encoding; the page itself comes from the store.
//! Invariant: a token names the same position whatever `encoding-type` the client asks for.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::url_encode;
use super::conditions::modified;
use super::objects::signed;
use super::{Service, faults};
use crate::store::listing::{Page, PageQuery, Start, common_prefix};

/// The most entries that S3 returns on a page, however many are requested.
const PAGE_ENTRIES_MAX: i32 = 1000;

impl Service {
    pub(super) async fn on_list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let encode = Encoder::new(input.encoding_type.as_ref());
        let entries_max = entries_max(input.max_keys)?;
        let start = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => Some(decode_token(token)?),
            (None, Some(key)) => Some(Start::AfterKey(key.clone())),
            (None, None) => None,
        };
        let mut page = self
            .store
            .page(query(&input.bucket, input.prefix.as_deref(), input.delimiter.as_deref(), start, entries_max))
            .await?;
        faults::distort(&request.extensions, &mut page);
        let next = page.next.as_ref().map(encode_token);
        let (contents, common_prefixes) = encode.entries(page, input.fetch_owner == Some(true));
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encode.text(input.prefix.unwrap_or_default())),
            delimiter: input.delimiter.map(|text| encode.text(text)),
            start_after: input.start_after.map(|text| encode.text(text)),
            max_keys: Some(entries_max),
            key_count: i32::try_from(contents.len() + common_prefixes.len()).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(next.is_some()),
            next_continuation_token: next,
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            encoding_type: input.encoding_type,
            request_charged: None,
        }))
    }

    pub(super) async fn on_list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let encode = Encoder::new(input.encoding_type.as_ref());
        let entries_max = entries_max(input.max_keys)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let start = start_at_marker(input.marker.as_deref(), &prefix, input.delimiter.as_deref());
        let mut page = self
            .store
            .page(query(&input.bucket, Some(&prefix), input.delimiter.as_deref(), start, entries_max))
            .await?;
        faults::distort(&request.extensions, &mut page);
        let next = page.next.clone().map(|(Start::AfterKey(at) | Start::AfterPrefix(at))| encode.text(at));
        let (contents, common_prefixes) = encode.entries(page, true);
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(encode.text(prefix)),
            marker: Some(encode.text(input.marker.unwrap_or_default())),
            delimiter: input.delimiter.map(|text| encode.text(text)),
            max_keys: Some(entries_max),
            is_truncated: Some(next.is_some()),
            next_marker: next,
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            encoding_type: input.encoding_type,
            request_charged: None,
        }))
    }
}

/// Where a listing with a marker begins. The marker may be the common prefix that ended the previous page, which rolled
/// up every key below it.
pub(super) fn start_at_marker(marker: Option<&str>, prefix: &str, delimiter: Option<&str>) -> Option<Start> {
    let marker = marker.filter(|marker| !marker.is_empty())?;
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
    let is_common_prefix = marker.starts_with(prefix) && common_prefix(marker, prefix, delimiter) == Some(marker);
    let start = if is_common_prefix { Start::AfterPrefix } else { Start::AfterKey };
    Some(start(marker.to_owned()))
}

pub(super) fn query(
    bucket: &str,
    prefix: Option<&str>,
    delimiter: Option<&str>,
    start: Option<Start>,
    entries_max: i32,
) -> PageQuery {
    PageQuery {
        bucket: bucket.to_owned(),
        prefix: prefix.unwrap_or_default().to_owned(),
        delimiter: delimiter.filter(|delimiter| !delimiter.is_empty()).map(str::to_owned),
        start,
        entries_max: usize::try_from(entries_max).unwrap_or_default(),
    }
}

pub(super) fn entries_max(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(PAGE_ENTRIES_MAX) {
        asked @ 0.. => Ok(asked.min(PAGE_ENTRIES_MAX)),
        asked => Err(s3_error!(InvalidArgument, "max-keys is {asked}; it cannot be negative")),
    }
}

/// Who owns every bucket and object of this server.
pub(super) fn owner() -> Owner {
    Owner { id: Some("local-s3".to_owned()), display_name: Some("local-s3".to_owned()) }
}

/// Tokens are opaque to clients: `k` or `p` and the text, in base64.
fn encode_token(start: &Start) -> String {
    let text = match start {
        Start::AfterKey(key) => format!("k{key}"),
        Start::AfterPrefix(prefix) => format!("p{prefix}"),
    };
    base64_simd::STANDARD.encode_to_string(text)
}

fn decode_token(token: &str) -> S3Result<Start> {
    let invalid = || s3_error!(InvalidArgument, "the continuation token was not issued by this server");
    let bytes = base64_simd::STANDARD.decode_to_vec(token).map_err(|_| invalid())?;
    let text = String::from_utf8(bytes).map_err(|_| invalid())?;
    if let Some(key) = text.strip_prefix('k') {
        return Ok(Start::AfterKey(key.to_owned()));
    }
    text.strip_prefix('p').map(|prefix| Start::AfterPrefix(prefix.to_owned())).ok_or_else(invalid)
}

/// Writes keys into a listing as they are, or percent-encoded if the client asked for that: XML cannot contain control
/// characters.
#[derive(Clone, Copy)]
pub(super) struct Encoder {
    url: bool,
}

impl Encoder {
    pub(super) fn new(encoding: Option<&EncodingType>) -> Self {
        let url = encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL);
        Self { url }
    }

    pub(super) fn text(self, text: String) -> String {
        if self.url { url_encode(&text) } else { text }
    }

    fn entries(self, page: Page, with_owner: bool) -> (Vec<Object>, Vec<CommonPrefix>) {
        let owner = with_owner.then(owner);
        let objects = page.objects.into_iter().map(|(key, record)| Object {
            key: Some(self.text(key)),
            last_modified: Some(modified(&record)),
            size: Some(signed(record.size)),
            e_tag: Some(ETag::Strong(record.etag)),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            owner: owner.clone(),
            ..Default::default()
        });
        (objects.collect(), self.prefixes(page.common_prefixes))
    }

    pub(super) fn prefixes(self, prefixes: Vec<String>) -> Vec<CommonPrefix> {
        prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(self.text(prefix)) }).collect()
    }
}
