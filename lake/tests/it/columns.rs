//! Columns: how they follow from a JSON Schema, and the ids that they keep.

use lake::{
    columns::{Column, ColumnType, columns_of},
    ids::StreamName,
    ledger::SchemaRecord,
};
use serde_json::{Value, json};

fn column(name: &str, schema: Value) -> Column {
    let record = json!({"type": "object", "additionalProperties": false, "properties": {name: schema}});
    let columns = columns_of(&record).unwrap();
    assert_eq!(columns.len(), 1, "{columns:?}");
    columns[0].clone()
}

fn kind(schema: Value) -> ColumnType {
    column("field", schema).kind
}

fn names(columns: &[Column]) -> Vec<&str> {
    columns.iter().map(|column| column.name.as_str()).collect()
}

#[test]
fn flat_types_map_as_documented() {
    assert_eq!(kind(json!({"type": "string"})), ColumnType::String);
    assert_eq!(kind(json!({"type": "string", "format": "date-time"})), ColumnType::Timestamp);
    assert_eq!(kind(json!({"type": "string", "format": "date"})), ColumnType::Date);
    assert_eq!(kind(json!({"type": "string", "format": "uuid"})), ColumnType::String);
    assert_eq!(kind(json!({"type": "integer"})), ColumnType::Int64);
    assert_eq!(kind(json!({"type": "number"})), ColumnType::Float64);
    assert_eq!(kind(json!({"type": "boolean"})), ColumnType::Boolean);
    assert_eq!(kind(json!({"type": ["integer", "null"]})), ColumnType::Int64);
}

