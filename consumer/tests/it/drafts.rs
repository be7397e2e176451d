//! What depends on a schema's draft: as docs/streams.md says, and the same with compiled rules and without.

use consumer::enforce::Judge;
use lake::stream::{Format, ReadSettings};
use serde_json::{Value, json};

use crate::{
    agreement::cases::DRAFTS,
    one_task::{context, read},
};

/// What a draft does with a keyword, as the document says it.
fn says(draft: &str, schema: &Value, record: &str) -> &'static str {
    let mut schema = schema.clone();
    schema["$schema"] = json!(draft);
    schema["type"] = json!("object");
    if Judge::compile(&schema).is_err() {
        return "refused";
    }
    let is_row = |compiled| {
        let given = read(&context(&schema, ReadSettings::of(Format::Ndjson), compiled), record.as_bytes());
        assert_eq!(given.rows.len() + given.dead_letters.len(), 1, "{schema} {record}");
        !given.rows.is_empty()
    };
    let is_accepted = is_row(true);
    assert_eq!(is_accepted, is_row(false), "with compiled rules and without: {schema} {record}");
    if is_accepted { "no" } else { "yes" }
}

fn field(keywords: &Value) -> Value {
    json!({"properties": {"f": keywords}})
}

/// Each line of the table, with a schema and a record that breaks it.
fn lines() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("`integer` refuses `1.0`", field(&json!({"type": "integer"})), r#"{"f": 1.0}"#),
        (
            "keywords beside `$ref`",
            json!({"properties": {"f": {"$ref": "#/definitions/a", "maxLength": 1}}, "definitions": {"a": {"type": "string"}}}),
            r#"{"f": "ab"}"#,
        ),
        ("`true` and `false` as schemas", field(&json!(false)), r#"{"f": 1}"#),
        ("`exclusiveMinimum: true`", field(&json!({"minimum": 1, "exclusiveMinimum": true})), r#"{"f": 1}"#),
        ("`exclusiveMinimum: 1`", field(&json!({"exclusiveMinimum": 1})), r#"{"f": 1}"#),
        ("`const`", field(&json!({"const": 1})), r#"{"f": 2}"#),
        ("`contains`", field(&json!({"contains": {"type": "string"}})), r#"{"f": [1]}"#),
        ("`minContains`", field(&json!({"contains": {"type": "string"}, "minContains": 2})), r#"{"f": ["a"]}"#),
        ("`propertyNames`", json!({"propertyNames": {"maxLength": 1}}), r#"{"ff": 1}"#),
        ("`if`, `then`, `else`", json!({"if": {"required": ["f"]}, "then": {"required": ["g"]}}), r#"{"f": 1}"#),
        ("`dependencies`", json!({"dependencies": {"f": ["g"]}}), r#"{"f": 1}"#),
        ("`dependentRequired`", json!({"dependentRequired": {"f": ["g"]}}), r#"{"f": 1}"#),
        ("`dependentSchemas`", json!({"dependentSchemas": {"f": {"required": ["g"]}}}), r#"{"f": 1}"#),
        ("`items: […]`", field(&json!({"items": [{"type": "string"}]})), r#"{"f": [1]}"#),
        ("`prefixItems`", field(&json!({"prefixItems": [{"type": "string"}]})), r#"{"f": [1]}"#),
        ("`unevaluatedItems`", field(&json!({"unevaluatedItems": false})), r#"{"f": [1]}"#),
        ("`unevaluatedProperties`", json!({"unevaluatedProperties": false}), r#"{"f": 1}"#),
        ("`contentEncoding`", field(&json!({"contentEncoding": "base64"})), r#"{"f": "~"}"#),
        ("`contentMediaType`", field(&json!({"contentMediaType": "application/json"})), r#"{"f": "{"}"#),
        (
            "`contentSchema`",
            field(&json!({"contentMediaType": "application/json", "contentSchema": {"type": "array"}})),
            r#"{"f": "{}"}"#,
        ),
        ("`format: uri-reference`", field(&json!({"format": "uri-reference"})), r#"{"f": "\\\\"}"#),
        ("`format: uri-template`", field(&json!({"format": "uri-template"})), r#"{"f": "{"}"#),
        ("`format: json-pointer`", field(&json!({"format": "json-pointer"})), r#"{"f": "x"}"#),
        ("`format: relative-json-pointer`", field(&json!({"format": "relative-json-pointer"})), r#"{"f": "x"}"#),
        ("`format: iri`", field(&json!({"format": "iri"})), r#"{"f": "x"}"#),
        ("`format: iri-reference`", field(&json!({"format": "iri-reference"})), r#"{"f": "\\\\"}"#),
        ("`format: idn-hostname`", field(&json!({"format": "idn-hostname"})), r#"{"f": "-"}"#),
        ("`format: duration`", field(&json!({"format": "duration"})), r#"{"f": "x"}"#),
        ("`format: uuid`", field(&json!({"format": "uuid"})), r#"{"f": "x"}"#),
    ]
}

#[test]
fn each_draft_does_what_the_document_says() {
    let document = include_str!("../../../docs/streams.md");
    for (keyword, schema, record) in lines() {
        let cells = DRAFTS.map(|draft| says(draft, &schema, record)).join(" | ");
        let line = format!("| {keyword} | {cells} |");
        assert!(document.lines().any(|found| found == line), "docs/streams.md must have the line\n{line}");
    }
}
