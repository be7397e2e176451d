//! One column under construction, of any type, nested ones included.
//!
//! Two passes over a value: [`ColumnBuilder::check`] checks whether it fits; after that, [`ColumnBuilder::append`]
//! can't fail. A reader of a record's text puts values into [`Values`] directly, and undoes a part of a record with
//! [`ColumnBuilder::truncate`]. Invariant: a truncation removes all of a partly appended record.

mod buffers;
pub mod number;
pub mod time;

use std::{collections::HashSet, sync::Arc};

use arrow::array::{BooleanBufferBuilder, NullBufferBuilder};
use arrow::{
    array::{
        ArrayData, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, ListArray, MapArray, StructArray,
        TimestampMicrosecondArray,
    },
    buffer::{Buffer, OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, FieldRef, Fields},
};
use lake::{
    columns::{Column, ColumnType, EXTRA_COLUMN},
    dead_letter::{ErrorCode, Fault, Reason, pointer_step},
};
use serde_json::{Map, Value};

use crate::schema::{arrow_field, entries_field};
pub use buffers::Texts;
use buffers::{offset, reuse, reuse_offsets};

/// A column under construction.
pub struct ColumnBuilder {
    /// Its values.
    pub values: Values,
    valid: NullBufferBuilder,
    nullable: bool,
}

/// A column's values, one for each row; any value if the row is null.
pub enum Values {
    /// Text.
    Text(Texts),
    /// JSON text.
    Json(Texts),
    /// Whole numbers.
    Whole(Vec<i64>),
    /// Doubles.
    Double(Vec<f64>),
    /// True or false.
    Boolean(BooleanBufferBuilder),
    /// Microseconds since 1970.
    Time(Vec<i64>),
    /// Days since 1970.
    Day(Vec<i32>),
    /// Lists.
    List(Repeated),
    /// Maps.
    Map {
        /// The field of the entries.
        field: FieldRef,
        /// The keys of all maps, one after the other.
        keys: Texts,
        /// The values of all maps.
        values: Repeated,
    },
    /// Structs.
    Struct {
        /// The fields.
        fields: Fields,
        /// Their names.
        names: FieldNames,
        /// The field that keeps what the others do not name.
        extra: Option<usize>,
        /// A column for each.
        columns: Vec<ColumnBuilder>,
    },
}

impl Values {
    /// Appends one value; `None` if it is null or of another kind.
    fn put(&mut self, value: &Value) -> Option<()> {
        match (self, value) {
            (Self::Text(texts), Value::String(text)) => texts.push(text),
            (Self::Json(texts), value) if !value.is_null() => texts.push(&value.to_string()),
            (Self::Whole(values), Value::Number(number)) => values.push(number::whole(number.as_str())?),
            (Self::Double(values), Value::Number(number)) => values.push(number::double(number.as_str())?),
            (Self::Boolean(values), Value::Bool(value)) => values.append(*value),
            (Self::Time(values), Value::String(text)) => values.push(time::micros(text)?),
            (Self::Day(values), Value::String(text)) => values.push(time::days(text)?),
            (Self::List(list), Value::Array(elements)) => {
                elements.iter().for_each(|element| list.column.append(Some(element)));
                list.close_row(elements.len());
            }
            (Self::Map { keys, values, .. }, Value::Object(entries)) => {
                for (name, value) in entries {
                    keys.push(name);
                    values.column.append(Some(value));
                }
                values.close_row(entries.len());
            }
            (Self::Struct { names, extra, columns, .. }, Value::Object(fields)) => {
                append_fields(columns, names, *extra, fields);
            }
            _ => return None,
        }
        Some(())
    }
}

/// Any number of values per row, of one column.
pub struct Repeated {
    element: FieldRef,
    /// The values of all rows, one after the other.
    pub column: Box<ColumnBuilder>,
    offsets: Vec<i32>,
}

impl Repeated {
    fn new(column: &Column) -> Self {
        let element = Arc::new(arrow_field(column));
        Self { element, column: Box::new(ColumnBuilder::new(column)), offsets: vec![0] }
    }

    /// Ends a row after its `length` values.
    #[inline]
    pub fn close_row(&mut self, length: usize) {
        let end = self.offsets.last().copied().unwrap_or_default();
        self.offsets.push(end + offset(length));
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.column.truncate(self.values());
    }

    fn reuse(&mut self, offsets: Option<Buffer>, values: Option<ArrayData>) {
        reuse_offsets(&mut self.offsets, offsets);
        if let Some(values) = values {
            self.column.reuse(values);
        }
    }

    /// How many values all rows have together.
    fn values(&self) -> usize {
        self.offsets.last().map_or(0, |end| *end as usize)
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, ArrayRef) {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), self.column.finish())
    }
}

/// The field of a struct that keeps what no other field names.
pub(crate) fn extra_field(columns: &[Column]) -> Option<usize> {
    columns.iter().position(|column| column.name == EXTRA_COLUMN)
}

