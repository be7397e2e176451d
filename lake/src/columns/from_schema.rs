//! Derives a stream's columns from its JSON Schema, as documented in `docs/streams.md`.
//!
//! Reads the schema as a document and validates nothing. Whatever it does not understand becomes JSON text, so that
//! no field is ever dropped.

use serde_json::{Map, Value};

use super::{BRONZE_COLUMNS, Column, ColumnType, EXTRA_COLUMN};

/// How deep a schema's types are followed before the rest is kept as JSON text; stops recursive `$ref`s.
const DEPTH_MAX: usize = 16;

/// The columns of a record that the schema describes, without ids.
///
/// Properties whose names differ only in case, or that are named like Sluice's own columns, share a name in SQL: the
/// first one becomes a column and the others are kept in `_extra`. So is a name that no SQL can hold: an empty one, or one
/// with a NUL.
///
/// # Errors
/// A message for the user, if the schema does not describe objects.
pub fn columns_of(schema: &Value) -> Result<Vec<Column>, String> {
    let root = Root(schema);
    let record = root.resolve(schema);
    let types = types_of(record);
    let describes_object = types.as_ref().is_none_or(|(types, _)| types.contains(&"object"));
    if !describes_object || !record.is_object() {
        return Err("must describe JSON objects (\"type\": \"object\" with \"properties\")".to_owned());
    }
    let taken = BRONZE_COLUMNS.iter().map(|column| column.name.to_owned()).collect();
    Ok(root.fields(record, taken, 0))
}

/// The names of a record's top-level fields that may be null.
pub fn nullable_properties(schema: &Value) -> Vec<&str> {
    let root = Root(schema);
    let properties = root.resolve(schema).get("properties").and_then(Value::as_object);
    let named = properties.into_iter().flatten();
    named.filter(|(_, property)| root.kind(property, 1).1).map(|(name, _)| name.as_str()).collect()
}

/// A schema document.
pub(super) struct Root<'a>(pub(super) &'a Value);

impl<'a> Root<'a> {
    /// Follows `$ref`s within the document.
    pub(super) fn resolve(&self, mut schema: &'a Value) -> &'a Value {
        for _ in 0..DEPTH_MAX {
            // A schema with its own type needs no reference to determine its column.
            let reference = match schema.get("$ref").and_then(Value::as_str) {
                Some(reference) if schema.get("type").is_none() => reference,
                _ => return schema,
            };
            let target = reference.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer));
            match target {
                Some(target) => schema = target,
                None => return schema,
            }
        }
        schema
    }

    fn fields(&self, object: &'a Value, mut taken: Vec<String>, depth: usize) -> Vec<Column> {
        let none = Map::new();
        let properties = object.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let required: Vec<&str> = match object.get("required").and_then(Value::as_array) {
            Some(names) => names.iter().filter_map(Value::as_str).collect(),
            None => Vec::new(),
        };
        taken.push(EXTRA_COLUMN.to_owned());
        let mut columns = Vec::new();
        let mut all_named = true;
        for (name, schema) in properties {
            let is_taken = taken.iter().any(|other| other.to_lowercase() == name.to_lowercase());
            if is_taken || name.is_empty() || name.contains('\0') {
                all_named = false;
                continue;
            }
            taken.push(name.clone());
            let (kind, allows_null) = self.kind(schema, depth + 1);
            let nullable = allows_null || !required.contains(&name.as_str());
            columns.push(Column::unnumbered(name, kind, nullable));
        }
        let closed = object.get("additionalProperties") == Some(&Value::Bool(false))
            && object.get("patternProperties").is_none();
        if !closed || !all_named {
            columns.push(Column::unnumbered(EXTRA_COLUMN, ColumnType::Json, true));
        }
        columns
    }

    /// The type of a value that the schema describes, and whether it may be null.
    fn kind(&self, schema: &'a Value, depth: usize) -> (ColumnType, bool) {
        let schema = self.resolve(schema);
        let Some((types, allows_null)) = types_of(schema) else { return (ColumnType::Json, true) };
        if depth > DEPTH_MAX {
            return (ColumnType::Json, allows_null);
        }
        let kind = match types.as_slice() {
            ["string"] => match schema.get("format").and_then(Value::as_str) {
                Some("date-time") => ColumnType::Timestamp,
                Some("date") => ColumnType::Date,
                _ => ColumnType::String,
            },
            ["integer"] => ColumnType::Int64,
            ["number"] | ["integer", "number"] | ["number", "integer"] => ColumnType::Float64,
            ["boolean"] => ColumnType::Boolean,
            ["array"] => self.list(schema, depth),
            ["object"] => self.object(schema, depth),
            _ => ColumnType::Json,
        };
        (kind, allows_null)
    }

    fn list(&self, schema: &'a Value, depth: usize) -> ColumnType {
        match schema.get("items") {
            Some(items @ Value::Object(_)) if schema.get("prefixItems").is_none() => {
                let (kind, nullable) = self.kind(items, depth + 1);
                ColumnType::List(Box::new(Column::unnumbered("element", kind, nullable)))
            }
            _ => ColumnType::Json,
        }
    }

    fn object(&self, schema: &'a Value, depth: usize) -> ColumnType {
        let has_properties = schema.get("properties").and_then(Value::as_object).is_some_and(|map| !map.is_empty());
        if has_properties {
            return match self.fields(schema, Vec::new(), depth) {
                fields if fields.is_empty() => ColumnType::Json,
                fields => ColumnType::Struct(fields),
            };
        }
        match schema.get("additionalProperties") {
            Some(values @ Value::Object(_)) if schema.get("patternProperties").is_none() => {
                let (kind, nullable) = self.kind(values, depth + 1);
                ColumnType::Map {
                    key: Box::new(Column::unnumbered("key", ColumnType::String, false)),
                    value: Box::new(Column::unnumbered("value", kind, nullable)),
                }
            }
            _ => ColumnType::Json,
        }
    }
}

/// The types a schema names, without `null`, and whether `null` is among them; `None` when it names no type.
fn types_of(schema: &Value) -> Option<(Vec<&str>, bool)> {
    let mut types: Vec<&str> = match schema.get("type")? {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let named = types.len();
    types.retain(|name| *name != "null");
    let allows_null = types.len() < named;
    Some((types, allows_null))
}
