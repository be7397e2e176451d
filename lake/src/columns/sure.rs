//! What a schema surely says about the names of a record's fields, without judging a record.
//!
//! Reads the schema as a document. Invariant: it says too little rather than too much.

use serde_json::Value;

use super::from_schema::Root;

/// How deep `allOf` is followed.
const DEPTH_MAX: usize = 16;

/// Keywords with which a schema may describe fields in addition to its `properties`.
const OTHER_DESCRIPTIONS: [&str; 16] = [
    "$ref",
    "$dynamicRef",
    "$recursiveRef",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "extends",
    "unevaluatedProperties",
];

/// The names of a record's fields about which a schema leaves no doubt.
#[derive(Debug, Default)]
pub struct SureProperties<'a> {
    /// Without these, no record is valid.
    pub required: Vec<&'a str>,
    /// Those that the schema describes; `None` if it may describe others in other ways.
    pub described: Option<Vec<&'a str>>,
}

impl<'a> SureProperties<'a> {
    /// Those of the records that a schema describes.
    pub fn of(schema: &'a Value) -> Self {
        let root = Root(schema);
        let mut required = Vec::new();
        gather(&root, schema, &mut required, 0);
        let record = root.resolve(schema);
        let is_open = OTHER_DESCRIPTIONS.iter().any(|keyword| record.get(keyword).is_some())
            || record.get("additionalProperties").is_some_and(Value::is_object);
        let properties = record.get("properties").and_then(Value::as_object);
        let described = properties.filter(|_| !is_open).map(|named| named.keys().map(String::as_str).collect());
        Self { required, described }
    }
}

/// Adds what a schema requires, itself and by `allOf`.
fn gather<'a>(root: &Root<'a>, schema: &'a Value, required: &mut Vec<&'a str>, depth: usize) {
    let record = root.resolve(schema);
    // Some drafts ignore what is beside a reference, and a part that is a document of its own has its own references.
    let is_own = depth > 0 && ["$id", "id"].iter().any(|keyword| schema.get(keyword).is_some());
    if depth > DEPTH_MAX || is_own || record.get("$ref").is_some() {
        return;
    }
    for name in record.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !required.contains(&name) {
            required.push(name);
        }
    }
    for part in record.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        gather(root, part, required, depth + 1);
    }
}
