//! A plan in use: which fault hits which request.
//!
//! Knows counters and draws.
//! Invariant: a fault counts every request that matches it, whatever happens to that request, so that no fault's
//! outcome depends on another's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::dice::Dice;
use super::{Fault, FaultCounts, FaultKind, FaultPlan};

/// The facts about a request that faults are matched against.
pub(crate) struct Facts<'r> {
    pub(crate) operation: &'r str,
    pub(crate) key: Option<&'r str>,
    /// Whether the request carries `If-None-Match`.
    pub(crate) conditional: bool,
}

type Totals = Mutex<BTreeMap<(&'static str, String), u64>>;

/// The current plan, if any, and the totals of all plans so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: RwLock<Option<Arc<Armed>>>,
    totals: Arc<Totals>,
}

/// A plan with its counters.
#[derive(Debug)]
pub(crate) struct Armed {
    seed: u64,
    faults: Vec<ArmedFault>,
    totals: Arc<Totals>,
}

#[derive(Debug)]
struct ArmedFault {
    fault: Fault,
    /// How many requests matched.
    matched: AtomicU64,
    /// How many injections are in progress or done: what the limit bounds.
    reserved: AtomicU64,
    /// How many injections took effect.
    injected: AtomicU64,
}

impl Faults {
    /// Replaces the current plan; a plan without faults costs no more than no plan.
    pub(crate) fn set(&self, plan: FaultPlan) {
        let armed = (!plan.faults.is_empty()).then(|| Arc::new(Armed::new(plan, Arc::clone(&self.totals))));
        *self.armed.write().unwrap_or_else(PoisonError::into_inner) = armed;
    }

    /// The current plan, if it has any faults.
    pub(crate) fn armed(&self) -> Option<Arc<Armed>> {
        self.armed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often faults happened so far.
    pub(crate) fn counts(&self) -> FaultCounts {
        let by_kind = self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let by_fault = self.armed().map(|armed| {
            let counts = armed.faults.iter().map(|armed| armed.injected.load(Ordering::Relaxed));
            counts.collect()
        });
        FaultCounts { by_kind, by_fault: by_fault.unwrap_or_default() }
    }
}

impl Armed {
    fn new(plan: FaultPlan, totals: Arc<Totals>) -> Self {
        let arm = |fault| ArmedFault {
            fault,
            matched: AtomicU64::new(0),
            reserved: AtomicU64::new(0),
            injected: AtomicU64::new(0),
        };
        Self { seed: plan.seed, faults: plan.faults.into_iter().map(arm).collect(), totals }
    }

    /// The faults that hit a request: any number of latencies first, then at most one other.
    pub(crate) fn decide(self: &Arc<Self>, facts: &Facts<'_>) -> Vec<Injection> {
        let mut injections: Vec<Injection> = Vec::new();
        for (index, armed) in self.faults.iter().enumerate().filter(|(_, armed)| armed.fault.matches(facts)) {
            let number = armed.matched.fetch_add(1, Ordering::Relaxed);
            let dice = Dice::new(self.seed, index as u64, number);
            let due = number >= armed.fault.skip && dice.falls(armed.fault.probability);
            let free = armed.fault.kind.is_latency() || injections.iter().all(|other| other.kind().is_latency());
            if due && free && armed.reserve() {
                let (plan, operation) = (Arc::clone(self), facts.operation.to_owned());
                injections.push(Injection { plan, index, operation, dice, done: AtomicBool::new(false) });
            }
        }
        injections.sort_by_key(|injection| !injection.kind().is_latency());
        injections
    }
}

impl ArmedFault {
    /// Takes one of the injections that the limit allows, if any is left.
    fn reserve(&self) -> bool {
        let allowed = |reserved| (self.fault.limit.is_none_or(|limit| reserved < limit)).then_some(reserved + 1);
        self.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, allowed).is_ok()
    }
}

impl Fault {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        let asked = self.operation.as_deref().is_none_or(|name| name == "any" || name == facts.operation);
        let possible = self.kind.operations().is_none_or(|names| names.contains(&facts.operation));
        let key = self.key.as_ref().is_none_or(|wanted| facts.key.is_some_and(|key| wanted.holds(key)));
        asked && possible && key && (facts.conditional || !self.kind.needs_condition())
    }
}

/// One fault, due for one request.
///
/// It counts once [`Injection::happened`] is called; if it is dropped before, the limit gets its place back.
#[derive(Debug)]
pub(crate) struct Injection {
    plan: Arc<Armed>,
    index: usize,
    operation: String,
    dice: Dice,
    done: AtomicBool,
}

impl Injection {
    pub(crate) fn kind(&self) -> &FaultKind {
        &self.plan.faults[self.index].fault.kind
    }

    pub(crate) fn dice(&self) -> Dice {
        self.dice
    }

    /// Records that the fault took effect, or certainly will.
    pub(crate) fn happened(&self) {
        if self.done.swap(true, Ordering::Relaxed) {
            return;
        }
        self.plan.faults[self.index].injected.fetch_add(1, Ordering::Relaxed);
        let mut totals = self.plan.totals.lock().unwrap_or_else(PoisonError::into_inner);
        *totals.entry((self.kind().name(), self.operation.clone())).or_default() += 1;
        tracing::debug!(fault = self.index, kind = self.kind().name(), operation = self.operation, "injected");
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        if !*self.done.get_mut() {
            self.plan.faults[self.index].reserved.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
