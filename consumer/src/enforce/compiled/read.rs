//! Reads one record's text straight into columns, by the rules of its schema.
//!
//! Invariant: `Ok` means that the judge accepts the record and that the columns contain its values unchanged. After a
//! [`Doubt`], the caller must undo what was put into the columns.

use std::borrow::Cow;

use serde_json::{Map, Value};

use tables::column::{ColumnBuilder, Values, number, time};

use super::rules::{Kind, ObjectRule, Places, Rule, TextRule};
use crate::decode::{
    csv::Cell,
    json::{Cursor, Doubt, Limits, parse},
};

/// The most keys of a map, or fields beyond the schema's, that are compared with one another.
const KEYS_MAX: usize = 32;

/// Reads an object at the cursor. `depth_left` counts the allowed levels of nesting, including its own.
pub(super) fn object(
    rule: &ObjectRule,
    columns: &mut [ColumnBuilder],
    cursor: &mut Cursor<'_>,
    depth_left: u64,
) -> Result<(), Doubt> {
    let depth_left = depth_left.checked_sub(1).ok_or(Doubt)?;
    cursor.expect(b'{')?;
    cursor.skip_space();
    let mut seen = Places::among(rule.fields.len());
    let mut expected = 0;
    let mut extra = Map::new();
    let mut more = !cursor.take(b'}');
    while more {
        match field_at(rule, cursor, expected)? {
            Field::Known(place) => {
                if !seen.add(place) {
                    return Err(Doubt);
                }
                expected = place + 1;
                let field = &rule.fields[place];
                value(&field.rule, &mut columns[field.column], cursor, depth_left)?;
            }
            Field::Extra(name) => {
                let kept = any_value(cursor, depth_left)?;
                if rule.extra.is_none() || extra.len() >= KEYS_MAX || extra.insert(name.into_owned(), kept).is_some() {
                    return Err(Doubt);
                }
            }
        }
        more = another(cursor, b'}')?;
    }
    close(rule, columns, &seen, extra)
}

/// Ends an object: missing fields become null if they may be, and extra fields are kept.
fn close(
    rule: &ObjectRule,
    columns: &mut [ColumnBuilder],
    seen: &Places,
    extra: Map<String, Value>,
) -> Result<(), Doubt> {
    if !seen.cover(&rule.required) {
        return Err(Doubt);
    }
    seen.for_missing(rule.fields.len(), |place| columns[rule.fields[place].column].append_null());
    if let Some(at) = rule.extra {
        let rest = (!extra.is_empty()).then_some(Value::Object(extra));
        columns[at].append(rest.as_ref());
    }
    Ok(())
}

enum Field<'a> {
    Known(usize),
    Extra(Cow<'a, str>),
}

/// Reads a key and what follows it, up to its value. Records of one sender mostly have their fields in one order, so
/// the expected field is tried first.
fn field_at<'a>(rule: &ObjectRule, cursor: &mut Cursor<'a>, expected: usize) -> Result<Field<'a>, Doubt> {
    if let Some(field) = rule.fields.get(expected)
        && cursor.take_all(&field.quoted)
    {
        cursor.after_key()?;
        return Ok(Field::Known(expected));
    }
    let name = cursor.string()?;
    cursor.after_key()?;
    match rule.place(&name) {
        Some(place) => Ok(Field::Known(place)),
        None => Ok(Field::Extra(name)),
    }
}

/// After a value: whether another one follows before `end`.
fn another(cursor: &mut Cursor<'_>, end: u8) -> Result<bool, Doubt> {
    cursor.skip_space();
    if cursor.take(b',') {
        cursor.skip_space();
        return Ok(true);
    }
    cursor.expect(end)?;
    Ok(false)
}

/// The fields of a CSV object's cells.
pub(crate) struct CellPlaces(Vec<CellPlace>);

enum CellPlace {
    Field(usize),
    Extra(String),
}

impl CellPlaces {
    /// Finds the field of each name.
    pub(super) fn of(rule: &ObjectRule, names: &[String]) -> Self {
        let place = |name: &String| match rule.place(name) {
            Some(place) => CellPlace::Field(place),
            None => CellPlace::Extra(name.clone()),
        };
        Self(names.iter().map(place).collect())
    }
}

