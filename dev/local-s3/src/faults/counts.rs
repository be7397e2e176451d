//! How often faults happened.
//!
//! Invariant: a fault counts when it takes effect, not when it is due: one that had nothing to do is not counted.

use std::collections::BTreeMap;
use std::fmt;

/// How often each kind of fault happened to each operation, and each fault of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    pub(super) by_kind: BTreeMap<(&'static str, String), u64>,
    pub(super) by_fault: Vec<u64>,
}

impl FaultCounts {
    /// The faults of one kind that happened to one operation, since the server started.
    #[must_use]
    pub fn get(&self, kind: &str, operation: &str) -> u64 {
        self.sum(|one, other| one == kind && other == operation)
    }

    /// The faults of one kind, since the server started.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> u64 {
        self.sum(|one, _| one == kind)
    }

    /// The faults that happened to one operation, since the server started.
    #[must_use]
    pub fn of_operation(&self, operation: &str) -> u64 {
        self.sum(|_, other| other == operation)
    }

    /// How often the fault at `index` of the current plan happened, since that plan was set.
    #[must_use]
    pub fn of_fault(&self, index: usize) -> u64 {
        self.by_fault.get(index).copied().unwrap_or_default()
    }

    /// All faults since the server started.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sum(|_, _| true)
    }

    /// Each kind and operation with its number of faults, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.by_kind.iter().map(|((kind, operation), count)| (*kind, operation.as_str(), *count))
    }

    fn sum(&self, which: impl Fn(&str, &str) -> bool) -> u64 {
        self.iter().filter(|(kind, operation, _)| which(kind, operation)).map(|(_, _, count)| count).sum()
    }
}

impl fmt::Display for FaultCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.iter().map(|(kind, operation, count)| (format!("{kind} {operation}"), count));
        f.debug_map().entries(entries).finish()
    }
}