/// A record's fields.
pub(crate) fn object_fields(record: &Value) -> Result<&Map<String, Value>, Fault> {
    record.as_object().ok_or_else(|| unrepresentable("the record is not an object, and a row needs the fields of one"))
}

/// The names of fields, in order.
pub struct FieldNames {
    names: Vec<String>,
    /// The same without that of the extra field, to look one up at the same cost whatever their number.
    set: HashSet<String>,
}

impl FieldNames {
    pub(crate) fn of(columns: &[Column]) -> Self {
        let own = columns.iter().filter(|column| column.name != EXTRA_COLUMN);
        Self {
            names: columns.iter().map(|column| column.name.clone()).collect(),
            set: own.map(|column| column.name.clone()).collect(),
        }
    }
}

/// Whether each field fits its column.
pub(crate) fn check_fields(
    columns: &[ColumnBuilder],
    names: &FieldNames,
    extra: Option<usize>,
    fields: &Map<String, Value>,
) -> Result<(), Fault> {
    for (at, (column, name)) in columns.iter().zip(&names.names).enumerate() {
        if Some(at) != extra {
            column.check(fields.get(name)).map_err(|fault| below(name, fault))?;
        }
    }
    Ok(())
}

/// Appends each field to its column, and those without one to `extra`.
pub(crate) fn append_fields(
    columns: &mut [ColumnBuilder],
    names: &FieldNames,
    extra: Option<usize>,
    fields: &Map<String, Value>,
) {
    for (at, (column, name)) in columns.iter_mut().zip(&names.names).enumerate() {
        if Some(at) != extra {
            column.append(fields.get(name));
        }
    }
    if let Some(at) = extra {
        let unnamed = fields.iter().filter(|(name, _)| !names.set.contains(*name));
        let rest: Map<String, Value> = unnamed.map(|(name, value)| (name.clone(), value.clone())).collect();
        let rest = (!rest.is_empty()).then_some(Value::Object(rest));
        columns[at].append(rest.as_ref());
    }
}

impl ColumnBuilder {
    pub(crate) fn new(column: &Column) -> Self {
        let values = match &column.kind {
            ColumnType::Int64 => Values::Whole(Vec::new()),
            ColumnType::Float64 => Values::Double(Vec::new()),
            ColumnType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            ColumnType::Timestamp => Values::Time(Vec::new()),
            ColumnType::Date => Values::Day(Vec::new()),
            ColumnType::String => Values::Text(Texts::new()),
            // JSON has no bytes, so no schema produces a binary column.
            ColumnType::Json | ColumnType::Binary => Values::Json(Texts::new()),
            ColumnType::List(element) => Values::List(Repeated::new(element)),
            ColumnType::Map { key, value } => {
                let field = Arc::new(entries_field(key, value));
                Values::Map { field, keys: Texts::new(), values: Repeated::new(value) }
            }
            ColumnType::Struct(fields) => Values::Struct {
                fields: fields.iter().map(arrow_field).collect(),
                names: FieldNames::of(fields),
                extra: extra_field(fields),
                columns: fields.iter().map(Self::new).collect(),
            },
        };
        Self { values, valid: NullBufferBuilder::new(0), nullable: column.nullable }
    }

