//! The mistakes in a plan.
//!
//! A pure function of the plan. Invariant: every mistake is reported with its path in the plan.

use std::time::Duration;

use super::{Fault, FaultKind, FaultPlan};
use crate::service::operation_names;

/// Longer than any client waits, and short enough to be noticed.
const DELAY_MAX: Duration = Duration::from_secs(3600);

pub(super) fn problems(plan: &FaultPlan) -> Vec<String> {
    plan.faults.iter().enumerate().flat_map(|(index, fault)| fault_problems(index, fault)).collect()
}

pub(super) fn fault_problems(index: usize, fault: &Fault) -> Vec<String> {
    let at = format!("faults[{index}]");
    let mut problems: Vec<_> = probability_problem(&at, fault.probability).into_iter().collect();
    if let Some(operation) = fault.operation.as_deref() {
        problems.extend(operation_problem(&at, operation).or_else(|| kind_problem(&at, operation, &fault.kind)));
    }
    if fault.limit == Some(0) {
        problems.push(format!("{at}.limit is 0: the fault would never happen; remove it from the plan instead"));
    }
    problems.extend(delay_problem(&at, &fault.kind));
    problems
}

pub(super) fn probability_problem(at: &str, probability: f64) -> Option<String> {
    let invalid = !(0.0..=1.0).contains(&probability);
    invalid.then(|| format!("{at}.probability is {probability}: it must be between 0 and 1"))
}

pub(super) fn operation_problem(at: &str, operation: &str) -> Option<String> {
    if operation == "any" || operation_names().any(|name| name == operation) {
        return None;
    }
    let names: Vec<_> = operation_names().collect();
    Some(format!("{at}.operation {operation:?} is not known: use any, {}", names.join(", ")))
}

fn kind_problem(at: &str, operation: &str, kind: &FaultKind) -> Option<String> {
    let possible = kind.operations()?;
    if operation == "any" || possible.contains(&operation) {
        return None;
    }
    Some(format!("{at}: {} does not apply to {operation}, only to {}", kind.name(), possible.join(", ")))
}

fn delay_problem(at: &str, kind: &FaultKind) -> Option<String> {
    let too_long = |delay: Duration| {
        (delay > DELAY_MAX)
            .then(|| format!("{at}.kind.{} is longer than {}", kind.name(), humantime::format_duration(DELAY_MAX)))
    };
    match kind {
        FaultKind::Latency { at_least, at_most, .. } => {
            let at_most = at_most.unwrap_or(*at_least);
            if at_most < *at_least {
                return Some(format!("{at}.kind.latency.at_most is shorter than at_least"));
            }
            too_long(at_most)
        }
        FaultKind::Stall { at_most, .. } => too_long(*at_most),
        _ => None,
    }
}
