//! Schemas that only stand for another one: references, and the lists of one that generators write for optional fields.
//!
//! Knows the few forms by their keywords, and does not look at what they stand for.

use serde_json::{Map, Value};

use super::{Document, Subschema, is_annotation};

/// A schema that stands for another one.
#[derive(Clone, Debug)]
pub struct StandIn<'a> {
    /// The other one; `None` if it is not certain which.
    pub target: Option<Subschema<'a>>,
    /// What it says about null in addition.
    pub null: NullBeside,
    /// Whether it says nothing else that restricts a value.
    pub is_alone: bool,
}

/// Whether null is an alternative to a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullBeside {
    /// No.
    No,
    /// Yes.
    Yes,
    /// Yes, unless the schema allows it too: `oneOf` wants exactly one of the two.
    YesAlone,
}

impl<'a> Document<'a> {
    /// The schema that this one stands for: the target of its `$ref`, the only schema of an `allOf`, `anyOf` or `oneOf`, or the
    /// one that has only null beside it. `None` if it stands for itself.
    pub fn stand_in(&self, schema: &Subschema<'a>) -> Option<StandIn<'a>> {
        let keywords = schema.keywords()?;
        if let Some(reference) = keywords.get("$ref") {
            let target = reference.as_str().and_then(|reference| self.resolve(schema, reference));
            let is_alone = !schema.draft.counts_beside_reference() || says_only(keywords, "$ref");
            return Some(StandIn { target, null: NullBeside::No, is_alone });
        }
        let (keyword, members) = ["allOf", "anyOf", "oneOf"].into_iter().find_map(|keyword| {
            let members = keywords.get(keyword)?.as_array()?;
            Some((keyword, members))
        })?;
        let (at, null) = match members.as_slice() {
            [_] => (0, NullBeside::No),
            [_, _] if keyword == "allOf" => return None,
            [first, second] => {
                let null = if keyword == "oneOf" { NullBeside::YesAlone } else { NullBeside::Yes };
                match (is_null(first), is_null(second)) {
                    (false, true) => (0, null),
                    (true, false) => (1, null),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let target = self.child(schema, &[keyword, if at == 0 { "0" } else { "1" }]);
        Some(StandIn { target, null, is_alone: says_only(keywords, keyword) })
    }
}

/// Whether a schema allows null and nothing else.
fn is_null(schema: &Value) -> bool {
    let Some(keywords) = schema.as_object() else { return false };
    let is = |keyword: &str, value: Value| keywords.get(keyword) == Some(&value) && says_only(keywords, keyword);
    is("type", Value::from("null")) || is("enum", Value::Array(vec![Value::Null]))
}

fn says_only(keywords: &Map<String, Value>, only: &str) -> bool {
    keywords.keys().all(|key| key == only || is_annotation(key))
}
