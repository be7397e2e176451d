//! One column under construction, of any type, nested ones included.
//!
//! Two walks over a value: [`ColumnBuilder::check`] says whether it fits, [`ColumnBuilder::append`] then can't fail.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, ListArray, MapArray, StringBuilder,
        StructArray, TimestampMicrosecondBuilder,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, FieldRef, Fields},
};
use lake::{
    columns::{Column, ColumnType, EXTRA_COLUMN},
    dead_letter::{ErrorCode, Fault, Reason, pointer_step},
};
use serde_json::{Map, Value};

use super::{arrow_field, entries_field, number, time};

pub(super) struct ColumnBuilder {
    kind: Kind,
    nullable: bool,
}

enum Kind {
    Text(StringBuilder),
    Json(StringBuilder),
    Whole(Int64Builder),
    Double(Float64Builder),
    Boolean(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    Day(Date32Builder),
    List(Repeated),
    Map { field: FieldRef, keys: StringBuilder, values: Repeated },
    Struct { fields: Fields, names: Vec<String>, extra: Option<usize>, columns: Vec<ColumnBuilder>, valid: Vec<bool> },
}

/// Any number of values per row, of one column.
struct Repeated {
    element: FieldRef,
    column: Box<ColumnBuilder>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl Repeated {
    fn new(column: &Column) -> Self {
        let element = Arc::new(arrow_field(column));
        Self { element, column: Box::new(ColumnBuilder::new(column)), lengths: Vec::new(), valid: Vec::new() }
    }

    fn close_row(&mut self, length: Option<usize>) {
        self.lengths.push(length.unwrap_or(0));
        self.valid.push(length.is_some());
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, ArrayRef, Option<NullBuffer>) {
        let offsets = OffsetBuffer::from_lengths(std::mem::take(&mut self.lengths));
        (offsets, self.column.finish(), nulls(&mut self.valid))
    }
}

/// Which of a struct's fields keeps what no other field names.
pub(super) fn extra_field(columns: &[Column]) -> Option<usize> {
    columns.iter().position(|column| column.name == EXTRA_COLUMN)
}

/// A record's fields.
pub(super) fn object_fields(record: &Value) -> Result<&Map<String, Value>, Fault> {
    record.as_object().ok_or_else(|| unrepresentable("the record is not an object, and a row holds the fields of one"))
}

/// Whether each field fits its column.
pub(super) fn check_fields(
    columns: &[ColumnBuilder],
    names: &[String],
    extra: Option<usize>,
    fields: &Map<String, Value>,
) -> Result<(), Fault> {
    for (at, (column, name)) in columns.iter().zip(names).enumerate() {
        if Some(at) != extra {
            column.check(fields.get(name)).map_err(|fault| below(name, fault))?;
        }
    }
    Ok(())
}

/// Appends each field to its column, and those without one to `extra`.
pub(super) fn append_fields(
    columns: &mut [ColumnBuilder],
    names: &[String],
    extra: Option<usize>,
    fields: &Map<String, Value>,
) {
    for (at, (column, name)) in columns.iter_mut().zip(names).enumerate() {
        if Some(at) != extra {
            column.append(fields.get(name));
        }
    }
    if let Some(at) = extra {
        let is_named = |name: &String| names.iter().enumerate().any(|(other, named)| other != at && named == name);
        let rest: Map<String, Value> = fields
            .iter()
            .filter(|(name, _)| !is_named(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let rest = (!rest.is_empty()).then_some(Value::Object(rest));
        columns[at].append(rest.as_ref());
    }
}

impl ColumnBuilder {
    pub(super) fn new(column: &Column) -> Self {
        let kind = match &column.kind {
            ColumnType::Int64 => Kind::Whole(Int64Builder::new()),
            ColumnType::Float64 => Kind::Double(Float64Builder::new()),
            ColumnType::Boolean => Kind::Boolean(BooleanBuilder::new()),
            ColumnType::Timestamp => Kind::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            ColumnType::Date => Kind::Day(Date32Builder::new()),
            ColumnType::String => Kind::Text(StringBuilder::new()),
            // JSON has no bytes, so no schema leads to a binary column.
            ColumnType::Json | ColumnType::Binary => Kind::Json(StringBuilder::new()),
            ColumnType::List(element) => Kind::List(Repeated::new(element)),
            ColumnType::Map { key, value } => {
                let field = Arc::new(entries_field(key, value));
                Kind::Map { field, keys: StringBuilder::new(), values: Repeated::new(value) }
            }
            ColumnType::Struct(fields) => Kind::Struct {
                fields: fields.iter().map(arrow_field).collect(),
                names: fields.iter().map(|field| field.name.clone()).collect(),
                extra: extra_field(fields),
                columns: fields.iter().map(Self::new).collect(),
                valid: Vec::new(),
            },
        };
        Self { kind, nullable: column.nullable }
    }

    /// Whether the column can hold the value unchanged. An absent value and a JSON null are the same to a column.
    fn check(&self, value: Option<&Value>) -> Result<(), Fault> {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return if self.nullable { Ok(()) } else { Err(unrepresentable("the column must have a value")) };
        };
        let fits = match (&self.kind, value) {
            (Kind::Json(_), _) | (Kind::Text(_), Value::String(_)) | (Kind::Boolean(_), Value::Bool(_)) => true,
            (Kind::Whole(_), Value::Number(found)) => number::whole(found.as_str()).is_some(),
            (Kind::Double(_), Value::Number(found)) => number::double(found.as_str()).is_some(),
            (Kind::Time(_), Value::String(text)) => time::micros(text).is_some(),
            (Kind::Day(_), Value::String(text)) => time::days(text).is_some(),
            (Kind::List(list), Value::Array(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    list.column.check(Some(element)).map_err(|fault| below(&index.to_string(), fault))?;
                }
                true
            }
            (Kind::Map { values, .. }, Value::Object(entries)) => {
                for (name, value) in entries {
                    values.column.check(Some(value)).map_err(|fault| below(name, fault))?;
                }
                true
            }
            (Kind::Struct { names, extra, columns, .. }, Value::Object(fields)) => {
                check_fields(columns, names, *extra, fields)?;
                true
            }
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(unrepresentable(&format!("{} can't be held unchanged by {}", found(value), self.holds())))
        }
    }

    /// Appends a value that [`ColumnBuilder::check`] let pass; anything else would become null.
    fn append(&mut self, value: Option<&Value>) {
        let value = value.filter(|value| !value.is_null());
        match &mut self.kind {
            Kind::Text(text) => text.append_option(value.and_then(Value::as_str)),
            Kind::Json(text) => text.append_option(value.map(Value::to_string)),
            Kind::Whole(whole) => {
                whole.append_option(value.and_then(Value::as_number).and_then(|n| number::whole(n.as_str())))
            }
            Kind::Double(double) => {
                double.append_option(value.and_then(Value::as_number).and_then(|n| number::double(n.as_str())));
            }
            Kind::Boolean(boolean) => boolean.append_option(value.and_then(Value::as_bool)),
            Kind::Time(time) => time.append_option(value.and_then(Value::as_str).and_then(time::micros)),
            Kind::Day(day) => day.append_option(value.and_then(Value::as_str).and_then(time::days)),
            Kind::List(list) => {
                let elements = value.and_then(Value::as_array);
                elements.into_iter().flatten().for_each(|element| list.column.append(Some(element)));
                list.close_row(elements.map(Vec::len));
            }
            Kind::Map { keys, values, .. } => {
                let entries = value.and_then(Value::as_object);
                for (name, value) in entries.into_iter().flatten() {
                    keys.append_value(name);
                    values.column.append(Some(value));
                }
                values.close_row(entries.map(Map::len));
            }
            Kind::Struct { names, extra, columns, valid, .. } => {
                match value.and_then(Value::as_object) {
                    Some(fields) => append_fields(columns, names, *extra, fields),
                    None => columns.iter_mut().for_each(|column| column.append_hidden()),
                }
                valid.push(value.is_some());
            }
        }
    }

    /// Appends what stands below a null struct: null, or for a column without nulls a value that nobody sees.
    fn append_hidden(&mut self) {
        if self.nullable {
            return self.append(None);
        }
        match &mut self.kind {
            Kind::Text(text) | Kind::Json(text) => text.append_value(""),
            Kind::Whole(whole) => whole.append_value(0),
            Kind::Double(double) => double.append_value(0.0),
            Kind::Boolean(boolean) => boolean.append_value(false),
            Kind::Time(time) => time.append_value(0),
            Kind::Day(day) => day.append_value(0),
            Kind::List(list) => list.close_row(Some(0)),
            Kind::Map { values, .. } => values.close_row(Some(0)),
            Kind::Struct { columns, valid, .. } => {
                columns.iter_mut().for_each(Self::append_hidden);
                valid.push(true);
            }
        }
    }

    /// The values appended since the last call.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match &mut self.kind {
            Kind::Text(text) | Kind::Json(text) => Arc::new(text.finish()),
            Kind::Whole(whole) => Arc::new(whole.finish()),
            Kind::Double(double) => Arc::new(double.finish()),
            Kind::Boolean(boolean) => Arc::new(boolean.finish()),
            Kind::Time(time) => Arc::new(time.finish()),
            Kind::Day(day) => Arc::new(day.finish()),
            Kind::List(list) => {
                let (offsets, values, nulls) = list.finish();
                Arc::new(ListArray::new(Arc::clone(&list.element), offsets, values, nulls))
            }
            Kind::Map { field, keys, values } => {
                let (offsets, array, nulls) = values.finish();
                let DataType::Struct(entries) = field.data_type() else { unreachable!("entries are a struct") };
                let pairs = StructArray::new(entries.clone(), vec![Arc::new(keys.finish()), array], None);
                Arc::new(MapArray::new(Arc::clone(field), offsets, pairs, nulls, false))
            }
            Kind::Struct { fields, columns, valid, .. } => {
                let arrays = columns.iter_mut().map(Self::finish).collect();
                Arc::new(StructArray::new(fields.clone(), arrays, nulls(valid)))
            }
        }
    }

    /// What the column holds, for messages.
    fn holds(&self) -> &'static str {
        match self.kind {
            Kind::Text(_) | Kind::Json(_) => "a text column",
            Kind::Whole(_) => "a 64-bit integer column",
            Kind::Double(_) => "a 64-bit floating-point column",
            Kind::Boolean(_) => "a boolean column",
            Kind::Time(_) => "a timestamp column of microseconds",
            Kind::Day(_) => "a date column",
            Kind::List(_) => "a list column",
            Kind::Map { .. } => "a map column",
            Kind::Struct { .. } => "a struct column",
        }
    }
}

fn nulls(valid: &mut Vec<bool>) -> Option<NullBuffer> {
    let valid = std::mem::take(valid);
    valid.contains(&false).then(|| NullBuffer::from(valid))
}

fn found(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        scalar => scalar.to_string().chars().take(80).collect(),
    }
}

fn unrepresentable(message: &str) -> Fault {
    Fault::new(Reason::InvalidSchema, ErrorCode::Unrepresentable, message).at("")
}

/// The fault, found one step further down.
fn below(name: &str, fault: Fault) -> Fault {
    let path = format!("{}{}", pointer_step(name), fault.path.as_deref().unwrap_or_default());
    fault.at(path)
}
