//! Derives a stream's columns from its JSON Schema, as documented in `docs/streams.md`.
//!
//! Reads the schema as a document and validates nothing. Whatever it does not understand becomes JSON text, so that
//! no field is ever dropped.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{BRONZE_COLUMNS, Column, ColumnType, EXTRA_COLUMN};
use crate::schema::{Document, Draft, NullBeside, Subschema};

/// How deep a schema's types are followed before the rest is kept as JSON text.
const DEPTH_MAX: usize = 16;

/// How many schemas in a row may only stand for another one.
const STAND_INS_MAX: usize = 16;

/// The most columns of a stream, with those within others. Every one of them costs memory in each file that is written or read.
const COLUMNS_MAX: usize = 10_000;

/// The columns of a record that the schema describes, without ids.
///
/// Properties whose names differ only in case, or that are named like Sluice's own columns, share a name in SQL: the
/// first one becomes a column and the others are kept in `_extra`. So is a name that no SQL can hold: an empty one, or one
/// with a NUL.
///
/// # Errors
/// A message for the user, if the schema does not describe objects, or describes too many columns.
pub fn columns_of(schema: &Value) -> Result<Vec<Column>, String> {
    let document = Document::of(schema);
    let mut derivation = Derivation::new(&document);
    let record = derivation.record();
    let types = record.keyword("type").and_then(types_named);
    let describes_object = types.as_ref().is_none_or(|types| types.names.contains(&"object"));
    if !describes_object || record.keywords().is_none() {
        return Err("must describe JSON objects (\"type\": \"object\" with \"properties\")".to_owned());
    }
    let taken = BRONZE_COLUMNS.iter().map(|column| column.name.to_owned()).collect();
    let columns = derivation.fields(&record, taken, 0);
    derivation.within_limit().map(|()| columns)
}

/// Whether the schema has no more columns than files and readers bear.
///
/// # Errors
/// A message for the user, if it has.
pub fn check_count(schema: &Value) -> Result<(), String> {
    let document = Document::of(schema);
    let mut derivation = Derivation::new(&document);
    let record = derivation.record();
    derivation.fields(&record, HashSet::new(), 0);
    derivation.within_limit()
}

/// The names of a record's top-level fields that may be null.
pub fn nullable_properties(schema: &Value) -> Vec<&str> {
    let document = Document::of(schema);
    let mut derivation = Derivation::new(&document);
    let record = derivation.record();
    let properties = record.keyword("properties").and_then(Value::as_object);
    let mut nullable = |name: &str| {
        let property = document.child(&record, &["properties", name]);
        property.is_some_and(|property| derivation.kind(&property, DEPTH_MAX).1)
    };
    properties.into_iter().flatten().map(|(name, _)| name.as_str()).filter(|name| nullable(name)).collect()
}

/// One derivation of columns.
struct Derivation<'d, 'a> {
    document: &'d Document<'a>,
    /// The addresses of the schemas that lead to the one being looked at: a reference to one of them is recursive.
    following: Vec<usize>,
    /// How many columns there are.
    columns: usize,
}

/// What a schema comes to when those that stand for another one are looked through.
struct Described<'a> {
    /// The schema; `None` if it is recursive, or not known.
    schema: Option<Subschema<'a>>,
    /// Whether one of those passed on the way allows null.
    allows_null: bool,
    /// How many addresses were added to those being followed.
    followed: usize,
}

/// The types that a schema names.
struct Types<'a> {
    /// Without null.
    names: Vec<&'a str>,
    allows_null: bool,
}

impl<'d, 'a> Derivation<'d, 'a> {
    fn new(document: &'d Document<'a>) -> Self {
        Self { document, following: Vec::new(), columns: 0 }
    }

    fn within_limit(&self) -> Result<(), String> {
        if self.columns <= COLUMNS_MAX {
            return Ok(());
        }
        Err(format!(
            "describes more than {COLUMNS_MAX} columns, counting the fields within fields. Replace large parts that are \
             seldom queried by {{}}: such a field is one column of JSON text"
        ))
    }

