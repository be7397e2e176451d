//! Parses a plan from JSON and reports every mistake in it.
//!
//! Reads field by field, since a derived parser stops at the first mistake.
//! Invariant: a plan returned from here passes [`super::check`].

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Fault, FaultPlan, always};

const PLAN_FIELDS: &[&str] = &["seed", "faults"];
const FAULT_FIELDS: &[&str] = &["operation", "key", "kind", "probability", "limit", "skip"];

pub(super) fn plan(text: &str) -> Result<FaultPlan, Vec<String>> {
    let value: Value = serde_json::from_str(text).map_err(|error| vec![format!("it is not JSON: {error}")])?;
    let mut problems = Vec::new();
    let Some(mut fields) = Fields::new("plan", value, PLAN_FIELDS, &mut problems) else { return Err(problems) };
    let seed = fields.take("seed", &mut problems).unwrap_or_default();
    let values: Vec<Value> = fields.take("faults", &mut problems).unwrap_or_default();
    let mut faults = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let mut problems_here = Vec::new();
        let fault = fault(&format!("faults[{index}]"), value, &mut problems_here);
        if let Some(fault) = fault {
            // Check what could be read too, so that one run reports every mistake.
            let checked = super::check::fault_problems(index, &fault);
            problems_here.extend(checked);
            faults.push(fault);
        }
        problems.append(&mut problems_here);
    }
    if problems.is_empty() { Ok(FaultPlan { seed, faults }) } else { Err(problems) }
}

/// A fault, as far as it could be read; `None` without a kind, which decides what the other fields may be.
fn fault(at: &str, value: Value, problems: &mut Vec<String>) -> Option<Fault> {
    let mut fields = Fields::new(at, value, FAULT_FIELDS, problems)?;
    if !fields.object.contains_key("kind") {
        problems.push(format!("{at}.kind is missing: say what goes wrong"));
    }
    let kind = fields.take("kind", problems);
    let operation = fields.take("operation", problems);
    let key = fields.take("key", problems);
    let probability = fields.take("probability", problems).unwrap_or_else(always);
    let limit = fields.take("limit", problems);
    let skip = fields.take("skip", problems).unwrap_or_default();
    match kind {
        Some(kind) => Some(Fault { operation, key, kind, probability, limit, skip }),
        None => {
            problems.extend(super::check::probability_problem(at, probability));
            problems.extend(operation.and_then(|operation| super::check::operation_problem(at, &operation)));
            None
        }
    }
}

/// The fields of one JSON object, taken one by one.
struct Fields<'a> {
    at: &'a str,
    object: Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn new(at: &'a str, value: Value, known: &[&str], problems: &mut Vec<String>) -> Option<Self> {
        let Value::Object(object) = value else {
            problems.push(format!("{at} is not an object"));
            return None;
        };
        let unknown = object.keys().filter(|name| !known.contains(&name.as_str()));
        problems.extend(unknown.map(|name| format!("{at}.{name} is not known: use {}", known.join(", "))));
        Some(Self { at, object })
    }

    fn take<T: DeserializeOwned>(&mut self, name: &str, problems: &mut Vec<String>) -> Option<T> {
        let value = self.object.remove(name)?;
        serde_json::from_value(value).map_err(|error| problems.push(format!("{}.{name}: {error}", self.at))).ok()
    }
}
