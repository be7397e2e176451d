//! Compares rows, read back from Parquet, with the records that they came from.

use arrow::datatypes::ArrowNativeType;
use chrono::{DateTime, NaiveDate};
use lake::{
    columns::{Column, ColumnType, EXTRA_COLUMN},
    stream::Format,
};
use serde_json::{Map, Value};

use crate::one_task::parse;

/// Checks that each row equals its record. Skips CSV: the meaning of a cell depends on its column.
pub(super) fn check(
    columns: &[Column],
    format: Format,
    bytes: &[u8],
    rows: &[Map<String, Value>],
) -> Result<(), String> {
    let records: Vec<Value> = match (format, std::str::from_utf8(bytes)) {
        (Format::JsonArray, Ok(text)) => match parse(text.trim_ascii(), 100) {
            Ok(Value::Array(records)) => records,
            _ => return Ok(()),
        },
        (Format::Ndjson, _) => {
            let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
            let value = |line| std::str::from_utf8(line).ok().and_then(|line| parse(line, 100).ok());
            lines.map(|line| value(line).unwrap_or_default()).collect()
        }
        _ => return Ok(()),
    };
    for row in rows {
        let index = row["_record_index"].as_u64().unwrap_or_default().as_usize();
        let record = records[index].as_object().ok_or("a row came from a record that is not an object")?;
        fields(columns, record, row).map_err(|what| format!("record {index}: {what}"))?;
    }
    Ok(())
}

fn fields(columns: &[Column], record: &Map<String, Value>, row: &Map<String, Value>) -> Result<(), String> {
    let mut rest = record.clone();
    for column in columns.iter().filter(|column| column.name != EXTRA_COLUMN) {
        let sent = rest.remove(&column.name).unwrap_or_default();
        let held = row.get(&column.name).unwrap_or(&Value::Null);
        value(&column.kind, &sent, held).map_err(|what| format!("{}: {what}", column.name))?;
    }
    let held = row.get(EXTRA_COLUMN).and_then(Value::as_str).map(|text| parse(text, 100).map_err(|f| f.message));
    let held = held.transpose()?.unwrap_or(Value::Object(Map::new()));
    if held == Value::Object(rest.clone()) {
        Ok(())
    } else {
        Err(format!("expected the unknown fields {rest:?}, got {held}"))
    }
}

fn value(kind: &ColumnType, sent: &Value, held: &Value) -> Result<(), String> {
    let same = match (kind, sent, held) {
        (ColumnType::Json, Value::Null, held) => held.is_null(),
        (ColumnType::Json, sent, Value::String(text)) => parse(text, 100).is_ok_and(|held| held == *sent),
        (_, Value::Null, held) => held.is_null(),
        (ColumnType::Int64, Value::Number(sent), Value::Number(held)) => {
            // The record may have 1.0 or 1e2; these numbers are small enough to compare as doubles.
            sent.as_str() == held.as_str() || sent.as_f64() == held.as_f64()
        }
        (ColumnType::Float64, Value::Number(sent), Value::Number(held)) => sent.as_f64() == held.as_f64(),
        (ColumnType::Timestamp, Value::String(sent), Value::String(held)) => {
            let moment = |text: &str| DateTime::parse_from_rfc3339(text).map(|moment| moment.timestamp_micros());
            moment(sent).is_ok() && moment(sent).ok() == moment(held).ok()
        }
        (ColumnType::Date, Value::String(sent), Value::String(held)) => {
            let day = |text: &str| text.parse::<NaiveDate>();
            day(sent).is_ok() && day(sent) == day(held)
        }
        (ColumnType::List(element), Value::Array(sent), Value::Array(held)) => {
            let each = sent.iter().zip(held).try_for_each(|(sent, held)| value(&element.kind, sent, held));
            return if sent.len() == held.len() { each } else { Err("wrong number of elements".to_owned()) };
        }
        (ColumnType::Map { value: of, .. }, Value::Object(sent), Value::Object(held)) => {
            let each =
                sent.iter().try_for_each(|(key, sent)| value(&of.kind, sent, held.get(key).unwrap_or(&Value::Null)));
            return if sent.len() >= held.len() { each } else { Err("too many keys".to_owned()) };
        }
        (ColumnType::Struct(columns), Value::Object(sent), Value::Object(held)) => return fields(columns, sent, held),
        _ => sent == held,
    };
    if same { Ok(()) } else { Err(format!("expected {sent}, got {held}")) }
}
