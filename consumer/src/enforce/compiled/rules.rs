//! A JSON Schema and the columns that follow from it, compiled into rules for reading records.
//!
//! Knows the keywords that event schemas use. An unknown keyword, or a reference that may lead elsewhere, sends the value under it
//! to the judge. A keyword that reaches further, such as a rule over several fields, makes the whole schema impossible to compile.
//! Invariant: a rule accepts no value that the judge refuses.

use std::{collections::HashMap, sync::Arc};

use lake::{
    columns::{Column, ColumnType, EXTRA_COLUMN},
    schema::{Document, NullBeside, Subschema, is_annotation},
};
use serde_json::{Map, Value};

use crate::enforce::{Judge, judge::Parts};

/// How many schemas in a row may only stand for another one.
const STAND_INS_MAX: usize = 16;

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
    Judged(Option<Arc<Judge>>),
}

/// The rule for texts.
#[derive(Default)]
pub(super) struct TextRule {
    pub(super) least: Option<usize>,
    pub(super) most: Option<usize>,
    /// Decides about patterns and the other formats.
    pub(super) judge: Option<Arc<Judge>>,
}

/// The rule for an object's fields.
pub(super) struct ObjectRule {
    pub(super) fields: Vec<FieldRule>,
    /// Where each field is, by its name.
    places: HashMap<String, usize>,
    /// The required fields.
    pub(super) required: Places,
    /// The column that keeps extra fields; without one, a record with such a field is left to the judge.
    pub(super) extra: Option<usize>,
}

impl ObjectRule {
    /// The place of the field with this name.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        /// Up to here, comparing is faster than hashing.
        const COMPARED_MAX: usize = 8;
        if self.fields.len() <= COMPARED_MAX {
            return self.fields.iter().position(|field| field.name == name);
        }
        self.places.get(name).copied()
    }
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
    let document = Document::of(schema);
    // What such a schema allows is not defined: the judge alone decides.
    if document.costly().is_some() {
        return None;
    }
    let compiler = Compiler { document: &document, parts: Parts::of(&document) };
    let mut record = document.root();
    for _ in 0..STAND_INS_MAX {
        match document.stand_in(&record) {
            Some(stand_in) if stand_in.is_alone && stand_in.null == NullBeside::No => record = stand_in.target?,
            Some(_) => return None,
            None => break,
        }
    }
    let is_object = record.keyword("type").is_some_and(|kind| kind == "object");
    if is_object { compiler.object(&record, columns) } else { None }
}

struct Compiler<'d, 'a> {
    document: &'d Document<'a>,
    parts: Parts<'d, 'a>,
}