    /// Whether the column can store the value unchanged. An absent value and a JSON null are the same to a column.
    pub fn check(&self, value: Option<&Value>) -> Result<(), Fault> {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return if self.nullable { Ok(()) } else { Err(unrepresentable("the column must have a value")) };
        };
        let fits = match (&self.values, value) {
            (Values::Json(_), _) | (Values::Text(_), Value::String(_)) | (Values::Boolean(_), Value::Bool(_)) => true,
            (Values::Whole(_), Value::Number(found)) => number::whole(found.as_str()).is_some(),
            (Values::Double(_), Value::Number(found)) => number::double(found.as_str()).is_some(),
            (Values::Time(_), Value::String(text)) => time::micros(text).is_some(),
            (Values::Day(_), Value::String(text)) => time::days(text).is_some(),
            (Values::List(list), Value::Array(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    list.column.check(Some(element)).map_err(|fault| below(&index.to_string(), fault))?;
                }
                true
            }
            (Values::Map { values, .. }, Value::Object(entries)) => {
                for (name, value) in entries {
                    values.column.check(Some(value)).map_err(|fault| below(name, fault))?;
                }
                true
            }
            (Values::Struct { names, extra, columns, .. }, Value::Object(fields)) => {
                check_fields(columns, names, *extra, fields)?;
                true
            }
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(unrepresentable(&format!("{} can't be stored unchanged in {}", found(value), self.holds())))
        }
    }

    /// Appends a value that [`ColumnBuilder::check`] accepted; any other would become null.
    pub fn append(&mut self, value: Option<&Value>) {
        match value.and_then(|value| self.values.put(value)) {
            Some(()) => self.appended(),
            None => self.append_null(),
        }
    }

    /// Notes that a value was put into [`ColumnBuilder::values`].
    #[inline]
    pub fn appended(&mut self) {
        self.valid.append_non_null();
    }

    /// Appends no value.
    #[inline]
    pub fn append_null(&mut self) {
        self.append_nothing();
        self.valid.append_null();
    }

    /// Appends a value under a null struct: null, or any value if the column has no nulls. It is never seen.
    fn append_hidden(&mut self) {
        self.append_nothing();
        self.valid.append(!self.nullable);
    }

    #[inline]
    fn append_nothing(&mut self) {
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) => texts.push(""),
            Values::Whole(values) | Values::Time(values) => values.push(0),
            Values::Double(values) => values.push(0.0),
            Values::Boolean(values) => values.append(false),
            Values::Day(values) => values.push(0),
            Values::List(list) => list.close_row(0),
            Values::Map { values, .. } => values.close_row(0),
            Values::Struct { columns, .. } => columns.iter_mut().for_each(Self::append_hidden),
        }
    }

    /// Drops all rows after the first `rows`, and whatever was begun after them.
    pub fn truncate(&mut self, rows: usize) {
        self.valid.truncate(rows);
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) => texts.truncate(rows),
            Values::Whole(values) | Values::Time(values) => values.truncate(rows),
            Values::Double(values) => values.truncate(rows),
            Values::Boolean(values) => values.truncate(rows),
            Values::Day(values) => values.truncate(rows),
            Values::List(list) => list.truncate(rows),
            Values::Map { keys, values, .. } => {
                values.truncate(rows);
                keys.truncate(values.values());
            }
            Values::Struct { columns, .. } => columns.iter_mut().for_each(|column| column.truncate(rows)),
        }
    }

    /// The values appended since the last call.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        let nulls = self.valid.finish();
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) => texts.finish(nulls),
            Values::Whole(values) => Arc::new(Int64Array::new(std::mem::take(values).into(), nulls)),
            Values::Double(values) => Arc::new(Float64Array::new(std::mem::take(values).into(), nulls)),
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Time(values) => {
                let times = TimestampMicrosecondArray::new(std::mem::take(values).into(), nulls);
                Arc::new(times.with_timezone("UTC"))
            }
            Values::Day(values) => Arc::new(Date32Array::new(std::mem::take(values).into(), nulls)),
            Values::List(list) => {
                let (offsets, values) = list.finish();
                Arc::new(ListArray::new(Arc::clone(&list.element), offsets, values, nulls))
            }
            Values::Map { field, keys, values } => {
                let (offsets, array) = values.finish();
                let DataType::Struct(entries) = field.data_type() else { unreachable!("entries are a struct") };
                let pairs = StructArray::new(entries.clone(), vec![keys.finish(None), array], None);
                Arc::new(MapArray::new(Arc::clone(field), offsets, pairs, nulls, false))
            }
            Values::Struct { fields, columns, .. } => {
                let arrays = columns.iter_mut().map(Self::finish).collect();
                Arc::new(StructArray::new(fields.clone(), arrays, nulls))
            }
        }
    }

    /// Reuses the memory of an array that [`ColumnBuilder::finish`] returned and that is not used any more. The column
    /// must be empty.
    pub(crate) fn reuse(&mut self, array: ArrayData) {
        if let Values::Text(texts) | Values::Json(texts) = &mut self.values {
            return texts.reuse(array);
        }
        let (_, _, _, _, buffers, children) = array.into_parts();
        let (first, mut children) = (buffers.into_iter().next(), children.into_iter());
        match &mut self.values {
            Values::Text(_) | Values::Json(_) | Values::Boolean(_) => {}
            Values::Whole(values) | Values::Time(values) => reuse(values, first),
            Values::Double(values) => reuse(values, first),
            Values::Day(values) => reuse(values, first),
            Values::List(list) => list.reuse(first, children.next()),
            Values::Map { keys, values, .. } => {
                let mut pairs = children.next().map(|pairs| pairs.into_parts().5).unwrap_or_default().into_iter();
                if let Some(array) = pairs.next() {
                    keys.reuse(array);
                }
                values.reuse(first, pairs.next());
            }
            Values::Struct { columns, .. } => {
                columns.iter_mut().zip(children).for_each(|(column, array)| column.reuse(array));
            }
        }
    }

    /// What the column stores, for messages.
    fn holds(&self) -> &'static str {
        match self.values {
            Values::Text(_) | Values::Json(_) => "a text column",
            Values::Whole(_) => "a 64-bit integer column",
            Values::Double(_) => "a 64-bit floating-point column",
            Values::Boolean(_) => "a boolean column",
            Values::Time(_) => "a timestamp column of microseconds",
            Values::Day(_) => "a date column",
            Values::List(_) => "a list column",
            Values::Map { .. } => "a map column",
            Values::Struct { .. } => "a struct column",
        }
    }
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

/// The fault, one step further down in its path.
fn below(name: &str, fault: Fault) -> Fault {
    let path = format!("{}{}", pointer_step(name), fault.path.as_deref().unwrap_or_default());
    fault.at(path)
}
