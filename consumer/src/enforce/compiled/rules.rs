//! A JSON Schema and the columns that follow from it, compiled into rules for reading records.
//!
//! Knows the keywords that event schemas use. An unknown keyword sends the value under it to the judge. One that
//! reaches further, such as a rule over several fields, makes the whole schema impossible to compile. Invariant: a rule
//! accepts no value that the judge refuses.

use lake::columns::{Column, ColumnType, EXTRA_COLUMN};
use serde_json::{Map, Value};

use crate::enforce::Judge;

/// Keywords that describe a value to people and do not restrict it.
const ANNOTATIONS: &[&str] = &[
    "$comment",
    "$schema",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "type",
];

/// The most fields of one object: each has a bit of a number.
const FIELDS_MAX: usize = 64;

/// How many `$ref`s in a row are followed.
const REFERENCES_MAX: usize = 16;

/// What a value must be, and how it is put into its column.
pub(super) struct Rule {
    /// Whether JSON's null is allowed.
    pub(super) nullable: bool,
    pub(super) kind: Kind,
}

/// The rule for one kind of column.
pub(super) enum Kind {
    Text(TextRule),
    /// A text that is a UUID.
    Uuid,
    /// One of these texts, each as JSON mostly writes it: in quotes, without anything that would be escaped.
    OneOf(Vec<String>),
    Whole {
        least: i64,
        most: i64,
    },
    /// The judge decides about the bounds themselves, since it compares without rounding.
    Double {
        above: f64,
        below: f64,
    },
    Boolean,
    Time,
    Day,
    List {
        element: Box<Rule>,
        least: usize,
        most: usize,
    },
    Map {
        value: Box<Rule>,
    },
    Struct(ObjectRule),
    /// Any value that the judge accepts, or any at all.
    Judged(Option<Judge>),
}

/// The rule for texts.
#[derive(Default)]
pub(super) struct TextRule {
    pub(super) least: Option<usize>,
    pub(super) most: Option<usize>,
    /// Decides about patterns and the other formats.
    pub(super) judge: Option<Judge>,
}

/// The rule for an object's fields.
pub(super) struct ObjectRule {
    pub(super) fields: Vec<FieldRule>,
    /// The required fields, by the bits of their places.
    pub(super) required: u64,
    /// The column that keeps extra fields; without one, a record with such a field is left to the judge.
    pub(super) extra: Option<usize>,
}

/// The rule for one field.
pub(super) struct FieldRule {
    pub(super) name: String,
    /// The name as JSON mostly writes it: in quotes, without escapes.
    pub(super) quoted: Vec<u8>,
    /// Its place among the object's columns.
    pub(super) column: usize,
    pub(super) rule: Rule,
}

/// Compiles a record's schema; `None` if only the judge can decide what it accepts.
pub(super) fn compile(schema: &Value, columns: &[Column]) -> Option<ObjectRule> {
    let root = Root(schema);
    // An id changes what references mean.
    let has_id = schema.get("id").is_some_and(Value::is_string);
    let record = root.resolve(schema)?;
    let is_object = record.get("type").is_some_and(|kind| kind == "object");
    let fields = record.as_object().filter(|_| is_object && !has_id)?;
    root.object(fields, columns)
}

struct Root<'a>(&'a Value);

impl<'a> Root<'a> {
    /// Follows `$ref`s within the document.
    fn resolve(&self, mut schema: &'a Value) -> Option<&'a Value> {
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = schema.get("$ref") else { return Some(schema) };
            // Keywords next to a reference count in some drafts and not in others.
            let stands_alone =
                schema.as_object()?.keys().all(|key| key == "$ref" || ANNOTATIONS.contains(&key.as_str()));
            if !stands_alone || schema.get("type").is_some() {
                return None;
            }
            schema = self.0.pointer(reference.as_str()?.strip_prefix('#')?)?;
        }
        None
    }

