//! Schemas of several resources, recursive ones, and those that generators write: rules, judge and columns agree on them.

use consumer::enforce::Judge;
use lake::stream::{Format, ReadSettings};
use serde_json::{Value, json};

use crate::one_task::{Given, context, read};

/// What a schema makes of lines: the same with compiled rules and without.
fn lines(schema: &Value, lines: &[&str]) -> Given {
    of_format(schema, Format::Ndjson, &lines.join("\n"))
}

fn of_format(schema: &Value, format: Format, text: &str) -> Given {
    let [by_rules, by_judge] =
        [true, false].map(|compiled| read(&context(schema, ReadSettings::of(format), compiled), text.as_bytes()));
    assert_eq!(format!("{by_rules:?}"), format!("{by_judge:?}"), "{schema}");
    by_rules
}

/// The places of the lines that became rows.
fn rows(given: &Given) -> Vec<u64> {
    given.rows.iter().map(|row| row["_record_index"].as_u64().unwrap()).collect()
}

fn has_rules(schema: &Value) -> bool {
    context(schema, ReadSettings::of(Format::Ndjson), true).has_rules()
}

const DRAFT_4: &str = "http://json-schema.org/draft-04/schema#";
const DRAFT_7: &str = "http://json-schema.org/draft-07/schema#";
const DRAFT_2020: &str = "https://json-schema.org/draft/2020-12/schema";