impl<'a> Compiler<'_, 'a> {
    fn object(&self, schema: &Subschema<'a>, columns: &[Column]) -> Option<ObjectRule> {
        let keywords = schema.keywords()?;
        known_only(keywords, &["properties", "required", "additionalProperties"])?;
        let none = Map::new();
        let properties = match keywords.get("properties") {
            Some(properties) => properties.as_object()?,
            None => &none,
        };
        let open = match keywords.get("additionalProperties") {
            None | Some(Value::Bool(true)) => true,
            Some(Value::Bool(false)) => false,
            Some(_) => return None,
        };
        let by_name: HashMap<&str, usize> =
            columns.iter().enumerate().map(|(at, column)| (column.name.as_str(), at)).collect();
        let place = |name: &str| by_name.get(name).copied();
        let mut fields = Vec::new();
        for name in properties.keys() {
            // A property without a column of its own shares its name with another one.
            let column = place(name).filter(|_| name != EXTRA_COLUMN)?;
            let property = self.document.child(schema, &["properties", name])?;
            let rule = self.rule(&property, &columns[column])?;
            let quoted = serde_json::to_vec(name).ok()?;
            fields.push(FieldRule { name: name.clone(), quoted, column, rule });
        }
        let extra = place(EXTRA_COLUMN);
        // Every column must get a value from each record.
        let covered = fields.len() + usize::from(extra.is_some()) == columns.len();
        if !covered || open != extra.is_some() {
            return None;
        }
        let places: HashMap<String, usize> =
            fields.iter().enumerate().map(|(at, field)| (field.name.clone(), at)).collect();
        let mut required = Places::among(fields.len());
        for name in keywords.get("required").map_or(Some(&Vec::new()), Value::as_array)? {
            required.add(*places.get(name.as_str()?)?);
        }
        Some(ObjectRule { fields, places, required, extra })
    }

    fn rule(&self, schema: &Subschema<'a>, column: &Column) -> Option<Rule> {
        let mut rule = self.own_rule(schema, &column.kind, STAND_INS_MAX).or_else(|| self.judged(schema))?;
        rule.nullable &= column.nullable;
        Some(rule)
    }

    /// The rule of a schema that is understood completely.
    fn own_rule(&self, schema: &Subschema<'a>, column: &ColumnType, stand_ins_left: usize) -> Option<Rule> {
        if let Some(stand_in) = self.document.stand_in(schema) {
            if !stand_in.is_alone {
                return None;
            }
            let mut rule = self.own_rule(&stand_in.target?, column, stand_ins_left.checked_sub(1)?)?;
            match stand_in.null {
                NullBeside::No => {}
                // Null would fit both, and must fit one.
                NullBeside::YesAlone if rule.nullable => return None,
                NullBeside::Yes | NullBeside::YesAlone => rule.nullable = true,
            }
            return Some(rule);
        }
        let keywords = schema.keywords()?;
        let nullable = allows_null(keywords)?;
        if !is_stored_in(keywords, column) {
            return None;
        }
        let kind = match column {
            ColumnType::String => self.text(schema)?,
            ColumnType::Int64 => whole(keywords)?,
            ColumnType::Float64 => double(keywords)?,
            ColumnType::Boolean => known_only(keywords, &[]).map(|()| Kind::Boolean)?,
            ColumnType::Timestamp => known_only(keywords, &["format"]).map(|()| Kind::Time)?,
            ColumnType::Date => known_only(keywords, &["format"]).map(|()| Kind::Day)?,
            ColumnType::List(element) => self.list(schema, element)?,
            ColumnType::Map { value, .. } => self.map(schema, value)?,
            ColumnType::Struct(fields) => self.object(schema, fields).map(Kind::Struct)?,
            ColumnType::Json | ColumnType::Binary => return None,
        };
        Some(Rule { nullable, kind })
    }

    fn text(&self, schema: &Subschema<'a>) -> Option<Kind> {
        let keywords = schema.keywords()?;
        known_only(keywords, &["enum", "const", "minLength", "maxLength", "format", "pattern"])?;
        let is_uuid = keywords.get("format").is_some_and(|format| format == "uuid");
        let says = |keyword: &str| keywords.contains_key(keyword);
        let says_more = ["minLength", "maxLength", "pattern"].into_iter().any(says);
        if says("enum") || says("const") {
            let alone = !says_more && !says("format");
            return if alone { one_of(keywords).map(Kind::OneOf) } else { None };
        }
        if is_uuid && !says_more {
            return Some(Kind::Uuid);
        }
        let needs_judge = says("pattern") || says("format");
        let judge = if needs_judge { Some(self.parts.judge(schema)?) } else { None };
        let [least, most] = ["minLength", "maxLength"].map(|keyword| count(keywords, keyword));
        Some(Kind::Text(TextRule { least: least?, most: most?, judge }))
    }

    fn list(&self, schema: &Subschema<'a>, element: &Column) -> Option<Kind> {
        let keywords = schema.keywords()?;
        known_only(keywords, &["items", "minItems", "maxItems"])?;
        let element = Box::new(self.rule(&self.document.child(schema, &["items"])?, element)?);
        let [least, most] = ["minItems", "maxItems"].map(|keyword| count(keywords, keyword));
        Some(Kind::List { element, least: least?.unwrap_or(0), most: most?.unwrap_or(usize::MAX) })
    }

    fn map(&self, schema: &Subschema<'a>, value: &Column) -> Option<Kind> {
        known_only(schema.keywords()?, &["additionalProperties"])?;
        let values = self.document.child(schema, &["additionalProperties"])?;
        Some(Kind::Map { value: Box::new(self.rule(&values, value)?) })
    }

    /// Leaves a value to the judge. `None` if it can't be judged without the rest of the document.
    fn judged(&self, schema: &Subschema<'a>) -> Option<Rule> {
        let says_nothing = match schema.value {
            Value::Bool(any) => *any,
            Value::Object(keywords) => known_only(keywords, &[]).is_some() && !keywords.contains_key("type"),
            _ => false,
        };
        let judge = if says_nothing { None } else { Some(self.parts.judge(schema)?) };
        Some(Rule { nullable: false, kind: Kind::Judged(judge) })
    }
}

