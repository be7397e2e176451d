//! Faults as data: what goes wrong, for which requests, how often.
//!
//! Knows plans and how they are decided. Knows nothing of sockets, of the store, or of what an
//! operation does: the gate asks what to do, the gate and the service do it.
//! Invariant: what a fault does to its `n`-th matching request follows from the plan's seed, the fault's
//! place in the plan and `n`, and from nothing else: no clock, no thread order, no other fault's draws.
//! Requests that match one fault at the same time are numbered in the order in which they arrive, so a
//! client that sends them one after the other sees the same outcomes again.

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
/// The faults are asked in order. Every fault counts the requests that match it, whether or not an
/// earlier fault takes them. [`FaultKind::Latency`] adds up; of all others, a request suffers the first
/// that is due.
///
/// As JSON, which `local-s3 --faults FILE` reads:
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
    /// Decides every draw; 0 by default. The same seed under the same requests gives the same faults.
    #[serde(default)]
    pub seed: u64,
    /// Asked in this order.
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
    /// Every mistake found, one sentence each, with the place it is at.
    pub fn from_json(text: &str) -> Result<Self, Vec<String>> {
        parse::plan(text)
    }

    /// What is wrong with the plan, one sentence each; nothing, when a server would accept it.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        check::problems(self)
    }

    /// The plan as `--faults` reads it: print it where a test fails, and the failure can be replayed.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| format!("a plan that cannot be written: {error}"))
    }
}

/// One fault: a kind, and the requests it befalls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The S3 name of the operation, such as `PutObject`; absent or `any`: every operation the kind
    /// makes sense for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Which keys; absent: all. A listing's key is the prefix it asks for, a copy's its destination; a
    /// request about a bucket or about many keys has none, and matches only where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyMatch>,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How likely it befalls a matching request, from 0 to 1; 1 by default.
    #[serde(default = "always")]
    pub probability: f64,
    /// How often at most; absent: no limit. A fault that found nothing to do (a body to cut that is
    /// empty, an object to overwrite that is not there) leaves this as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How many matching requests pass first; 0 by default.
    #[serde(default)]
    pub skip: u64,
}

fn always() -> f64 {
    1.0
}

/// Which keys a fault is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyMatch {
    /// Keys that start with this.
    Prefix(String),
    /// Keys that hold this anywhere.
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
    /// A fault that befalls every request its kind makes sense for, until it is narrowed.
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

    /// Narrows it to some keys.
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

    /// Lets it befall a matching request with this probability.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Lets it happen at most so often.
    #[must_use]
    pub fn limit(mut self, times: u64) -> Self {
        self.limit = Some(times);
        self
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }
}
