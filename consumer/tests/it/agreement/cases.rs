//! Generates schemas and objects from a seed: records that fit their schema, some that nearly do, and damaged bytes.
//!
//! Depends on no other test module, so that a fuzzer can include it.

use fastrand::Rng;
use lake::stream::{Format, ReadSettings};
use serde_json::{Map, Value, json};

/// A record's schema; every other one is a document of several resources, with references of all kinds between them.
pub(crate) fn record_schema(rng: &mut Rng) -> Value {
    if rng.bool() {
        return document(rng);
    }
    let mut schema = object_schema(rng, 0);
    schema["$defs"] = json!({"word": {"type": "string", "maxLength": 5}});
    if rng.bool() {
        schema["$schema"] = json!(one(rng, &[DRAFTS[2], DRAFTS[0]]));
    }
    schema
}

/// The published drafts, by the `$schema` that names them.
pub(crate) const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

/// A document whose properties refer to one another, to its definitions, to resources within it, and to itself.
fn document(rng: &mut Rng) -> Value {
    let draft = rng.usize(0..5);
    let (id, definitions) = (if draft == 0 { "id" } else { "$id" }, if draft < 3 { "definitions" } else { "$defs" });
    let mut schema = object_schema(rng, 0);
    schema[definitions] = resources(rng, id, definitions);
    for name in NAMES {
        if rng.u8(0..3) == 0 {
            schema["properties"][name] = reference(rng, definitions);
        }
    }
    if draft < 4 || rng.bool() {
        schema["$schema"] = json!(DRAFTS[draft]);
    }
    if rng.u8(0..6) > 0 {
        schema[id] = json!("https://x.test/a/order.json");
    }
    schema
}

/// Definitions, of which some are resources of their own, in a draft of their own.
fn resources(rng: &mut Rng, id: &str, definitions: &str) -> Value {
    let inner = json!({"type": "string", "maxLength": 2});
    let mut place = json!({
        "type": "object",
        "properties": {"k": {"$ref": format!("#/{definitions}/word")}, "at": {"$ref": "#"}, "id": {"$ref": "https://x.test/word"}},
        "additionalProperties": rng.bool(),
    });
    place[id] = json!(one(rng, &["https://x.test/a/place", "place", "./b/../place"]));
    place[definitions] = json!({"word": inner});
    let other = rng.usize(0..5);
    let (other_id, other_definitions) =
        (if other == 0 { "id" } else { "$id" }, if other < 3 { "definitions" } else { "$defs" });
    let mut pair = json!({
        "$schema": DRAFTS[other],
        "type": "array",
        "items": {"$ref": format!("#/{other_definitions}/word"), "maxLength": 1},
    });
    pair[other_id] = json!("urn:sluice:pair");
    pair[other_definitions] = json!({"word": {"type": "string", "contentEncoding": "base64", "format": "uuid"}});
    let mut word = json!({"type": "string", "maxLength": 5});
    word[id] = json!("https://x.test/word");
    let mut anchored = json!({"type": "integer", "maximum": 100});
    if id == "$id" && definitions == "$defs" {
        anchored["$anchor"] = json!("count");
    } else {
        anchored[id] = json!("#count");
    }
    json!({
        "word": word,
        "place": place,
        "pair": pair,
        "count": anchored,
        "a b/c~d%é": {"type": ["string", "null"], "enum": ["a", "page_view", null]},
        "node": {"type": "object", "properties": {"id": {"type": "integer"}, "place": {"$ref": format!("#/{definitions}/node")}}},
    })
}

/// A schema that refers to another one, directly or as one of a few.
fn reference(rng: &mut Rng, definitions: &str) -> Value {
    let local = |name: &str| format!("#/{definitions}/{name}");
    let target = match rng.u8(0..17) {
        0 => local("word"),
        1 => local("place"),
        2 => local("pair"),
        3 => local("node"),
        4 => local("a%20b~1c~0d%25%C3%A9"),
        5 => local("pair/definitions/word"),
        6 => local(&format!("place/{definitions}/word")),
        7 => local("pair/items"),
        8 => "#count".to_owned(),
        9 => "#".to_owned(),
        10 => "place".to_owned(),
        11 => "https://x.test/a/place".to_owned(),
        12 => format!("https://x.test/a/place#/{definitions}/word"),
        13 => "urn:sluice:pair".to_owned(),
        14 => format!("#/properties/{}", one(rng, &["id", "name", "tags"])),
        15 => "https://x.test/a/order.json".to_owned(),
        _ => (*one(rng, &["/word", "https://x.test/word", "order.json#count"])).to_owned(),
    };
    let mut schema = json!({"$ref": target});
    match rng.u8(0..12) {
        0 => schema["maxLength"] = json!(1),
        1 => schema["type"] = json!("integer"),
        2 => schema["description"] = json!("a reference"),
        _ => {}
    }
    optional(rng, schema)
}

