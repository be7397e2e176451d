//! What a notification says: which objects have landed.
//!
//! Knows the JSON that S3, MinIO, SNS, EventBridge and SeaweedFS send. Knows nothing about streams or the lake.
//! Invariant: any bytes are accepted, and cost no more than their length.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// The URLs of the objects that have landed, as `s3://bucket/key`; none if the notification is about something else.
/// `None` for a body that is not understood.
pub(super) fn locations(body: &[u8]) -> Option<Vec<String>> {
    match serde_json::from_slice::<Notification<'_>>(body).ok()? {
        Notification { wrapped: Some(message), .. } => of_notification(serde_json::from_str(&message).ok()?),
        notification => of_notification(notification),
    }
}

/// Each sender sets other fields; a notification without any of them is not understood.
#[derive(Deserialize)]
struct Notification<'a> {
    /// S3 and MinIO.
    #[serde(rename = "Records", borrow)]
    records: Option<Vec<Record<'a>>>,
    /// SNS: one of the others, as text.
    #[serde(rename = "Message", borrow)]
    wrapped: Option<Cow<'a, str>>,
    /// EventBridge.
    #[serde(rename = "detail-type", borrow)]
    detail_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    detail: Option<Place<'a>>,
    /// SeaweedFS.
    #[serde(borrow)]
    message: Option<FilerChange<'a>>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(rename = "eventName", borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    s3: Place<'a>,
}

#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    bucket: Bucket<'a>,
    #[serde(borrow)]
    object: Object<'a>,
}

#[derive(Deserialize)]
struct Bucket<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

/// A change of SeaweedFS's file system; a deletion has no new entry.
#[derive(Deserialize)]
struct FilerChange<'a> {
    #[serde(borrow)]
    new_entry: Option<FilerEntry<'a>>,
    #[serde(borrow)]
    new_parent_path: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct FilerEntry<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    is_directory: bool,
}

fn of_notification(notification: Notification<'_>) -> Option<Vec<String>> {
    if let Some(records) = notification.records {
        let landed = records.iter().filter(|record| record.name.as_deref().is_none_or(has_landed));
        return landed.map(|record| record.s3.location(true)).collect();
    }
    if let Some(place) = notification.detail {
        let landed = notification.detail_type.is_none_or(|kind| has_landed(&kind.replace(' ', "")));
        return if landed { Some(vec![place.location(false)?]) } else { Some(Vec::new()) };
    }
    notification.message.map(|change| change.location().into_iter().collect())
}

/// Whether an event means that an object can be read now. Others must not wake: a look would cause more of them.
fn has_landed(event: &str) -> bool {
    let event = event.strip_prefix("s3:").unwrap_or(event);
    event.starts_with("ObjectCreated") || event.starts_with("ObjectRestore")
}

impl Place<'_> {
    /// `None` for a key that is not UTF-8.
    fn location(&self, is_encoded: bool) -> Option<String> {
        let key = match is_encoded {
            true => Cow::Owned(decoded(&self.object.key)?),
            false => Cow::Borrowed(&*self.object.key),
        };
        Some(format!("s3://{}/{key}", self.bucket.name))
    }
}

/// S3 writes a key as in a query: a `+` is a space.
fn decoded(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

impl FilerChange<'_> {
    /// `None` for what is not an object of a bucket.
    fn location(&self) -> Option<String> {
        let entry = self.new_entry.as_ref().filter(|entry| !entry.is_directory)?;
        let folder = self.new_parent_path.as_deref()?.strip_prefix("/buckets/")?;
        Some(format!("s3://{folder}/{}", entry.name))
    }
}