/// Reads a row of cells, as many as there are places. An unquoted cell that says `null` has no value.
pub(super) fn row(
    rule: &ObjectRule,
    places: &CellPlaces,
    columns: &mut [ColumnBuilder],
    cells: &[Cell<'_>],
    null: &str,
    limits: Limits,
) -> Result<(), Doubt> {
    let mut seen = Places::among(rule.fields.len());
    let mut extra = Map::new();
    for (place, read) in places.0.iter().zip(cells) {
        let is_null = read.text == null;
        match place {
            // The slower way decides whether the field is absent or null, and whether its quotes make it a text.
            CellPlace::Field(place) if is_null => {
                let matters = rule.required.has(*place) || matches!(rule.fields[*place].rule.kind, Kind::Judged(_));
                if matters || read.is_quoted {
                    return Err(Doubt);
                }
            }
            CellPlace::Extra(_) if is_null && !read.is_quoted => {}
            CellPlace::Field(place) => {
                seen.add(*place);
                let field = &rule.fields[*place];
                cell(&field.rule, &mut columns[field.column], &read.text, limits)?;
            }
            CellPlace::Extra(name) if rule.extra.is_some() && extra.len() < KEYS_MAX => {
                extra.insert(name.clone(), Value::String(read.text.clone().into_owned()));
            }
            CellPlace::Extra(_) => return Err(Doubt),
        }
    }
    close(rule, columns, &seen, extra)
}

/// Reads a cell that is not null, as `decode::csv` interprets it.
fn cell(rule: &Rule, column: &mut ColumnBuilder, text: &str, limits: Limits) -> Result<(), Doubt> {
    match (&rule.kind, &mut column.values) {
        (Kind::Text(rule), Values::Text(texts)) => texts.push(fitting(rule, text)?),
        (Kind::Uuid, Values::Text(texts)) => texts.push(uuid(text.as_bytes().try_into().map_err(|_| Doubt)?)?),
        (Kind::OneOf(options), Values::Text(texts)) => {
            let is_one = options.iter().any(|option| &option[1..option.len() - 1] == text);
            texts.push(if is_one { text } else { return Err(Doubt) });
        }
        (Kind::Time, Values::Time(values)) => values.push(time::plain_micros(text).ok_or(Doubt)?),
        (Kind::Day, Values::Day(values)) => values.push(time::plain_days(text).ok_or(Doubt)?),
        // Numbers and nested values are written as in JSON. All others reach the judge in the slower way.
        (Kind::Judged(_), Values::Json(_)) => return json_cell(rule, column, text, limits),
        (Kind::Judged(_), _) => return Err(Doubt),
        _ => return json_cell(rule, column, text, limits),
    }
    column.appended();
    Ok(())
}

fn json_cell(rule: &Rule, column: &mut ColumnBuilder, text: &str, limits: Limits) -> Result<(), Doubt> {
    let mut cursor = Cursor::new(text);
    if cursor.peek() == Some(b'n') {
        return Err(Doubt);
    }
    value(rule, column, &mut cursor, limits.depth)?;
    if cursor.is_at_end() && cursor.fields <= limits.fields { Ok(()) } else { Err(Doubt) }
}

/// Reads any value as it is.
fn any_value(cursor: &mut Cursor<'_>, depth_left: u64) -> Result<Value, Doubt> {
    let start = cursor.at;
    cursor.skip_value()?;
    // The cursor has counted the fields.
    let limits = Limits { depth: depth_left, fields: u64::MAX };
    parse(cursor.since(start), limits).map_err(|_| Doubt)
}

fn value(rule: &Rule, column: &mut ColumnBuilder, cursor: &mut Cursor<'_>, depth_left: u64) -> Result<(), Doubt> {
    if let Kind::Judged(judge) = &rule.kind {
        let value = any_value(cursor, depth_left)?;
        let accepted = judge.as_ref().is_none_or(|judge| judge.accepts(&value));
        if !accepted || column.check(Some(&value)).is_err() {
            return Err(Doubt);
        }
        column.append(Some(&value));
        return Ok(());
    }
    if cursor.peek() == Some(b'n') {
        if !rule.nullable || !cursor.take_all(b"null") {
            return Err(Doubt);
        }
        column.append_null();
        return Ok(());
    }
    match (&rule.kind, &mut column.values) {
        (Kind::Uuid, Values::Text(texts)) => texts.push(uuid(cursor.take_quoted().ok_or(Doubt)?)?),
        (Kind::OneOf(options), Values::Text(texts)) => {
            let option = options.iter().find(|option| cursor.take_all(option.as_bytes())).ok_or(Doubt)?;
            texts.push(&option[1..option.len() - 1]);
        }
        (Kind::Text(rule), Values::Text(texts)) => texts.push(fitting(rule, &cursor.string()?)?),
        (Kind::Whole { least, most }, Values::Whole(values)) => {
            let number: i64 = cursor.number()?.parse().map_err(|_| Doubt)?;
            if number < *least || number > *most {
                return Err(Doubt);
            }
            values.push(number);
        }
        (Kind::Double { above, below }, Values::Double(values)) => {
            let number = number::double(cursor.number()?).ok_or(Doubt)?;
            if number <= *above || number >= *below {
                return Err(Doubt);
            }
            values.push(number);
        }
        (Kind::Boolean, Values::Boolean(values)) => values.append(boolean(cursor)?),
        (Kind::Time, Values::Time(values)) => values.push(time::plain_micros(&cursor.string()?).ok_or(Doubt)?),
        (Kind::Day, Values::Day(values)) => values.push(time::plain_days(&cursor.string()?).ok_or(Doubt)?),
        (Kind::List { element, least, most }, Values::List(list)) => {
            let length = list_of(element, &mut list.column, cursor, depth_left)?;
            if length < *least || length > *most {
                return Err(Doubt);
            }
            list.close_row(length);
        }
        (Kind::Map { value: of_value }, Values::Map { keys, values, .. }) => {
            let first = keys.len();
            let depth_left = depth_left.checked_sub(1).ok_or(Doubt)?;
            cursor.expect(b'{')?;
            cursor.skip_space();
            let mut more = !cursor.take(b'}');
            while more {
                let name = cursor.string()?;
                cursor.after_key()?;
                if keys.len() - first >= KEYS_MAX || keys.has_since(first, &name) {
                    return Err(Doubt);
                }
                keys.push(&name);
                value(of_value, &mut values.column, cursor, depth_left)?;
                more = another(cursor, b'}')?;
            }
            values.close_row(keys.len() - first);
        }
        (Kind::Struct(rule), Values::Struct { columns, .. }) => object(rule, columns, cursor, depth_left)?,
        _ => return Err(Doubt),
    }
    column.appended();
    Ok(())
}

/// The text, if its rule certainly accepts it.
fn fitting<'t>(rule: &TextRule, text: &'t str) -> Result<&'t str, Doubt> {
    let is_long_enough = rule.least.is_none_or(|least| text.chars().count() >= least);
    let is_short_enough = rule.most.is_none_or(|most| text.len() <= most || text.chars().count() <= most);
    let accepted = || rule.judge.as_ref().is_none_or(|judge| judge.accepts(&Value::String(text.to_owned())));
    if is_long_enough && is_short_enough && accepted() { Ok(text) } else { Err(Doubt) }
}