/// The schema as generators of schemas write it for optional or inherited fields; mostly the schema itself.
fn optional(rng: &mut Rng, schema: Value) -> Value {
    let nothing = json!({"type": "null"});
    match rng.u8(0..16) {
        0 => json!({"anyOf": [schema, nothing], "default": null}),
        1 => json!({"anyOf": [nothing, schema]}),
        2 => json!({"oneOf": [schema, nothing]}),
        3 => json!({"allOf": [schema], "title": "inherited"}),
        4 => json!({"anyOf": [schema]}),
        5 => json!({"anyOf": [schema, nothing], "minLength": 1}),
        _ => schema,
    }
}

/// A schema like the one that a reference or a list leads to, for generating values.
fn like(rng: &mut Rng, schema: &Value) -> Option<Value> {
    for keyword in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(schemas)) = schema.get(keyword) {
            let chosen = one(rng, schemas);
            return Some(like(rng, chosen).unwrap_or_else(|| chosen.clone()));
        }
    }
    let target = schema.get("$ref")?.as_str()?;
    let word = json!({"type": "string", "enum": []});
    let ends = |end: &str| target.ends_with(end);
    Some(match target {
        _ if ends("word") => word,
        _ if ends("count") => json!({"type": "integer"}),
        _ if ends("pair") => json!({"type": "array", "items": word}),
        _ if ends("place") => json!({"type": "object", "properties": {"k": word, "at": {"type": "object"}}}),
        _ if ends("node") => {
            json!({"type": "object", "properties": {"id": {"type": "integer"}, "place": {"type": "object", "properties": {"id": {"type": "integer"}}}}})
        }
        _ if ends("#") || ends("order.json") => json!({"type": "object", "properties": {}}),
        _ => word,
    })
}

/// Limits that some of the records break.
pub(crate) fn settings(format: Format) -> ReadSettings {
    ReadSettings {
        object_bytes_max: 1 << 20,
        record_bytes_max: 400,
        depth_max: 5,
        fields_max: 12,
        ..ReadSettings::of(format)
    }
}

pub(crate) fn format(rng: &mut Rng) -> Format {
    *one(rng, &[Format::JsonArray, Format::Ndjson, Format::Csv])
}

/// An object of a few records, some of them damaged.
pub(crate) fn object(rng: &mut Rng, schema: &Value, format: Format) -> Vec<u8> {
    let body = match format {
        Format::JsonArray => format!("{}[{}]{}", space(rng), records(rng, schema).join(","), space(rng)),
        Format::Ndjson => records(rng, schema).join("\n"),
        Format::Csv => table(rng, schema),
    };
    let mut bytes = body.into_bytes();
    if rng.u8(0..4) == 0 && !bytes.is_empty() {
        let at = rng.usize(0..bytes.len());
        bytes[at] = if rng.bool() { rng.u8(..) } else { *one(rng, b"\"\\{}[],: 0-.e\n") };
    }
    bytes
}

fn records(rng: &mut Rng, schema: &Value) -> Vec<String> {
    (0..rng.usize(0..8)).map(|_| text(rng, schema, 0)).collect()
}

/// A CSV object with the schema's fields, or nearly.
fn table(rng: &mut Rng, schema: &Value) -> String {
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let mut names: Vec<&str> = properties.keys().map(String::as_str).filter(|_| rng.u8(0..8) > 0).collect();
    if rng.u8(0..4) == 0 {
        names.push(*one(rng, &["extra", "id", "_extra", ""]));
    }
    let mut lines = vec![names.iter().map(|name| cell(rng, name)).collect::<Vec<_>>().join(",")];
    for _ in 0..rng.usize(0..6) {
        let cells: Vec<String> = names
            .iter()
            .map(|name| {
                let value = text(rng, properties.get(*name).unwrap_or(&Value::Null), 1);
                let said = match serde_json::from_str(&value) {
                    Ok(Value::String(said)) if rng.u8(0..8) > 0 => said,
                    Ok(Value::Null) if rng.bool() => String::new(),
                    _ => value,
                };
                cell(rng, &said)
            })
            .collect();
        lines.push(cells.join(if rng.u8(0..40) == 0 { ",," } else { "," }));
    }
    lines.join(*one(rng, &["\n", "\r\n"]))
}

