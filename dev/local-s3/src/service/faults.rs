//! The faults that need the store, or an operation's input or output.
//!
//! The gate decides which faults hit a request; this file injects them. Knows how, not when.
//! Invariant: without a fault for the request, every function here does nothing.

use std::io::Read as _;
use std::sync::Arc;

use http::Extensions;
use s3s::dto::ETagCondition;
use s3s::{Body, S3ErrorCode, S3Result};

use super::Service;
use super::body::receive;
use super::conditions::Conditions;
use super::digests::Claims;
use super::objects::replace_object;
use crate::faults::armed::Injection;
use crate::faults::dice::{Dice, Purpose};
use crate::faults::{DoubledOn, FaultKind};
use crate::gate::Passage;
use crate::store::committer::Applied;
use crate::store::listing::{Page, Start};
use crate::store::records::ObjectRecord;
use crate::store::{blocking, internal, now_ms};

fn injections(extensions: &Extensions) -> &[Injection] {
    extensions.get::<Passage>().map_or(&[], Passage::injections)
}

/// The `If-None-Match` of a write, unless a fault ignores it.
fn heeded(extensions: &Extensions, condition: Option<ETagCondition>) -> Option<ETagCondition> {
    unless(extensions, condition, |kind| matches!(kind, FaultKind::ConditionIgnored))
}

/// The `If-Match` of a deletion, unless a fault ignores it.
pub(super) fn heeded_by_delete(extensions: &Extensions, condition: Option<ETagCondition>) -> Option<ETagCondition> {
    unless(extensions, condition, |kind| matches!(kind, FaultKind::DeleteConditionIgnored))
}

fn unless(
    extensions: &Extensions,
    condition: Option<ETagCondition>,
    is_ignoring: impl Fn(&FaultKind) -> bool,
) -> Option<ETagCondition> {
    let ignored = |injection: &&Injection| is_ignoring(injection.kind());
    match injections(extensions).iter().find(ignored) {
        Some(injection) if condition.is_some() => {
            injection.happened();
            None
        }
        _ => condition,
    }
}

/// The conditions of a write, without `If-None-Match` if a fault ignores it.
pub(super) fn heeded_of(extensions: &Extensions, conditions: Conditions) -> Conditions {
    Conditions { if_none_match: heeded(extensions, conditions.if_none_match), ..conditions }
}

/// Repeats or leaves out a key of a listing.
pub(super) fn distort(extensions: &Extensions, page: &mut Page) {
    for injection in injections(extensions) {
        let distorted = match injection.kind() {
            FaultKind::KeyMissing { listed } => victim(page, listed.as_deref(), injection.dice()).map(|at| {
                page.objects.remove(at);
            }),
            FaultKind::KeyDoubled { listed, on: DoubledOn::SamePage } => {
                victim(page, listed.as_deref(), injection.dice()).map(|at| {
                    let double = page.objects[at].clone();
                    page.objects.insert(at + 1, double);
                })
            }
            FaultKind::KeyDoubled { listed, on: DoubledOn::NextPage } => {
                before_last(page, listed.as_deref()).map(|start| page.next = Some(start))
            }
            _ => None,
        };
        if distorted.is_some() {
            injection.happened();
        }
    }
}

/// Which object of a page to repeat or leave out: the named one, or a random one.
fn victim(page: &Page, listed: Option<&str>, dice: Dice) -> Option<usize> {
    match listed {
        Some(listed) => page.objects.iter().position(|(key, _)| key == listed),
        None => (!page.objects.is_empty()).then(|| dice.index(Purpose::Entry, page.objects.len())),
    }
}

/// The position before a page's last entry, which then is also the first entry of the next page. The entry must be an
/// object, and not the only one, or the listing would never end.
fn before_last(page: &Page, listed: Option<&str>) -> Option<Start> {
    let (last, others) = page.objects.split_last()?;
    let is_end = page.next == Some(Start::AfterKey(last.0.clone()));
    if !is_end || listed.is_some_and(|listed| listed != last.0) {
        return None;
    }
    let key = others.last().map(|(key, _)| key);
    match page.common_prefixes.last() {
        Some(prefix) if key.is_none_or(|key| key < prefix) => Some(Start::AfterPrefix(prefix.clone())),
        _ => key.cloned().map(Start::AfterKey),
    }
}

impl Service {
    /// Overwrites or deletes an object that is about to be read.
    pub(super) async fn tamper(&self, extensions: &Extensions, bucket: &str, key: &str) -> S3Result<()> {
        for injection in injections(extensions) {
            let tampered = match injection.kind() {
                FaultKind::Overwritten { with } => {
                    self.overwrite((bucket, key), with.clone().map(String::into_bytes), injection.dice()).await
                }
                FaultKind::Deleted => self.delete(bucket.to_owned(), key.to_owned()).await,
                _ => continue,
            };
            match tampered {
                Ok(()) => injection.happened(),
                // Nothing to tamper with; the read that follows returns the same error.
                Err(error) if matches!(error.code(), S3ErrorCode::NoSuchKey | S3ErrorCode::NoSuchBucket) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn overwrite(&self, (bucket, key): (&str, &str), with: Option<Vec<u8>>, dice: Dice) -> S3Result<()> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        let (store, name) = (Arc::clone(&self.store), (bucket.clone(), key.clone()));
        let (record, bytes) = blocking(move || {
            let (record, mut file) = store.with_blob((&name.0, &name.1), |blobs, id| blobs.read(id))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(internal("reading a blob"))?;
            Ok((record, bytes))
        })
        .await?;
        let bytes = with.unwrap_or_else(|| mutated(bytes, dice));
        let body = Some(Body::from(bytes).into());
        let received = receive(self.store.blobs(), body, Claims::default(), None).await?;
        let record = ObjectRecord {
            blob: received.blob.id(),
            size: received.size,
            etag: received.digests.etag(),
            modified_ms: now_ms(),
            checksums: received.digests.checksums,
            ..record
        };
        let (any, object) = (Conditions::default(), (record, received.blob));
        self.store.change(move |tables| replace_object(tables, (&bucket, &key), &any, object)).await?;
        Ok(())
    }

    async fn delete(&self, bucket: String, key: String) -> S3Result<()> {
        let change = self.store.change(move |tables| {
            let removed = tables.object(&bucket, &key)?;
            tables.remove_object(&bucket, &key)?;
            Ok(Applied { value: (), adopted: None, released: vec![removed.blob] })
        });
        change.await
    }
}

/// Other bytes of the same length; an empty body becomes one byte.
fn mutated(mut bytes: Vec<u8>, dice: Dice) -> Vec<u8> {
    if bytes.is_empty() {
        return vec![0];
    }
    let bit = dice.index(Purpose::Mutation, bytes.len().saturating_mul(8));
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}
