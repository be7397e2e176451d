//! Rows: every value that fits its column comes out as it went in; every other is a fault.

use lake::{
    clock::Timestamp,
    columns::columns_of,
    dead_letter::{ErrorCode, Fault},
    ids::{BatchId, SchemaId},
};
use serde_json::{Value, json};
use tables::{BatchOrigin, RowBuilder};

fn origin() -> BatchOrigin {
    BatchOrigin {
        batch: BatchId::FIRST,
        ingested_at: Timestamp::from_micros(0).unwrap(),
        schema_id: SchemaId::of(b"schema"),
    }
}

fn builder(field: Value) -> RowBuilder {
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {"field": field}});
    let mut builder = RowBuilder::new(&columns_of(&schema).unwrap(), origin());
    builder.begin_object("raw/events/a", "e");
    builder
}

fn append(builder: &mut RowBuilder, text: &str) -> Result<(), Fault> {
    let record = crate::one_task::parse(&format!("{{\"field\": {text}}}"), 100).unwrap();
    builder.append(&record, 0, text.len())
}

/// The row that this one value becomes, as JSON.
fn through(field: Value, text: &str) -> Result<Value, Fault> {
    let mut builder = builder(field);
    append(&mut builder, text)?;
    let mut json = arrow::json::ArrayWriter::new(Vec::new());
    json.write(&builder.take()).unwrap();
    json.finish().unwrap();
    let rows: Vec<serde_json::Map<String, Value>> = serde_json::from_slice(&json.into_inner()).unwrap();
    Ok(rows[0].get("field").cloned().unwrap_or(Value::Null))
}

#[test]
fn whole_numbers_are_exact_or_refused() {
    let integer = || json!({"type": "integer"});
    for (text, value) in [
        ("7", "7"),
        ("7.0", "7"),
        ("7e2", "700"),
        ("70e-1", "7"),
        ("-0", "0"),
        ("0.000e999999", "0"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775807.000", "9223372036854775807"),
        ("922337203685477580.7e1", "9223372036854775807"),
    ] {
        assert_eq!(through(integer(), text).unwrap().to_string(), value, "{text}");
    }
    for text in ["9223372036854775808", "1e19", "1e999999999999", "12345678901234567890123", "9223372036854775807.5"] {
        let fault = through(integer(), text).expect_err(text);
        assert_eq!((fault.code, fault.path.as_deref()), (ErrorCode::Unrepresentable, Some("/field")));
    }
}

#[test]
fn numbers_become_the_nearest_double_and_whole_ones_stay_exact_or_are_refused() {
    let number = || json!({"type": "number"});
    assert_eq!(through(number(), "0.1").unwrap(), json!(0.1));
    assert_eq!(through(number(), "9007199254740992").unwrap().as_f64(), Some(9007199254740992.0));
    // A fraction may be rounded. A whole part may not, and a number other than zero may not become zero.
    for (text, nearest) in
        [("9007199254740992.5", 9007199254740992.0), ("6.02214076e23", 6.02214076e23), ("-0.0", -0.0)]
    {
        assert_eq!(through(number(), text).unwrap().as_f64(), Some(nearest), "{text}");
    }
    let beyond = ["9007199254740993", "9007199254740993.0", "-9007199254740993.0", "100000000000000000000000.1"];
    for text in beyond.into_iter().chain(["1e400", "1e-400", "-0.1e-400"]) {
        assert!(through(number(), text).is_err(), "{text}");
    }
}

#[test]
fn times_are_exact_to_the_microsecond_or_refused() {
    let time = || json!({"type": "string", "format": "date-time"});
    assert_eq!(through(time(), "\"2026-11-20T10:00:00.123456+02:00\"").unwrap(), json!("2026-11-20T08:00:00.123456Z"));
    assert_eq!(through(time(), "\"2026-11-20T08:00:00.123456000Z\"").unwrap(), json!("2026-11-20T08:00:00.123456Z"));
    for text in ["2026-11-20T08:00:00.1234567Z", "2026-11-20T08:00:00.0000000000001Z", "2016-12-31T23:59:60Z"] {
        assert!(through(time(), &format!("\"{text}\"")).is_err(), "{text}");
    }
    assert_eq!(through(json!({"type": "string", "format": "date"}), "\"2026-11-20\"").unwrap(), json!("2026-11-20"));
}

#[test]
fn nested_values_come_out_as_they_went_in() {
    let list = json!({"type": "array", "items": {"type": ["integer", "null"]}});
    assert_eq!(through(list, "[1, null, 3]").unwrap(), json!([1, null, 3]));
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    assert_eq!(through(map.clone(), "{\"b\": \"1\", \"a\": \"2\"}").unwrap(), json!({"b": "1", "a": "2"}));
    assert_eq!(through(map, "{}").unwrap(), json!({}));
    let of_structs = json!({"type": "array", "items": {"type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "string"}}}}});
    assert_eq!(
        through(of_structs, "[{\"a\": 1, \"b\": [\"x\"]}, {\"a\": 2}]").unwrap(),
        json!([{"a": 1, "b": ["x"]}, {"a": 2}])
    );
}

#[test]
fn unknown_fields_are_kept_verbatim() {
    let open = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let held = through(open, "{\"a\": 1, \"b\": 1.50, \"c\": {\"d\": 123456789012345678901234567890}}").unwrap();
    assert_eq!(held, json!({"a": 1, "_extra": "{\"b\":1.50,\"c\":{\"d\":123456789012345678901234567890}}"}));
}

#[test]
fn a_refused_value_leaves_no_trace() {
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {
        "first": {"type": "array", "items": {"type": "integer"}}, "second": {"type": "integer"}}});
    let mut builder = RowBuilder::new(&columns_of(&schema).unwrap(), origin());
    builder.begin_object("k", "e");
    let mut append = |text: &str| {
        let record: Value = crate::one_task::parse(text, 100).unwrap();
        builder.append(&record, 0, text.len())
    };
    append("{\"first\": [1], \"second\": 1}").unwrap();
    append("{\"first\": [1, 2, 3], \"second\": 1e30}").unwrap_err();
    append("{\"first\": [2], \"second\": 2}").unwrap();
    assert_eq!(builder.take().num_rows(), 2);
}

#[test]
fn a_null_struct_hides_non_null_fields() {
    let field = json!({"type": ["object", "null"], "required": ["a", "b"], "properties": {
        "a": {"type": "integer"}, "b": {"type": "object", "required": ["c"], "properties": {"c": {"type": "string", "format": "date"}}}}});
    let mut builder = builder(field);
    append(&mut builder, "null").unwrap();
    append(&mut builder, "{\"a\": 1, \"b\": {\"c\": \"2026-11-20\"}}").unwrap();
    let batch = builder.take();
    assert_eq!((batch.num_rows(), batch.column(0).null_count()), (2, 1));
}
