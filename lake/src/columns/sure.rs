//! What a schema surely says about the names of a record's fields, without judging a record.
//!
//! Reads the schema as a document. Invariant: it says too little rather than too much.

use std::collections::HashSet;

use serde_json::Value;

use crate::schema::{Document, Subschema};

/// How many schemas are looked at.
const SCHEMAS_MAX: usize = 1_000;

/// How many references in turn are followed.
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
        let document = Document::of(schema);
        let mut required = Vec::new();
        gather(&document, &document.root(), &mut required, &mut HashSet::new());
        let record = referred(&document);
        let is_open = OTHER_DESCRIPTIONS.iter().any(|keyword| record.keyword(keyword).is_some())
            || record.keyword("additionalProperties").is_some_and(Value::is_object);
        let properties = record.keyword("properties").and_then(Value::as_object);
        let described = properties.filter(|_| !is_open).map(|named| named.keys().map(String::as_str).collect());
        Self { required, described }
    }
}

/// The schema of a record, where the document's root only refers to it.
fn referred<'a>(document: &Document<'a>) -> Subschema<'a> {
    let mut schema = document.root();
    for _ in 0..DEPTH_MAX {
        let only_refers = !schema.draft.counts_beside_reference() || schema.keyword("properties").is_none();
        match reference(document, &schema).filter(|_| only_refers) {
            Some(target) => schema = target,
            None => return schema,
        }
    }
    schema
}

fn reference<'a>(document: &Document<'a>, schema: &Subschema<'a>) -> Option<Subschema<'a>> {
    document.resolve(schema, schema.keyword("$ref")?.as_str()?)
}

/// Adds what a schema requires, itself, by reference and by `allOf`.
fn gather<'a>(document: &Document<'a>, schema: &Subschema<'a>, required: &mut Vec<&'a str>, seen: &mut HashSet<usize>) {
    if seen.len() >= SCHEMAS_MAX || !seen.insert(schema.address()) {
        return;
    }
    if let Some(target) = reference(document, schema) {
        gather(document, &target, required, seen);
    }
    if schema.keyword("$ref").is_some() && !schema.draft.counts_beside_reference() {
        return;
    }
    for name in schema.keyword("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !required.contains(&name) {
            required.push(name);
        }
    }
    let parts = schema.keyword("allOf").and_then(Value::as_array).map_or(0, Vec::len);
    for part in (0..parts).filter_map(|part| document.child(schema, &["allOf", &part.to_string()])) {
        gather(document, &part, required, seen);
    }
}