    /// The schema of a record.
    fn record(&mut self) -> Subschema<'a> {
        let root = self.document.root();
        self.described(&root).schema.unwrap_or(root)
    }

    /// Looks through schemas that stand for another one. The caller drops what is `followed` when it is done.
    fn described(&mut self, schema: &Subschema<'a>) -> Described<'a> {
        let mut described = Described { schema: Some(schema.clone()), allows_null: false, followed: 0 };
        for _ in 0..STAND_INS_MAX {
            let Some(current) = described.schema.take() else { return described };
            if self.following.contains(&current.address()) {
                return described;
            }
            self.following.push(current.address());
            described.followed += 1;
            let stand_in = match self.document.stand_in(&current) {
                Some(stand_in) if self.passes_on(&current) => stand_in,
                _ => {
                    described.schema = Some(current);
                    return described;
                }
            };
            described.allows_null |= stand_in.null != NullBeside::No;
            described.schema = stand_in.target;
        }
        described.schema = None;
        described
    }

    /// Whether a schema that stands for another one leaves the type to it. What it says about its own value's parts counts first.
    fn passes_on(&self, schema: &Subschema<'a>) -> bool {
        let says = |keyword: &&str| schema.keyword(keyword).is_some();
        let is_reference = says(&"$ref");
        if is_reference && !schema.draft.counts_beside_reference() {
            return true;
        }
        const OF_VALUE: [&str; 3] = ["type", "enum", "const"];
        const OF_PARTS: [&str; 5] = ["properties", "patternProperties", "additionalProperties", "items", "prefixItems"];
        let applied = ["$ref", "allOf", "anyOf", "oneOf"].iter().filter(|keyword| says(keyword)).count();
        let is_plain = is_reference || (applied == 1 && !OF_PARTS.iter().any(says));
        // Generators repeat the type of a part that they inherit.
        let only_repeats = !is_reference
            && schema.keyword("type").is_some_and(|kind| kind == "object" || kind == "array")
            && !OF_VALUE[1..].iter().any(says);
        is_plain && (only_repeats || !OF_VALUE.iter().any(says))
    }

    fn fields(&mut self, object: &Subschema<'a>, mut taken: HashSet<String>, depth: usize) -> Vec<Column> {
        let none = Map::new();
        let properties = object.keyword("properties").and_then(Value::as_object).unwrap_or(&none);
        let required = object.keyword("required").and_then(Value::as_array);
        let required: HashSet<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
        taken.insert(EXTRA_COLUMN.to_owned());
        let mut columns = Vec::new();
        let mut all_named = true;
        for name in properties.keys() {
            let is_sql_name = !name.is_empty() && !name.contains('\0');
            if !is_sql_name || !taken.insert(name.to_lowercase()) {
                all_named = false;
                continue;
            }
            let Some(schema) = self.document.child(object, &["properties", name]) else { continue };
            let (kind, allows_null) = self.kind(&schema, depth + 1);
            let nullable = allows_null || !required.contains(name.as_str());
            columns.push(self.column(name, kind, nullable));
        }
        let closed = object.keyword("additionalProperties") == Some(&Value::Bool(false))
            && object.keyword("patternProperties").is_none();
        if !closed || !all_named {
            columns.push(self.column(EXTRA_COLUMN, ColumnType::Json, true));
        }
        columns
    }

    fn column(&mut self, name: &str, kind: ColumnType, nullable: bool) -> Column {
        self.columns += 1;
        Column::unnumbered(name, kind, nullable)
    }

    /// The type of a value that the schema describes, and whether it may be null.
    fn kind(&mut self, schema: &Subschema<'a>, depth: usize) -> (ColumnType, bool) {
        let before = self.following.len();
        let described = self.described(schema);
        let (kind, allows_null) = match &described.schema {
            // A recursive value is kept as text, and null is a text that it may have.
            None => (ColumnType::Json, true),
            Some(schema) => self.own_kind(schema, depth),
        };
        self.following.truncate(before);
        (kind, allows_null || described.allows_null)
    }

    fn own_kind(&mut self, schema: &Subschema<'a>, depth: usize) -> (ColumnType, bool) {
        let Some(types) = types_of(schema) else { return (ColumnType::Json, true) };
        // Beyond the limit of columns, the rest is not looked at: the schema is refused.
        if depth > DEPTH_MAX || self.columns > COLUMNS_MAX {
            return (ColumnType::Json, types.allows_null);
        }
        let kind = match types.names.as_slice() {
            ["string"] => match schema.keyword("format").and_then(Value::as_str) {
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
        (kind, types.allows_null)
    }

    fn list(&mut self, schema: &Subschema<'a>, depth: usize) -> ColumnType {
        let items =
            schema.keyword("items").filter(|items| items.is_object() && schema.keyword("prefixItems").is_none());
        match items.and_then(|_| self.document.child(schema, &["items"])) {
            Some(items) => {
                let (kind, nullable) = self.kind(&items, depth + 1);
                ColumnType::List(Box::new(self.column("element", kind, nullable)))
            }
            None => ColumnType::Json,
        }
    }

    fn object(&mut self, schema: &Subschema<'a>, depth: usize) -> ColumnType {
        let properties = schema.keyword("properties").and_then(Value::as_object);
        if properties.is_some_and(|map| !map.is_empty()) {
            return match self.fields(schema, HashSet::new(), depth) {
                fields if fields.is_empty() => ColumnType::Json,
                fields => ColumnType::Struct(fields),
            };
        }
        let values = schema.keyword("additionalProperties").filter(|values| values.is_object());
        let values = values.filter(|_| schema.keyword("patternProperties").is_none());
        match values.and_then(|_| self.document.child(schema, &["additionalProperties"])) {
            Some(values) => {
                let (kind, nullable) = self.kind(&values, depth + 1);
                ColumnType::Map {
                    key: Box::new(self.column("key", ColumnType::String, false)),
                    value: Box::new(self.column("value", kind, nullable)),
                }
            }
            None => ColumnType::Json,
        }
    }
}

/// The types of a schema, named or those of the only values that it allows; `None` if it leaves them open.
fn types_of<'a>(schema: &Subschema<'a>) -> Option<Types<'a>> {
    if let Some(named) = schema.keyword("type") {
        return types_named(named);
    }
    let values = match (schema.keyword("enum"), schema.keyword("const")) {
        (Some(Value::Array(values)), _) if !values.is_empty() => values.as_slice(),
        (None, Some(value)) if schema.draft != Draft::Draft4 => std::slice::from_ref(value),
        _ => return None,
    };
    let mut types = Types { names: Vec::new(), allows_null: false };
    let mut all_exact = true;
    for value in values {
        let name = match value {
            Value::Null => {
                types.allows_null = true;
                continue;
            }
            Value::String(_) => "string",
            Value::Bool(_) => "boolean",
            Value::Number(number) => match number.as_i64() {
                Some(whole) => {
                    all_exact &= whole.unsigned_abs() <= EXACT_MAX;
                    "integer"
                }
                None => {
                    let is_double =
                        number.as_str().contains(['.', 'e', 'E']) && number.as_f64().is_some_and(f64::is_finite);
                    all_exact &= is_double;
                    "number"
                }
            },
            // What an object or a list contains is not described: text.
            Value::Object(_) | Value::Array(_) => return None,
        };
        if !types.names.contains(&name) {
            types.names.push(name);
        }
    }
    let has_doubles = types.names.contains(&"number");
    (all_exact || !has_doubles).then_some(types)
}

/// Up to here, every integer is exact as a double.
const EXACT_MAX: u64 = 1 << 53;

fn types_named(named: &Value) -> Option<Types<'_>> {
    let mut names: Vec<&str> = match named {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let named = names.len();
    names.retain(|name| *name != "null");
    let allows_null = names.len() < named;
    Some(Types { names, allows_null })
}