/// A cell; quoted if it must be, and sometimes if not.
fn cell(rng: &mut Rng, text: &str) -> String {
    let must = text.contains([',', '"', '\n', '\r']) && rng.u8(0..30) > 0;
    if must || rng.u8(0..6) == 0 { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

const NAMES: [&str; 8] = ["id", "name", "at", "Größe", "a\"b", "tags", "place", "x y"];

pub(crate) fn one<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    &of[rng.usize(0..of.len())]
}

/// A value's schema; sometimes one that no compiled rule covers.
fn schema(rng: &mut Rng, depth: u32) -> Value {
    let mut schema = match rng.u8(0..if depth > 2 { 12 } else { 16 }) {
        0 | 1 => json!({"type": "string"}),
        2 => json!({"type": "string", "minLength": rng.u8(0..3), "maxLength": rng.u8(2..9)}),
        3 => json!({"type": "string", "enum": ["a", "page_view", "é"]}),
        4 => json!({"type": "string", "format": *one(rng, &["date-time", "date", "uuid", "email", "nonsense"])}),
        5 => json!({"type": "string", "pattern": "^[a-z]+$"}),
        6 => json!({"type": "integer"}),
        7 => json!({"type": "integer", "minimum": -5, "maximum": 100}),
        8 => json!({"type": "number", "minimum": -1.5, "exclusiveMaximum": 100}),
        9 => json!({"type": "boolean", "description": "yes or no"}),
        10 => json!({"type": "number", "multipleOf": 0.5}),
        11 => one(
            rng,
            &[
                json!({}),
                json!(true),
                json!({"type": ["string", "integer"]}),
                json!({"const": 7}),
                json!({"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 3}]}),
                json!({"$ref": "#/$defs/word"}),
                json!({"enum": ["a", "page_view", null]}),
                json!({"enum": [1, 2]}),
                json!({"const": "a"}),
            ],
        )
        .clone(),
        12 => json!({"type": "array", "items": schema(rng, depth + 1), "maxItems": rng.u8(0..4)}),
        13 => json!({"type": "object", "additionalProperties": schema(rng, depth + 1)}),
        _ => object_schema(rng, depth + 1),
    };
    if rng.u8(0..4) == 0
        && let Some(Value::String(kind)) = schema.get("type").cloned()
    {
        schema["type"] = json!([kind, "null"]);
    }
    optional(rng, schema)
}

fn object_schema(rng: &mut Rng, depth: u32) -> Value {
    let mut properties = Map::new();
    for _ in 0..rng.usize(0..6) {
        let name = (*one(rng, &NAMES)).to_owned();
        properties.insert(name, schema(rng, depth));
    }
    let required: Vec<&String> = properties.keys().filter(|_| rng.bool()).collect();
    let mut schema = json!({"type": "object", "required": required, "properties": properties});
    // Draft 4 allows no empty list.
    if schema["required"] == json!([]) {
        schema.as_object_mut().map(|schema| schema.remove("required"));
    }
    match rng.u8(0..6) {
        0..3 => schema["additionalProperties"] = json!(false),
        3 => schema["additionalProperties"] = json!(true),
        4 if rng.u8(0..4) == 0 => schema["minProperties"] = json!(2),
        _ => {}
    }
    schema
}

/// A value's JSON text. It fits the schema, with an occasional mistake.
fn text(rng: &mut Rng, schema: &Value, depth: u32) -> String {
    if rng.u8(0..25) == 0 {
        return any_text(rng);
    }
    if let Some(like) = like(rng, schema) {
        return text(rng, &like, depth);
    }
    if let Some(Value::Array(values)) = schema.get("enum").filter(|values| **values != json!([])) {
        return if rng.u8(0..4) > 0 { one(rng, values).to_string() } else { any_text(rng) };
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds[rng.usize(0..kinds.len())].as_str().unwrap_or_default(),
        Some(Value::String(kind)) => kind,
        _ => return any_text(rng),
    };
    match kind {
        "string" => string_text(rng, schema),
        "integer" => {
            (*one(rng, &["0", "7", "-5", "100", "101", "12345678901", "-0", "1.0", "1e2", "9223372036854775808", "05"]))
                .to_owned()
        }
        "number" => {
            (*one(rng, &["0", "-1.5", "0.1", "99.5", "100", "1e-3", "1E+2", "9007199254740993", "1e400", "-0.0"]))
                .to_owned()
        }
        "boolean" => (*one(rng, &["true", "false", "tru"])).to_owned(),
        "array" => {
            let items: Vec<String> = (0..rng.usize(0..4)).map(|_| text(rng, &schema["items"], depth + 1)).collect();
            format!("[{}{}]", space(rng), items.join(&format!("{},{}", space(rng), space(rng))))
        }
        "object" => object_text(rng, schema, depth),
        _ => "null".to_owned(),
    }
}

fn string_text(rng: &mut Rng, schema: &Value) -> String {
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    let plain = match format {
        "date-time" => *one(
            rng,
            &[
                "2026-11-20T08:00:00Z",
                "2026-11-20T08:00:00.123456+02:00",
                "2026-02-29T08:00:00Z",
                "2024-02-29t23:59:59.5z",
                "2026-11-20T08:00:00.1234567Z",
                "2016-12-31T23:59:60Z",
                "2026-13-01T00:00:00Z",
                "0001-01-01T00:00:00-23:59",
                "2026-11-20 08:00:00Z",
                "2026-11-20T24:00:00Z",
                "1969-12-31T23:59:59.999999Z",
            ],
        ),
        "date" => *one(rng, &["2026-11-20", "2000-02-29", "1900-02-29", "2026-4-1", "0000-01-01", "9999-12-31"]),
        "uuid" => *one(
            rng,
            &[
                "67e55044-10b1-426f-9247-bb680e5fe0c8",
                "67e5504410b1426f9247bb680e5fe0c8",
                "67E55044-10B1-426F-9247-BB680E5FE0C8",
                "67e55044-10b1-426f-9247-bb680e5fe0cé",
                "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
            ],
        ),
        "email" => *one(rng, &["a@example.com", "a"]),
        _ => *one(
            rng,
            &[
                "a",
                "page_view",
                "é",
                "",
                "ab cd",
                "Zürich",
                "\\\"q\\\"",
                "\\u00e9",
                "\\ud83d\\ude00",
                "\\ud800",
                "line\\nend",
                "0123456789",
                "\u{1F600}",
            ],
        ),
    };
    format!("\"{plain}\"")
}

fn object_text(rng: &mut Rng, schema: &Value, depth: u32) -> String {
    let mut fields = Vec::new();
    let mut field = |rng: &mut Rng, name: &str, text: String| {
        let name = if rng.u8(0..12) == 0 { name.replace('i', "\\u0069") } else { name.replace('"', "\\\"") };
        fields.push(format!("{}\"{name}\"{}:{}{text}", space(rng), space(rng), space(rng)));
    };
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            if rng.u8(0..8) > 0 {
                let value = text(rng, property, depth + 1);
                field(rng, name, value);
            }
        }
    } else if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        for _ in 0..rng.usize(0..3) {
            let value = text(rng, values, depth + 1);
            let name = *one(rng, &NAMES);
            field(rng, name, value);
        }
    }
    if rng.u8(0..10) == 0 {
        let value = any_text(rng);
        let name = *one(rng, &["extra", "id", "_extra"]);
        field(rng, name, value);
    }
    if rng.u8(0..6) == 0 {
        rng.shuffle(&mut fields);
    }
    format!("{{{}{}}}", fields.join(","), space(rng))
}

fn any_text(rng: &mut Rng) -> String {
    let scalars = [
        "null",
        "true",
        "1",
        "1.5",
        "\"text\"",
        "7",
        "{}",
        "[]",
        "[1, \"a\"]",
        "{\"k\": {\"l\": null}}",
        "{\"k\": 1, \"k\": 2}",
    ];
    (*one(rng, &scalars)).to_owned()
}

fn space(rng: &mut Rng) -> &'static str {
    if rng.u8(0..4) == 0 { [" ", "\t", "  ", "\r"][rng.usize(0..4)] } else { "" }
}