#[test]
fn what_has_no_single_type_is_kept_as_json() {
    let schemas = [
        json!({}),
        json!(true),
        json!({"type": ["integer", "string"]}),
        json!({"oneOf": [{"type": "integer"}, {"type": "string"}]}),
        json!({"type": "array"}),
        json!({"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}}),
        json!({"type": "object"}),
        json!({"type": "object", "additionalProperties": true}),
        json!({"type": "object", "patternProperties": {"^a": {"type": "integer"}}}),
        json!({"$ref": "https://example.com/elsewhere.json"}),
        json!({"$ref": "#/nowhere"}),
    ];
    for schema in schemas {
        assert_eq!(kind(schema.clone()), ColumnType::Json, "{schema}");
    }
}

/// No SQL can hold such a name.
#[test]
fn a_name_with_a_nul_is_kept_in_extra_at_every_depth() {
    let closed =
        json!({"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}, "b\0": {}}});
    assert_eq!(names(&columns_of(&closed).unwrap()), ["a", "_extra"]);
    let ColumnType::Struct(fields) = kind(closed) else { panic!("not a struct") };
    assert_eq!(names(&fields), ["a", "_extra"]);
}

#[test]
fn nested_types_map_as_documented() {
    let ColumnType::List(element) = kind(json!({"type": "array", "items": {"type": ["integer", "null"]}})) else {
        panic!("not a list");
    };
    assert_eq!((element.kind.clone(), element.nullable), (ColumnType::Int64, true));
    let ColumnType::Map { key, value } = kind(json!({"type": "object", "additionalProperties": {"type": "number"}}))
    else {
        panic!("not a map");
    };
    assert_eq!((key.kind.clone(), value.kind.clone()), (ColumnType::String, ColumnType::Float64));
    let object = json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "b": {}}});
    let ColumnType::Struct(fields) = kind(object) else { panic!("not a struct") };
    assert_eq!(names(&fields), ["a", "b", "_extra"]);
    assert_eq!(fields.iter().map(|field| field.nullable).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn a_reference_within_the_document_is_followed_and_a_recursive_one_ends() {
    let schema = json!({
        "type": "object",
        "properties": {"node": {"$ref": "#/$defs/node"}},
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    });
    let columns = columns_of(&schema).unwrap();
    assert!(matches!(columns[0].kind, ColumnType::Struct(_)));
}

fn count(columns: &[Column]) -> usize {
    let within = |column: &Column| match &column.kind {
        ColumnType::Struct(fields) => count(fields),
        ColumnType::List(element) => count(std::slice::from_ref(element)),
        ColumnType::Map { key, value } => count(&[key.as_ref().clone(), value.as_ref().clone()]),
        _ => 0,
    };
    columns.iter().map(|column| 1 + within(column)).sum()
}

#[test]
fn what_is_recursive_is_one_column_of_text_however_it_recurs() {
    let tree = json!({"type": "object", "additionalProperties": false,
        "properties": {"v": {"type": "integer"}, "left": {"$ref": "#"}, "right": {"$ref": "#"}, "more": {"$ref": "#"}}});
    let columns = columns_of(&tree).unwrap();
    assert_eq!(
        columns.iter().map(|column| &column.kind).collect::<Vec<_>>(),
        [&ColumnType::Int64, &ColumnType::Json, &ColumnType::Json, &ColumnType::Json]
    );
    // By way of others, by a pointer into a schema that is being looked at, by an anchor, and in lists and maps.
    let roundabout = json!({"type": "object", "additionalProperties": false, "properties": {
        "a": {"$ref": "#/$defs/a"},
        "p": {"type": "object", "additionalProperties": false, "properties": {"p": {"$ref": "#/properties/p"}, "n": {"type": "integer"}}},
        "l": {"type": "array", "items": {"$ref": "#l"}, "$anchor": "l"},
        "o": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "null"}]},
    }, "$defs": {
        "a": {"type": "object", "additionalProperties": {"$ref": "#/$defs/b"}},
        "b": {"type": "object", "additionalProperties": false, "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"allOf": [{"$ref": "#/$defs/b"}]}}},
    }});
    let columns = columns_of(&roundabout).unwrap();
    assert_eq!(names(&columns), ["a", "p", "l", "o"]);
    assert_eq!(count(&columns), 5 + 3 + 2 + 5, "{columns:?}");
}

#[test]
fn more_columns_than_files_and_readers_bear_are_refused_in_words() {
    let many = |depth: u32| {
        let properties: serde_json::Map<String, Value> =
            (0..10).map(|at| (format!("f{at}"), json!({"$ref": format!("#/$defs/d{}", depth - 1)}))).collect();
        json!({"type": "object", "additionalProperties": false, "properties": properties})
    };
    let mut schema = many(9);
    schema["$defs"] = json!({"d0": {"type": "integer"}});
    for depth in 1..9 {
        schema["$defs"][format!("d{depth}")] = many(depth);
    }
    let what = columns_of(&schema).unwrap_err();
    assert!(what.contains("more than 10000 columns") && what.contains("{}"), "{what}");
    schema["properties"] = json!({"few": {"$ref": "#/$defs/d3"}});
    assert_eq!(count(&columns_of(&schema).unwrap()), 1111);
}

#[test]
fn a_schema_with_null_beside_it_or_alone_in_a_list_is_that_schema() {
    let time = json!({"type": "string", "format": "date-time"});
    let nothing = json!({"type": "null"});
    for schema in [
        json!({"anyOf": [time, nothing], "default": null, "title": "Paid at"}),
        json!({"oneOf": [nothing, time]}),
        json!({"anyOf": [time, {"enum": [null]}]}),
        json!({"anyOf": [{"allOf": [time]}, nothing]}),
        json!({"anyOf": [time, {"type": "null", "description": "not yet"}], "maxLength": 40}),
    ] {
        let column = column("a", schema.clone());
        assert_eq!((column.kind, column.nullable), (ColumnType::Timestamp, true), "{schema}");
    }
    for schema in [json!({"allOf": [time]}), json!({"oneOf": [time]}), json!({"anyOf": [time], "description": "one"})] {
        let record = json!({"type": "object", "required": ["a"], "properties": {"a": schema}});
        let column = columns_of(&record).unwrap().remove(0);
        assert_eq!((column.kind, column.nullable), (ColumnType::Timestamp, false), "{record}");
    }
    let element = json!({"type": "array", "items": {"anyOf": [{"type": "integer"}, nothing]}});
    let ColumnType::List(element) = kind(element) else { panic!("not a list") };
    assert_eq!((element.kind, element.nullable), (ColumnType::Int64, true));
    let inherited = json!({"type": "object", "allOf": [{"type": "object", "properties": {"b": {"type": "integer"}}}]});
    assert!(matches!(kind(inherited), ColumnType::Struct(_)));
    for several in [
        json!({"anyOf": [time, {"type": "integer"}, nothing]}),
        json!({"allOf": [time, {"maxLength": 3}]}),
        json!({"anyOf": [nothing, nothing]}),
        json!({"allOf": [{"type": "object", "properties": {"b": {}}}], "properties": {"c": {}}}),
    ] {
        assert_eq!(kind(several.clone()), ColumnType::Json, "{several}");
    }
}

#[test]
fn a_list_of_values_gives_a_column_of_their_type() {
    for (values, expected) in [
        (json!(["a", "b"]), ColumnType::String),
        (json!([1, 2, null]), ColumnType::Int64),
        (json!([1, 2.5]), ColumnType::Float64),
        (json!([true, false]), ColumnType::Boolean),
        (json!(["a", 1]), ColumnType::Json),
        (json!([[1], [2]]), ColumnType::Json),
        // No double is exactly one of these.
        (json!([18446744073709551615_u64]), ColumnType::Json),
        (json!([9007199254740993_i64, 0.5]), ColumnType::Json),
        (json!([null]), ColumnType::Json),
    ] {
        assert_eq!(kind(json!({"enum": values})), expected, "{values}");
    }
    assert_eq!(kind(json!({"const": "x"})), ColumnType::String);
    assert!(!column_required(json!({"const": "x"})).nullable);
    assert!(column_required(json!({"enum": ["x", null]})).nullable);
    let draft_4 = json!({"$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "properties": {"a": {"const": 1}}});
    assert_eq!(columns_of(&draft_4).unwrap()[0].kind, ColumnType::Json, "draft 4 does not know const");
}

fn column_required(schema: Value) -> Column {
    columns_of(&json!({"type": "object", "required": ["a"], "properties": {"a": schema}})).unwrap().remove(0)
}

#[test]
fn required_without_null_makes_a_column_non_null() {
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["a", "b", "c"], "properties": {
        "a": {"type": "string"}, "b": {"type": ["string", "null"]}, "c": {}, "d": {"type": "string"},
    }});
    let nullable: Vec<_> = columns_of(&schema).unwrap().iter().map(|column| column.nullable).collect();
    assert_eq!(nullable, [false, true, true, true]);
}

#[test]
fn names_that_sql_would_confuse_are_kept_in_extra() {
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {
        "name": {"type": "string"}, "NAME": {"type": "string"}, "_batch_id": {"type": "string"}, "": {"type": "string"},
    }});
    assert_eq!(names(&columns_of(&schema).unwrap()), ["name", "_extra"]);
}