    fn object(&self, schema: &'a Map<String, Value>, columns: &[Column]) -> Option<ObjectRule> {
        known_only(schema, &["properties", "required", "additionalProperties", "$id"])?;
        let none = Map::new();
        let properties = match schema.get("properties") {
            Some(properties) => properties.as_object()?,
            None => &none,
        };
        let open = match schema.get("additionalProperties") {
            None | Some(Value::Bool(true)) => true,
            Some(Value::Bool(false)) => false,
            Some(_) => return None,
        };
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let mut fields = Vec::new();
        for (name, property) in properties {
            // A property without a column of its own shares its name with another one.
            let column = place(name).filter(|_| name != EXTRA_COLUMN)?;
            let rule = self.rule(property, &columns[column].kind)?;
            let quoted = serde_json::to_vec(name).ok()?;
            fields.push(FieldRule { name: name.clone(), quoted, column, rule });
        }
        let extra = place(EXTRA_COLUMN);
        // Every column must get a value from each record.
        let covered = fields.len() + usize::from(extra.is_some()) == columns.len();
        if !covered || open != extra.is_some() || fields.len() > FIELDS_MAX {
            return None;
        }
        let mut required = 0;
        for name in schema.get("required").map_or(Some(&Vec::new()), Value::as_array)? {
            let name = name.as_str()?;
            required |= 1 << fields.iter().position(|field| field.name == name)?;
        }
        Some(ObjectRule { fields, required, extra })
    }

    fn rule(&self, schema: &'a Value, column: &ColumnType) -> Option<Rule> {
        let schema = self.resolve(schema)?;
        let Some(keywords) = schema.as_object() else { return self.judged(schema) };
        let Some(nullable) = allows_null(keywords) else { return self.judged(schema) };
        let kind = match column {
            ColumnType::String => self.text(keywords),
            ColumnType::Int64 => whole(keywords),
            ColumnType::Float64 => double(keywords),
            ColumnType::Boolean => known_only(keywords, &[]).map(|()| Kind::Boolean),
            ColumnType::Timestamp => known_only(keywords, &["format"]).map(|()| Kind::Time),
            ColumnType::Date => known_only(keywords, &["format"]).map(|()| Kind::Day),
            ColumnType::List(element) => self.list(keywords, element),
            ColumnType::Map { value, .. } => self.map(keywords, value),
            ColumnType::Struct(fields) => self.object(keywords, fields).map(Kind::Struct),
            ColumnType::Json | ColumnType::Binary => None,
        };
        match kind {
            Some(kind) => Some(Rule { nullable, kind }),
            None => self.judged(schema),
        }
    }

    fn text(&self, keywords: &'a Map<String, Value>) -> Option<Kind> {
        known_only(keywords, &["enum", "const", "minLength", "maxLength", "format", "pattern"])?;
        let is_uuid = keywords.get("format").is_some_and(|format| format == "uuid");
        let says = |keyword: &str| keywords.contains_key(keyword);
        let says_more = ["minLength", "maxLength", "pattern"].into_iter().any(says);
        if says("enum") || says("const") {
            // An enum may forbid the null that the type allows.
            let alone = !says_more && !says("format") && !allows_null(keywords)?;
            return if alone { one_of(keywords).map(Kind::OneOf) } else { None };
        }
        if is_uuid && !says_more {
            return Some(Kind::Uuid);
        }
        let needs_judge = says("pattern") || says("format");
        let judge = if needs_judge { Some(self.judge(&Value::Object(keywords.clone()))?) } else { None };
        let [least, most] = ["minLength", "maxLength"].map(|keyword| count(keywords, keyword));
        Some(Kind::Text(TextRule { least: least?, most: most?, judge }))
    }

    fn list(&self, keywords: &'a Map<String, Value>, element: &Column) -> Option<Kind> {
        known_only(keywords, &["items", "minItems", "maxItems"])?;
        let element = Box::new(self.rule(keywords.get("items")?, &element.kind)?);
        let [least, most] = ["minItems", "maxItems"].map(|keyword| count(keywords, keyword));
        Some(Kind::List { element, least: least?.unwrap_or(0), most: most?.unwrap_or(usize::MAX) })
    }

    fn map(&self, keywords: &'a Map<String, Value>, value: &Column) -> Option<Kind> {
        known_only(keywords, &["additionalProperties"])?;
        let value = Box::new(self.rule(keywords.get("additionalProperties")?, &value.kind)?);
        Some(Kind::Map { value })
    }

