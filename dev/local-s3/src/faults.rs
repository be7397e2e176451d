//! Faults as data: what goes wrong, for which requests, how often.
//!
//! Knows plans and how they are decided. Knows nothing about sockets, the store or what an operation does: the gate
//! asks which faults apply, then the gate and the service inject them.
//! Invariant: what a fault does to its `n`-th matching request depends only on the plan's seed, the fault's index in
//! the plan and `n`: not on a clock, on the order of threads or on the draws of other faults.
//! Concurrent requests that match the same fault are numbered in the order of arrival, so a client that sends one
//! request at a time sees the same outcomes on every run.

pub(crate) mod answers;
pub(crate) mod armed;
mod check;
mod counts;
pub(crate) mod dice;
mod duration_text;
mod kinds;
mod parse;

use serde::{Deserialize, Serialize};

pub use self::counts::FaultCounts;
pub use self::kinds::{Answer, ContentLength, DoubledOn, FaultKind, Moment};

/// Which faults a server injects, and the seed that decides when.
///
/// Faults are checked in order. Every fault counts the requests that match it, whether or not an earlier fault is
/// injected into them. [`FaultKind::Latency`] adds up; of all other kinds, a request gets the first that is due.
///
/// As JSON, the format of `local-s3 --faults FILE`:
///
/// ```
/// let plan = local_s3::FaultPlan::from_json(r#"{
///   "seed": 7,
///   "faults": [
///     {"kind": {"latency": {"at_least": "1ms", "at_most": "20ms"}}},
///     {"operation": "PutObject", "key": {"prefix": "checkpoints/"}, "probability": 0.2, "limit": 3,
///      "kind": {"error": {"answer": "internal_error", "moment": "after"}}}
///   ]
/// }"#);
/// assert_eq!(plan.map(|plan| plan.faults.len()), Ok(2));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// Decides every draw; 0 by default. The same seed and the same requests give the same faults.
    #[serde(default)]
    pub seed: u64,
    /// Checked in this order.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

impl FaultPlan {
    /// A plan without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, faults: Vec::new() }
    }

    /// Adds a fault.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Reads a plan and checks it.
    ///
    /// # Errors
    /// Every mistake found, one sentence each, with its path in the plan.
    pub fn from_json(text: &str) -> Result<Self, Vec<String>> {
        parse::plan(text)
    }

    /// What is wrong with the plan, one sentence each; empty if a server would accept it.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        check::problems(self)
    }

    /// The plan in the format of `--faults`: print it when a test fails, to replay the failure.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| format!("cannot write the plan: {error}"))
    }
}

/// One fault: a kind, and the requests it applies to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The S3 name of the operation, such as `PutObject`; absent or `any`: every operation the kind can apply to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Which keys; absent: all. The key of a listing is its prefix, the key of a copy is its destination. A request for
    /// a bucket or for many keys has no key, and matches only if this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyMatch>,
    /// What goes wrong.
    pub kind: FaultKind,
    /// The probability that it hits a matching request, from 0 to 1; 1 by default.
    #[serde(default = "always")]
    pub probability: f64,
    /// How often at most; absent: no limit. A fault that had nothing to do does not count (the body to cut was empty,
    /// the object to overwrite did not exist).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How many matching requests to let pass first; 0 by default.
    #[serde(default)]
    pub skip: u64,
}

fn always() -> f64 {
    1.0
}

/// Which keys a fault applies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyMatch {
    /// Keys that start with this.
    Prefix(String),
    /// Keys that contain this.
    Contains(String),
    /// This key only.
    Exact(String),
}

impl KeyMatch {
    fn holds(&self, key: &str) -> bool {
        match self {
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()),
            Self::Contains(part) => key.contains(part.as_str()),
            Self::Exact(exact) => key == exact,
        }
    }
}

impl Fault {
    /// A fault that hits every request its kind can apply to, unless narrowed.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self { operation: None, key: None, kind, probability: always(), limit: None, skip: 0 }
    }

    /// Narrows it to one operation, by its S3 name.
    #[must_use]
    pub fn on(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Narrows it to the keys that match.
    #[must_use]
    pub fn key(mut self, key: KeyMatch) -> Self {
        self.key = Some(key);
        self
    }

    /// Narrows it to keys that start with `prefix`.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.key(KeyMatch::Prefix(prefix.into()))
    }

    /// Sets the probability that it hits a matching request.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Limits how often it happens.
    #[must_use]
    pub fn limit(mut self, times: u64) -> Self {
        self.limit = Some(times);
        self
    }

    /// Lets this many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }
}