/// The text, if it is a UUID as most programs write it: 32 hex digits and four hyphens (RFC 9562).
fn uuid(text: &[u8; 36]) -> Result<&str, Doubt> {
    let is_hex = |byte: &u8| byte.wrapping_sub(b'0') < 10 || (byte | 0x20).wrapping_sub(b'a') < 6;
    // Every byte is checked, whatever the others are: that is faster than stopping at the first wrong one.
    let digits: u8 = text.iter().map(|byte| u8::from(is_hex(byte))).sum();
    let has_hyphens = [8, 13, 18, 23].iter().all(|at| text[*at] == b'-');
    if digits == 32 && has_hyphens { std::str::from_utf8(text).map_err(|_| Doubt) } else { Err(Doubt) }
}

fn boolean(cursor: &mut Cursor<'_>) -> Result<bool, Doubt> {
    match (cursor.take_all(b"true"), cursor.take_all(b"false")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Doubt),
    }
}

fn list_of(
    element: &Rule,
    column: &mut ColumnBuilder,
    cursor: &mut Cursor<'_>,
    depth_left: u64,
) -> Result<usize, Doubt> {
    let depth_left = depth_left.checked_sub(1).ok_or(Doubt)?;
    cursor.expect(b'[')?;
    cursor.skip_space();
    let mut length = 0;
    let mut more = !cursor.take(b']');
    while more {
        value(element, column, cursor, depth_left)?;
        length += 1;
        more = another(cursor, b']')?;
    }
    Ok(length)
}