    /// Leaves a value to the judge. `None` if it can't be judged without the rest of the document.
    fn judged(&self, schema: &Value) -> Option<Rule> {
        let says_nothing = match schema {
            Value::Bool(any) => *any,
            Value::Object(keywords) => known_only(keywords, &[]).is_some() && !keywords.contains_key("type"),
            _ => false,
        };
        let judge = if says_nothing { None } else { Some(self.judge(schema)?) };
        Some(Rule { nullable: false, kind: Kind::Judged(judge) })
    }

    fn judge(&self, schema: &Value) -> Option<Judge> {
        if refers(schema) {
            return None;
        }
        let mut schema = schema.clone();
        // The draft decides what keywords mean.
        if let (Some(keywords), Some(draft)) = (schema.as_object_mut(), self.0.get("$schema")) {
            keywords.insert("$schema".to_owned(), draft.clone());
        }
        Judge::compile(&schema).ok()
    }
}

/// The texts that an enum or a const allows, in quotes.
fn one_of(keywords: &Map<String, Value>) -> Option<Vec<String>> {
    let values = match (keywords.get("enum"), keywords.get("const")) {
        (Some(Value::Array(values)), None) => values.iter().collect(),
        (None, Some(value)) => vec![value],
        _ => return None,
    };
    let text = |value: &Value| {
        let quoted = value.to_string();
        // A text with escapes can be written in more than one way.
        value.as_str().filter(|text| quoted.len() == text.len() + 2).map(|_| quoted)
    };
    values.into_iter().filter(|value| value.is_string()).map(text).collect()
}

fn whole(keywords: &Map<String, Value>) -> Option<Kind> {
    known_only(keywords, &["minimum", "maximum"])?;
    let bound = |keyword: &str, default| match keywords.get(keyword) {
        None => Some(default),
        Some(bound) => bound.as_i64(),
    };
    Some(Kind::Whole { least: bound("minimum", i64::MIN)?, most: bound("maximum", i64::MAX)? })
}

fn double(keywords: &Map<String, Value>) -> Option<Kind> {
    known_only(keywords, &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])?;
    let bound = |keyword: &str, default| match keywords.get(keyword) {
        None => Some(default),
        Some(bound) => bound.as_f64(),
    };
    let above = bound("minimum", f64::NEG_INFINITY)?.max(bound("exclusiveMinimum", f64::NEG_INFINITY)?);
    let below = bound("maximum", f64::INFINITY)?.min(bound("exclusiveMaximum", f64::INFINITY)?);
    Some(Kind::Double { above, below })
}

/// `Some` if the schema has no keywords except annotations and those named.
fn known_only(keywords: &Map<String, Value>, named: &[&str]) -> Option<()> {
    keywords.keys().all(|key| ANNOTATIONS.contains(&key.as_str()) || named.contains(&key.as_str())).then_some(())
}

/// Whether a schema of one type also allows null; `None` for one without a type or with several.
fn allows_null(keywords: &Map<String, Value>) -> Option<bool> {
    match keywords.get("type")? {
        Value::String(_) => Some(false),
        Value::Array(types) => {
            let others = types.iter().filter(|name| *name != "null").count();
            // A number that may be an integer is a number.
            let is_number = types.iter().any(|name| name == "number") && types.iter().any(|name| name == "integer");
            (others == 1 || (others == 2 && is_number)).then_some(others < types.len())
        }
        _ => None,
    }
}

/// The value of a keyword that counts; `None` inside if it is absent.
fn count(keywords: &Map<String, Value>, keyword: &str) -> Option<Option<usize>> {
    match keywords.get(keyword) {
        None => Some(None),
        Some(value) => Some(Some(usize::try_from(value.as_u64()?).ok()?)),
    }
}

/// Whether a schema's meaning depends on the document around it.
fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(keywords) => keywords.iter().any(|(key, value)| {
            matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef" | "$id" | "id" | "$anchor") || refers(value)
        }),
        Value::Array(schemas) => schemas.iter().any(refers),
        _ => false,
    }
}