#[test]
fn a_schema_that_describes_no_objects_is_refused() {
    for schema in [json!({"type": "string"}), json!(true), json!({"type": ["array", "null"]})] {
        assert!(columns_of(&schema).is_err(), "{schema}");
    }
}

fn record(schema: Value, previous: Option<&SchemaRecord>) -> SchemaRecord {
    let stream: StreamName = "events".parse().unwrap();
    SchemaRecord::derive(&stream, &schema, previous).unwrap()
}

fn object(properties: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn id_of(record: &SchemaRecord, name: &str) -> i32 {
    record.columns.iter().find(|column| column.name == name).unwrap().id
}

#[test]
fn a_column_keeps_its_id_across_versions() {
    let first = record(object(json!({"a": {"type": "string"}, "b": {"type": "integer"}})), None);
    let second = record(
        object(json!({"c": {"type": "string"}, "b": {"type": "integer"}, "a": {"type": "string"}})),
        Some(&first),
    );
    assert_eq!(id_of(&second, "a"), id_of(&first, "a"));
    assert_eq!(id_of(&second, "b"), id_of(&first, "b"));
    assert!(id_of(&second, "c") >= first.next_column_id);
    assert_ne!(first.id(), second.id());
}

#[test]
fn a_column_of_a_new_type_is_a_new_column_and_the_earlier_one_is_remembered() {
    let first = record(object(json!({"a": {"type": "string"}})), None);
    let second = record(object(json!({"a": {"type": "integer"}})), Some(&first));
    assert_ne!(id_of(&second, "a"), id_of(&first, "a"));
    assert_eq!(second.former_columns, first.columns);
    let third = record(object(json!({"a": {"type": "string"}})), Some(&second));
    assert_eq!(id_of(&third, "a"), id_of(&first, "a"), "a column that comes back gets its id back");
}

#[test]
fn an_unchanged_schema_keeps_its_record_and_its_id() {
    let schema =
        object(json!({"a": {"type": "object", "properties": {"b": {"type": "array", "items": {"type": "string"}}}}}));
    let first = record(schema.clone(), None);
    assert_eq!(record(schema, Some(&first)), first);
}

/// DuckDB passes over rows of the old files if it reads them as doubles, and 2^53 + 1 would change.
#[test]
fn an_integer_that_becomes_a_number_is_a_new_column_at_every_depth() {
    let of = |kind: &str| {
        let number = json!({"type": kind});
        record(
            object(json!({
                "a": number,
                "o": {"type": "object", "properties": {"a": number}},
                "l": {"type": "array", "items": number},
                "m": {"type": "object", "additionalProperties": number},
            })),
            None,
        )
    };
    let (integers, numbers) = (of("integer"), of("number"));
    let changed = record(numbers.json_schema, Some(&integers));
    for name in ["a", "o", "l", "m"] {
        assert_ne!(id_of(&changed, name), id_of(&integers, name), "{name}");
    }
    assert_eq!(changed.former_columns, integers.columns);
    let back = record(integers.json_schema.clone(), Some(&changed));
    assert_eq!(back.columns, integers.columns);
}

fn ids_within(column: &Column, ids: &mut Vec<i32>) {
    ids.push(column.id);
    match &column.kind {
        ColumnType::Struct(fields) => fields.iter().for_each(|field| ids_within(field, ids)),
        ColumnType::List(element) => ids_within(element, ids),
        ColumnType::Map { key, value } => [key, value].into_iter().for_each(|column| ids_within(column, ids)),
        _ => {}
    }
}

#[test]
fn no_two_columns_of_any_version_share_an_id() {
    let versions = [
        json!({"a": {"type": "string"}, "s": {"type": "object", "properties": {"x": {"type": "integer"}}}}),
        json!({"a": {"type": "integer"}, "s": {"type": "object", "properties": {"x": {"type": "integer"}, "y": {}}}}),
        json!({"s": {"type": "object", "properties": {"y": {}}}, "m": {"type": "object", "additionalProperties": {"type": "string"}}}),
    ];
    let mut previous: Option<SchemaRecord> = None;
    for properties in versions {
        let next = record(object(properties), previous.as_ref());
        let mut ids = Vec::new();
        next.columns.iter().chain(&next.former_columns).for_each(|column| ids_within(column, &mut ids));
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        assert!(ids.iter().all(|id| (100..next.next_column_id).contains(id)), "{ids:?}");
        previous = Some(next);
    }
}