/// Whether values of the schema's type are stored in such a column. They are, unless an earlier version derived the column.
fn is_stored_in(keywords: &Map<String, Value>, column: &ColumnType) -> bool {
    let names = |name: &str| match keywords.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        // Without one, the values of an enum decide.
        _ => name == "string",
    };
    let format = keywords.get("format").and_then(Value::as_str);
    match column {
        ColumnType::String => names("string"),
        ColumnType::Timestamp => names("string") && format == Some("date-time"),
        ColumnType::Date => names("string") && format == Some("date"),
        ColumnType::Int64 => names("integer"),
        ColumnType::Float64 => names("number"),
        ColumnType::Boolean => names("boolean"),
        ColumnType::List(_) => names("array"),
        ColumnType::Struct(_) | ColumnType::Map { .. } => names("object"),
        ColumnType::Json | ColumnType::Binary => false,
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

/// `Some` if the schema has no keywords except annotations, its type and those named.
fn known_only(keywords: &Map<String, Value>, named: &[&str]) -> Option<()> {
    let is_known = |key: &String| key == "type" || is_annotation(key) || named.contains(&key.as_str());
    keywords.keys().all(is_known).then_some(())
}

/// Whether a schema of one type also allows null; `None` for one of several types, or of none unless it lists texts, or if its type
/// and its list disagree about null.
fn allows_null(keywords: &Map<String, Value>) -> Option<bool> {
    let values = match (keywords.get("enum"), keywords.get("const")) {
        (Some(Value::Array(values)), None) => Some(values.as_slice()),
        (None, Some(value)) => Some(std::slice::from_ref(value)),
        (None, None) => None,
        _ => return None,
    };
    let null_is_listed = values.is_none_or(|values| values.iter().any(Value::is_null));
    match keywords.get("type") {
        None => {
            let are_texts = values?.iter().all(|value| value.is_string() || value.is_null());
            are_texts.then_some(null_is_listed)
        }
        Some(Value::String(_)) => Some(false),
        Some(Value::Array(types)) => {
            let others = types.iter().filter(|name| *name != "null").count();
            // A number that may be an integer is a number.
            let is_number = types.iter().any(|name| name == "number") && types.iter().any(|name| name == "integer");
            let nullable = others < types.len();
            // For a cell without text, it matters which of the two forbids null.
            (!nullable || null_is_listed).then_some(())?;
            (others == 1 || (others == 2 && is_number)).then_some(nullable)
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

/// Places of fields among all of an object.
///
/// Objects of up to 64 fields need no memory from the heap.
#[derive(Clone)]
pub(super) struct Places {
    first: u64,
    more: Vec<u64>,
}

impl Places {
    /// No place among so many.
    #[inline]
    pub(super) fn among(fields: usize) -> Self {
        let more = if fields <= 64 { Vec::new() } else { vec![0; (fields - 1) / 64] };
        Self { first: 0, more }
    }

    /// Adds a place; `false` if it was added before.
    #[inline]
    pub(super) fn add(&mut self, place: usize) -> bool {
        let word = if place < 64 { &mut self.first } else { &mut self.more[place / 64 - 1] };
        let bit = 1 << (place % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Whether a place was added.
    #[inline]
    pub(super) fn has(&self, place: usize) -> bool {
        let word = if place < 64 { self.first } else { self.more[place / 64 - 1] };
        word & (1 << (place % 64)) != 0
    }

    /// Whether all places of the other one are among these.
    #[inline]
    pub(super) fn cover(&self, other: &Self) -> bool {
        other.first & !self.first == 0 && other.more.iter().zip(&self.more).all(|(other, own)| other & !own == 0)
    }

    /// Calls `each` with every place below `fields` that was not added.
    #[inline]
    pub(super) fn for_missing(&self, fields: usize, mut each: impl FnMut(usize)) {
        let words = std::iter::once(&self.first).chain(&self.more);
        for (number, word) in words.enumerate() {
            let left = fields - fields.min(number * 64);
            let mask = if left >= 64 { u64::MAX } else { (1 << left) - 1 };
            let mut missing = !word & mask;
            while missing != 0 {
                each(number * 64 + missing.trailing_zeros() as usize);
                missing &= missing - 1;
            }
        }
    }
}
