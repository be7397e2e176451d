//! What it costs to compare one value with a schema: how many schemas apply, and how many follow one another.
//!
//! Knows only the steps that stay at the same value. Invariant: it ends on every document, whatever leads where.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Document, Subschema, draft::Holds};

/// How many schemas in turn one value may lead to, so that no validator runs out of stack.
pub const DEPTH_MAX: usize = 1_000;

/// How many schemas one value may be compared with, each time it occurs.
pub const SCHEMAS_MAX: u64 = 1_000_000;

/// Why no value should be compared with a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Costly {
    /// It leads back to itself without a step into the value: what it allows is not defined.
    Endless,
    /// More than [`DEPTH_MAX`] schemas follow one another.
    Deep,
    /// More than [`SCHEMAS_MAX`] schemas apply.
    Wide,
}

/// What it costs to compare one value with a schema.
#[derive(Clone, Copy)]
struct Cost {
    /// How many schemas follow one another.
    depth: usize,
    /// How many apply.
    schemas: u64,
}

impl Cost {
    fn add(&mut self, part: Self) {
        self.depth = self.depth.max(part.depth + 1);
        self.schemas = self.schemas.saturating_add(part.schemas);
    }
}

impl<'a> Document<'a> {
    /// The place of a schema that no value should be compared with, and why.
    pub fn costly(&self) -> Option<(&str, Costly)> {
        let mut known: HashMap<usize, Cost> = HashMap::new();
        for (schema, place) in &self.schemas {
            match self.cost(schema, &mut known) {
                None => return Some((place, Costly::Endless)),
                Some(cost) if cost.depth > DEPTH_MAX => return Some((place, Costly::Deep)),
                Some(cost) if cost.schemas > SCHEMAS_MAX => return Some((place, Costly::Wide)),
                Some(_) => {}
            }
        }
        None
    }

    /// What it costs to compare one value with a schema; `None` if that leads back to the same schema without a step into
    /// the value. `known` keeps the costs found on the way.
    fn cost(&self, schema: &Subschema<'a>, known: &mut HashMap<usize, Cost>) -> Option<Cost> {
        // Not recursive: a chain may be long.
        let begin = |schema: &Subschema<'a>| (schema.address(), self.in_place(schema), Cost { depth: 1, schemas: 1 });
        let mut on_way = HashSet::new();
        let mut way = if known.contains_key(&schema.address()) { Vec::new() } else { vec![begin(schema)] };
        while let Some((address, left, cost)) = way.last_mut() {
            on_way.insert(*address);
            match left.pop() {
                Some(next) if on_way.contains(&next.address()) => return None,
                Some(next) => match known.get(&next.address()) {
                    Some(part) => cost.add(*part),
                    None => way.push(begin(&next)),
                },
                None => {
                    let (address, cost) = (*address, *cost);
                    on_way.remove(&address);
                    known.insert(address, cost);
                    way.pop();
                    if let Some((_, _, above)) = way.last_mut() {
                        above.add(cost);
                    }
                }
            }
        }
        known.get(&schema.address()).copied()
    }

    /// The schemas that a value must also be compared with where this one applies.
    fn in_place(&self, schema: &Subschema<'a>) -> Vec<Subschema<'a>> {
        let Some(keywords) = schema.keywords() else { return Vec::new() };
        let target = keywords.get("$ref").and_then(Value::as_str).and_then(|reference| self.resolve(schema, reference));
        let mut found: Vec<_> = target.into_iter().collect();
        if keywords.contains_key("$ref") && !schema.draft.counts_beside_reference() {
            return found;
        }
        const IN_PLACE: [&str; 9] =
            ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"];
        for keyword in IN_PLACE {
            match (schema.draft.holds(keyword), keywords.get(keyword)) {
                (Some(Holds::One), Some(_)) => found.extend(self.child(schema, &[keyword])),
                (Some(Holds::List), Some(Value::Array(members))) => {
                    found.extend((0..members.len()).filter_map(|at| self.child(schema, &[keyword, &at.to_string()])));
                }
                (Some(Holds::Named), Some(Value::Object(members))) => {
                    found.extend(members.keys().filter_map(|name| self.child(schema, &[keyword, name])));
                }
                _ => {}
            }
        }
        found
    }
}