#[test]
fn a_reference_below_an_id_counts_from_there() {
    let inner = json!({"$id": "http://x.test/inner", "type": "object", "$defs": {"a": {"type": "string", "maxLength": 2}},
        "properties": {"p": {"$ref": "#/$defs/a"}}});
    let schema = json!({"type": "object", "$defs": {"a": {"type": "string"}}, "properties": {"v": inner}});
    let given = lines(&schema, &[r#"{"v":{"p":"xx"}}"#, r#"{"v":{"p":"too long"}}"#]);
    assert_eq!((rows(&given), given.codes()), (vec![0], vec!["bad_length"]));
    assert!(has_rules(&schema));
}

#[test]
fn a_resource_is_read_by_its_own_draft() {
    let pair = |draft: &str, items: &str| {
        let mut pair = json!({"$id": "http://x.test/inner", "$schema": draft, "type": "object", "properties": {"p": {"type": "array"}}});
        pair["properties"]["p"][items] = json!([{"type": "string"}]);
        pair
    };
    let of = |draft: &str, pair: Value| json!({"$schema": draft, "type": "object", "properties": {"v": pair}});
    for schema in [of(DRAFT_7, pair(DRAFT_2020, "prefixItems")), of(DRAFT_2020, pair(DRAFT_7, "items"))] {
        let given = lines(&schema, &[r#"{"v":{"p":["x"]}}"#, r#"{"v":{"p":[1]}}"#]);
        assert_eq!((rows(&given), given.codes()), (vec![0], vec!["wrong_type"]), "{schema}");
    }
    // By a pointer from outside, too.
    for (outer, inner, items) in [(DRAFT_7, DRAFT_2020, "prefixItems"), (DRAFT_2020, DRAFT_7, "items")] {
        let definitions = if outer == DRAFT_7 { "definitions" } else { "$defs" };
        for step in ["", "/properties/p"] {
            let mut schema = json!({"$schema": outer, "type": "object",
                "properties": {"v": {"$ref": format!("#/{definitions}/pair{step}")}}});
            schema[definitions] = json!({"pair": pair(inner, items)});
            let [good, bad] = if step.is_empty() {
                [r#"{"v":{"p":["x"]}}"#, r#"{"v":{"p":[1]}}"#]
            } else {
                [r#"{"v":["x"]}"#, r#"{"v":[1]}"#]
            };
            let given = lines(&schema, &[good, bad]);
            assert_eq!((rows(&given), given.codes()), (vec![0], vec!["wrong_type"]), "{schema}");
        }
    }
}

#[test]
fn up_to_draft_7_what_stands_beside_a_reference_is_ignored_by_the_column_too() {
    let schema = json!({"$schema": DRAFT_7, "type": "object", "definitions": {"a": {"type": "string"}},
        "properties": {"v": {"type": "integer", "$ref": "#/definitions/a", "maxLength": 1}}});
    let given = lines(&schema, &[r#"{"v":"xyz"}"#, r#"{"v":1}"#]);
    assert_eq!((rows(&given), given.codes()), (vec![0], vec!["wrong_type"]));
    assert_eq!(given.rows[0]["v"], "xyz");
    assert!(has_rules(&schema));
}

#[test]
fn a_pointer_in_a_fragment_is_percent_decoded() {
    let schema = json!({"type": "object", "additionalProperties": false,
        "properties": {"v": {"$ref": "#/%24defs/a%20b~1c~0d%25%C3%A9"}}, "$defs": {"a b/c~d%é": {"type": "integer", "maximum": 5}}});
    let given = lines(&schema, &[r#"{"v":5}"#, r#"{"v":6}"#]);
    assert_eq!((rows(&given), given.codes()), (vec![0], vec!["out_of_range"]));
    assert_eq!(given.rows[0]["v"], 5);
}

#[test]
fn an_absolute_reference_to_a_resource_of_the_document_is_not_remote() {
    let address = json!({"$id": "https://x.test/address", "type": "object", "properties": {"zip": {"type": "string"}}});
    for target in ["https://x.test/address", "address", "/address#", "https://x.test/address#/properties/../x"] {
        let schema = json!({"$schema": DRAFT_2020, "$id": "https://x.test/order", "type": "object",
            "properties": {"to": {"$ref": target}}, "$defs": {"address": address}});
        if target.contains("..") {
            assert!(Judge::compile(&schema).is_err());
            continue;
        }
        let given = lines(&schema, &[r#"{"to":{"zip":"1"}}"#, r#"{"to":{"zip":1}}"#]);
        assert_eq!((rows(&given), given.codes()), (vec![0], vec!["wrong_type"]), "{target}");
    }
    let own = json!({"$id": "https://x.test/order", "type": "object", "properties": {"n": {"type": "integer"}, "again": {"$ref": "https://x.test/order"}}});
    let given = lines(&own, &[r#"{"again":{"again":{"n":1}}}"#, r#"{"again":{"again":{"n":"x"}}}"#]);
    assert_eq!((rows(&given), given.codes()), (vec![0], vec!["wrong_type"]));
    assert_eq!(given.dead_letters[0]["_error_path"], "/again/again/n");
}

#[test]
fn every_published_meta_schema_is_known_whatever_the_draft() {
    for draft in [DRAFT_4, DRAFT_7, DRAFT_2020] {
        for meta in [
            DRAFT_4,
            "http://json-schema.org/draft-06/schema#",
            DRAFT_7,
            "https://json-schema.org/draft/2019-09/schema",
            DRAFT_2020,
        ] {
            let schema = json!({"$schema": draft, "type": "object", "properties": {"v": {"$ref": meta}}});
            let given = lines(&schema, &[r#"{"v":{"type":"string"}}"#, r#"{"v":{"type":"strin"}}"#]);
            assert_eq!(rows(&given), [0], "{draft} {meta}");
        }
    }
}

#[test]
fn a_recursive_schema_is_validated_at_every_depth_and_stored_as_text() {
    let tree = json!({"type": "object", "additionalProperties": false,
        "properties": {"v": {"type": "integer"}, "left": {"$ref": "#"}, "right": {"$ref": "#"}, "more": {"$ref": "#"}}});
    let given =
        lines(&tree, &[r#"{"v":1,"left":{"v":2,"right":{}}}"#, r#"{"left":{"right":{"v":"x"}}}"#, r#"{"left":null}"#]);
    assert_eq!((rows(&given), given.codes()), (vec![0], vec!["wrong_type", "wrong_type"]));
    assert_eq!(given.rows[0]["left"], r#"{"v":2,"right":{}}"#);
    assert_eq!(given.dead_letters[0]["_error_path"], "/left/right/v");
    assert!(has_rules(&tree));
}

/// What pydantic and OpenAPI generators write.
fn generated() -> Value {
    let optional = |schema: Value| json!({"anyOf": [schema, {"type": "null"}], "default": null, "title": "Optional"});
    json!({
        "$defs": {
            "Addr": {"type": "object", "title": "Addr", "required": ["city"],
                "properties": {"city": {"type": "string"}, "zip": optional(json!({"type": "string"}))}},
        },
        "type": "object", "required": ["id"], "additionalProperties": false,
        "properties": {
            "id": {"type": "integer"},
            "paid_at": optional(json!({"type": "string", "format": "date-time"})),
            "qty": {"oneOf": [{"type": "null"}, {"type": "integer"}]},
            "addr": optional(json!({"$ref": "#/$defs/Addr"})),
            "base": {"allOf": [{"$ref": "#/$defs/Addr"}], "description": "pydantic 1"},
            "tags": {"type": "array", "items": optional(json!({"type": "integer"}))},
            "kind": {"enum": ["a", "b", null]},
            "level": {"const": 1},
            "at": {"anyOf": [{"type": "string", "format": "date"}, {"enum": [null]}]},
        },
    })
}

#[test]
fn optional_fields_of_generated_schemas_have_their_types_and_are_read_by_rules() {
    let schema = generated();
    assert!(has_rules(&schema));
    let given = lines(
        &schema,
        &[
            r#"{"id":1,"paid_at":"2024-01-02T00:00:00Z","qty":3,"addr":{"city":"x","zip":null},"base":{"city":"y"},"tags":[1,null],"kind":"a","level":1}"#,
            r#"{"id":2,"paid_at":null,"qty":null,"addr":null,"tags":[],"kind":null}"#,
            r#"{"id":3}"#,
        ],
    );
    assert_eq!(rows(&given), [0, 1, 2], "{:?}", given.messages());
    let row = &given.rows[0];
    assert_eq!((&row["paid_at"], &row["qty"], &row["level"]), (&json!("2024-01-02T00:00:00Z"), &json!(3), &json!(1)));
    assert_eq!(
        (&row["addr"]["city"], &row["base"]["city"], &row["tags"]),
        (&json!("x"), &json!("y"), &json!([1, null]))
    );
    assert!(["paid_at", "qty", "addr"].iter().all(|name| given.rows[1].get(*name).is_none_or(Value::is_null)));
}

#[test]
fn an_error_inside_an_optional_field_names_the_field_and_what_is_wrong_with_it() {
    for (line, code, path) in [
        (r#"{"id":1,"paid_at":"yesterday"}"#, "bad_format", "/paid_at"),
        (r#"{"id":1,"at":"today"}"#, "bad_format", "/at"),
        (r#"{"id":1,"qty":"three"}"#, "wrong_type", "/qty"),
        (r#"{"id":1,"addr":{"zip":"1"}}"#, "missing_field", "/addr/city"),
        (r#"{"id":1,"addr":{"city":"x","zip":7}}"#, "wrong_type", "/addr/zip"),
        (r#"{"id":1,"base":{"zip":"1"}}"#, "missing_field", "/base/city"),
        (r#"{"id":1,"base":null}"#, "wrong_type", "/base"),
        (r#"{"id":1,"tags":[1,"x"]}"#, "wrong_type", "/tags/1"),
    ] {
        let given = lines(&generated(), &[line]);
        let letter = &given.dead_letters[0];
        assert_eq!(
            (letter["_error_code"].as_str(), letter["_error_path"].as_str()),
            (Some(code), Some(path)),
            "{line}"
        );
        assert!(!given.messages()[0].contains("anyOf"), "{:?}", given.messages());
    }
}

#[test]
fn null_fits_one_of_two_only_once() {
    let schema =
        json!({"type": "object", "properties": {"a": {"oneOf": [{"type": ["string", "null"]}, {"type": "null"}]}}});
    let given = lines(&schema, &[r#"{"a":null}"#, r#"{"a":"x"}"#, "{}"]);
    assert_eq!(rows(&given), [1, 2]);
    let listed = json!({"type": "object", "properties": {"a": {"type": ["string", "null"], "enum": ["x"]}}});
    let given = lines(&listed, &[r#"{"a":null}"#, r#"{"a":"x"}"#, "{}"]);
    assert_eq!(rows(&given), [1, 2]);
}

#[test]
fn cells_of_optional_fields_are_read_as_their_types() {
    let given = of_format(
        &generated(),
        Format::Csv,
        "id,paid_at,qty,kind,level,addr\n1,,7,,1,\n2,2024-01-02T00:00:00Z,,b,,\"{\"\"city\"\":\"\"x\"\"}\"\n3,soon,,,2,\n",
    );
    assert_eq!(rows(&given), [0, 1], "{:?}", given.messages());
    assert_eq!((&given.rows[0]["qty"], &given.rows[0]["level"]), (&json!(7), &json!(1)));
    assert_eq!((&given.rows[1]["kind"], &given.rows[1]["addr"]["city"]), (&json!("b"), &json!("x")));
}

#[test]
fn hundreds_of_fields_in_any_order_are_read_by_rules() {
    for count in [63, 64, 65, 128, 129, 1_000] {
        let properties: serde_json::Map<String, Value> =
            (0..count).map(|at| (format!("f{at}"), json!({"type": "integer"}))).collect();
        let last = format!("f{}", count - 1);
        let schema = json!({"type": "object", "properties": properties, "required": ["f0", last]});
        assert!(has_rules(&schema), "{count}");
        let all: Vec<String> = (0..count).rev().map(|at| format!("\"f{at}\":{at}")).collect();
        let all = format!("{{{}}}", all.join(","));
        let few = format!("{{\"{last}\":1,\"other\":2,\"f0\":3}}");
        let twice = format!("{{\"{last}\":1,\"f0\":3,\"{last}\":2}}");
        let given = lines(&schema, &[&all, &few, "{\"f0\":1}", &twice]);
        assert_eq!((rows(&given), given.codes()), (vec![0, 1], vec!["missing_field", "duplicate_key"]), "{count}");
        assert_eq!((&given.rows[0][&last], &given.rows[1]["_extra"]), (&json!(count - 1), &json!("{\"other\":2}")));
        let absent = format!("f{}", count / 2);
        assert!(given.rows[1].get(&absent).is_none_or(Value::is_null));
    }
}

#[test]
fn a_pattern_that_is_refused_says_why_and_is_cut_if_it_is_long() {
    let refused = |pattern: &str| {
        Judge::compile(&json!({"type": "object", "properties": {"a/b": {"type": "string", "pattern": pattern}}}))
            .unwrap_err()
    };
    for (pattern, why) in [
        ("^(?!default$).*$", "look-around"),
        ("a(?=b)", "look-around"),
        ("(?<!x)y", "look-around"),
        ("(a)\\1", "back to a group"),
        ("(?<n>a)\\k<n>", "back to a group"),
        ("([a-z]{1000}){1000}", "too large"),
        ("(", "can't be read"),
    ] {
        let what = refused(pattern);
        assert!(what.contains(why) && what.contains("/properties/a~1b/pattern"), "{pattern}: {what}");
    }
    let named = json!({"type": "object", "patternProperties": {"^(?!x)": {}}});
    assert!(Judge::compile(&named).unwrap_err().contains("look-around"));
    let what = refused(&format!("(?!{})", "x".repeat(10_000)));
    assert!(what.len() < 600 && what.contains("…"), "{what}");
}
