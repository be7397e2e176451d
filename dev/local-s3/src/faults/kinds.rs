//! The kinds of faults, and which operations each can apply to.
//!
//! Knows names and shapes. Invariant: plan files and counts use the names: add, never rename, never reuse.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration_text;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The response takes longer: `at_least`, or a draw between that and `at_most`. If several latencies are due, a
    /// request gets all of them, and another fault on top.
    Latency {
        /// The shortest delay.
        #[serde(with = "duration_text")]
        at_least: Duration,
        /// The longest; absent: always `at_least`.
        #[serde(default, with = "duration_text::optional", skip_serializing_if = "Option::is_none")]
        at_most: Option<Duration>,
        /// Whether the operation waits, or only its response.
        #[serde(default)]
        moment: Moment,
    },
    /// No response. The connection is closed after `at_most`, or when the server shuts down.
    Stall {
        /// How long at most; one minute by default.
        #[serde(default = "one_minute", with = "duration_text")]
        at_most: Duration,
        /// Whether the operation takes effect before the stall.
        #[serde(default)]
        moment: Moment,
    },
    /// An error instead of the response. With [`Moment::After`] it lies: the operation took effect.
    Error {
        /// Which error.
        answer: Answer,
        /// Whether the operation takes effect before the error.
        #[serde(default)]
        moment: Moment,
    },
    /// The connection is reset (TCP RST) instead of a response. With [`Moment::After`] the operation took effect, and
    /// its response is lost.
    Reset {
        /// Whether the operation takes effect before the reset.
        #[serde(default)]
        moment: Moment,
    },
    /// A write with `If-None-Match` is answered 409 `ConditionalRequestConflict` and writes nothing.
    Conflict,
    /// A GET's body ends early; the ETag is that of the whole object.
    CutBody {
        /// How many bytes are sent; absent: a draw. A shorter body is not changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<u64>,
        /// What `Content-Length` says.
        #[serde(default)]
        length: ContentLength,
    },
    /// A listing returns one key twice.
    KeyDoubled {
        /// Which key; absent: a draw among the keys of the page, or its last with [`DoubledOn::NextPage`].
        /// A page without the key is not changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listed: Option<String>,
        /// Where the second entry appears.
        #[serde(default)]
        on: DoubledOn,
    },
    /// A listing leaves out one key that exists.
    KeyMissing {
        /// Which key; absent: a draw among the keys of the page. A page without the key is not changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listed: Option<String>,
    },
    /// The object of a GET is overwritten just before it is read: other bytes, another ETag, permanently.
    Overwritten {
        /// The new bytes; absent: the old ones with one random bit flipped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with: Option<String>,
    },
    /// The object of a GET is deleted just before it is read, permanently.
    Deleted,
    /// `If-None-Match` on a write is ignored: the write overwrites and is answered 200.
    ConditionIgnored,
    /// `If-Match` on the deletion of an object is ignored: any version is deleted.
    DeleteConditionIgnored,
    /// A multipart completion is answered 200 with an error in its body. Nothing is created, and the upload remains.
    CompletionFailed,
}

/// Before or after the operation takes effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before: nothing has been read or written.
    #[default]
    Before,
    /// After: the write is committed. Applies only to successful operations, since others have no effect; latency
    /// applies to all.
    After,
}

/// The error of [`FaultKind::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// 503 `SlowDown`.
    SlowDown,
    /// 429 `TooManyRequests`.
    TooManyRequests,
    /// 500 `InternalError`.
    InternalError,
    /// 403 `AccessDenied`: of a policy, or of the object's own ACL.
    AccessDenied,
    /// 403 `InvalidObjectState`: the object is in an archive class such as Glacier, and must be restored before it is read.
    InvalidObjectState,
}

/// The `Content-Length` of a cut body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentLength {
    /// That of the whole body: the connection is closed before that many bytes are sent.
    #[default]
    True,
    /// That of the bytes sent: the response looks complete.
    Lying,
}

/// Where [`FaultKind::KeyDoubled`] puts the second entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubledOn {
    /// After the first. The page may then have one entry more than requested.
    #[default]
    SamePage,
    /// At the start of the next page. Needs a page of at least two entries that is not the last.
    NextPage,
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}

const CONDITIONAL_WRITES: &[&str] = &["PutObject", "CompleteMultipartUpload", "CopyObject"];
const LISTINGS: &[&str] = &["ListObjectsV2", "ListObjects"];

impl FaultKind {
    /// Its name in plans and in [`super::FaultCounts`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Stall { .. } => "stall",
            Self::Error { .. } => "error",
            Self::Reset { .. } => "reset",
            Self::Conflict => "conflict",
            Self::CutBody { .. } => "cut_body",
            Self::KeyDoubled { .. } => "key_doubled",
            Self::KeyMissing { .. } => "key_missing",
            Self::Overwritten { .. } => "overwritten",
            Self::Deleted => "deleted",
            Self::ConditionIgnored => "condition_ignored",
            Self::DeleteConditionIgnored => "delete_condition_ignored",
            Self::CompletionFailed => "completion_failed",
        }
    }

    /// The operations it can apply to; `None`: all.
    pub(super) fn operations(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Latency { .. } | Self::Stall { .. } | Self::Error { .. } | Self::Reset { .. } => None,
            Self::Conflict | Self::ConditionIgnored => Some(CONDITIONAL_WRITES),
            Self::CutBody { .. } | Self::Overwritten { .. } | Self::Deleted => Some(&["GetObject"]),
            Self::DeleteConditionIgnored => Some(&["DeleteObject"]),
            Self::KeyDoubled { .. } | Self::KeyMissing { .. } => Some(LISTINGS),
            Self::CompletionFailed => Some(&["CompleteMultipartUpload"]),
        }
    }

    /// Whether it needs a request with `If-None-Match`.
    pub(super) fn needs_condition(&self) -> bool {
        matches!(self, Self::Conflict | Self::ConditionIgnored)
    }

    pub(super) fn is_latency(&self) -> bool {
        matches!(self, Self::Latency { .. })
    }
}
