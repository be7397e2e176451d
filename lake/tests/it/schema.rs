//! Schema documents: where their references lead, and the files that they come from.

use std::{fs, path::Path};

use lake::{
    Error,
    columns::{ColumnType, columns_of},
    stream::StreamDefinition,
};
use serde_json::{Value, json};

fn kind(schema: &Value) -> ColumnType {
    columns_of(schema).unwrap().remove(0).kind
}

/// A document whose first property refers to a text, unless the reference is misread: then to a number.
fn document(draft: &str, reference: &str) -> Value {
    let is_old = draft.contains("draft-0");
    let id = if draft.contains("04") { "id" } else { "$id" };
    let definitions = if is_old { "definitions" } else { "$defs" };
    let mut inner =
        json!({id: "sub/inner", "type": "object", "properties": {"t": {"$ref": format!("#/{definitions}/x")}}});
    inner[definitions] = json!({"x": {"type": "string"}, "y": {"type": "array", "items": {"type": "string"}}});
    let mut schema = json!({
        "$schema": draft, id: "https://x.test/a/root.json", "type": "object",
        "properties": {"v": {"$ref": reference}},
    });
    schema[definitions] = json!({
        "x": {"type": "integer"}, "inner": inner, "a b/c~d%": {"type": "string"}, "0": {"type": "string"},
    });
    schema
}

const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

#[test]
fn a_reference_counts_from_the_nearest_id_and_its_fragment_is_decoded() {
    for draft in DRAFTS {
        let definitions = if draft.contains("draft-0") { "definitions" } else { "$defs" };
        for reference in [
            format!("#/{definitions}/a%20b~1c~0d%25"),
            format!("#/{definitions}/0"),
            format!("#/%{:02x}{}/0", definitions.as_bytes()[0], &definitions[1..]),
            format!("sub/inner#/{definitions}/x"),
            format!("./sub/../sub/./inner#/{definitions}/x"),
            format!("/a/sub/inner#/{definitions}/x"),
            format!("//x.test/a/sub/inner#/{definitions}/x"),
            format!("https://x.test/a/sub/inner#/{definitions}/x"),
            // Through the resource, and so within it.
            format!("#/{definitions}/inner/{definitions}/x"),
            format!("#/{definitions}/inner/properties/t"),
            format!("root.json#/{definitions}/0"),
        ] {
            assert_eq!(kind(&document(draft, &reference)), ColumnType::String, "{draft} {reference}");
        }
        let ColumnType::Struct(fields) = kind(&document(draft, "sub/inner")) else { panic!("{draft}: not a struct") };
        assert_eq!(fields[0].kind, ColumnType::String, "{draft}: a reference within the resource");
        for unknown in [
            "",
            "#/nowhere",
            "#/%zz",
            "#/definitions/a~2",
            "sub/inner#x",
            "https://X.test/a/sub/inner",
            "other",
            "#/properties",
        ] {
            assert_eq!(kind(&document(draft, unknown)), ColumnType::Json, "{draft} {unknown:?}");
        }
    }
}

#[test]
fn an_anchor_belongs_to_its_resource() {
    let schema = json!({"type": "object", "properties": {"v": {"$ref": "#x"}, "w": {"$ref": "inner#x"}}, "$defs": {
        "a": {"$anchor": "x", "type": "string"},
        "b": {"$id": "inner", "$defs": {"c": {"$anchor": "x", "type": "boolean"}}},
    }});
    let columns = columns_of(&schema).unwrap();
    assert_eq!((&columns[0].kind, &columns[1].kind), (&ColumnType::String, &ColumnType::Boolean));
    let draft_7 = json!({"$schema": DRAFTS[2], "type": "object", "properties": {"v": {"$ref": "#x"}},
        "definitions": {"a": {"$id": "#x", "type": "string"}}});
    assert_eq!(kind(&draft_7), ColumnType::String);
}

#[test]
fn what_stands_beside_a_reference_counts_from_2019_on() {
    for (draft, expected) in DRAFTS.into_iter().zip([
        ColumnType::String,
        ColumnType::String,
        ColumnType::String,
        ColumnType::Int64,
        ColumnType::Int64,
    ]) {
        let schema = json!({"$schema": draft, "type": "object", "properties": {"v": {"type": "integer", "$ref": "#/definitions/a"}},
            "definitions": {"a": {"type": "string"}}});
        assert_eq!(kind(&schema), expected, "{draft}");
    }
}

#[test]
fn two_resources_of_one_name_are_not_mistaken_for_each_other() {
    let schema = json!({"type": "object", "properties": {"v": {"$ref": "twice"}},
        "$defs": {"a": {"$id": "twice", "type": "string"}, "b": {"$id": "twice", "type": "integer"}}});
    assert_eq!(kind(&schema), ColumnType::Json);
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("s.toml"), "[source]\nformat = \"ndjson\"\n").unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    folder
}

fn load(folder: &Path) -> Result<StreamDefinition, Error> {
    StreamDefinition::load(folder, &"s".parse().unwrap())
}

fn refused(files: &[(&str, &str)]) -> String {
    load(folder(files).path()).unwrap_err().to_string()
}

#[test]
fn files_beside_a_schema_are_bundled_with_it() {
    let files = [
        (
            "s.schema.json",
            r##"{"$id": "https://x.test/a/s.json", "type": "object", "properties": {
            "by_place": {"$ref": "common/word.json#/$defs/word"}, "by_id": {"$ref": "https://elsewhere.test/count"},
            "by_host": {"$ref": "https://other.test/flag.json"}}}"##,
        ),
        ("s.schemas/common/word.json", r##"{"$defs": {"word": {"$ref": "../text.json"}}}"##),
        (
            "s.schemas/text.json",
            r##"{"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/t", "definitions": {"t": {"type": "string"}}}"##,
        ),
        ("s.schemas/any name.json", r##"{"$id": "https://elsewhere.test/count", "type": "integer"}"##),
        ("s.schemas/other.test/flag.json", r##"{"type": "boolean"}"##),
        ("s.schemas/unused.json", r##"{"type": "array"}"##),
        ("s.schemas/README.md", "not a schema"),
    ];
    let definition = load(folder(&files).path()).unwrap();
    let columns = columns_of(&definition.schema).unwrap();
    let kinds: Vec<_> = columns.iter().map(|column| &column.kind).collect();
    assert_eq!(kinds[..3], [&ColumnType::String, &ColumnType::Int64, &ColumnType::Boolean]);
    let embedded: Vec<&str> = definition.schema["$defs"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(embedded, ["any name.json", "common/word.json", "other.test/flag.json", "text.json"]);

    // The order in which files are created, and files that nothing refers to, change nothing.
    let mut reversed = files;
    reversed[1..].reverse();
    assert_eq!(load(folder(&reversed).path()).unwrap().schema, definition.schema);
}

#[test]
fn a_schema_without_references_to_files_stays_as_it_is() {
    let text =
        r##"{"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}"##;
    let files = [("s.schema.json", text), ("s.schemas/a.json", r##"{"type": "integer"}"##)];
    assert_eq!(load(folder(&files).path()).unwrap().schema, serde_json::from_str::<Value>(text).unwrap());
}

#[test]
fn a_reference_to_a_missing_file_says_where_it_is_looked_for() {
    let what =
        refused(&[("s.schema.json", r##"{"type": "object", "properties": {"a": {"$ref": "other.json#/$defs/x"}}}"##)]);
    for part in ["s.schema.json", "other.json#/$defs/x", "/properties/a", "streams/<stream>.schemas/"] {
        assert!(what.contains(part), "{part} in {what}");
    }
    let what = refused(&[
        ("s.schema.json", r##"{"type": "object", "properties": {"a": {"$ref": "other.json"}}}"##),
        ("s.schemas/other.json", r##"{"items": {"$ref": "third.json"}}"##),
    ]);
    assert!(what.contains("third.json") && what.contains("\"other.json\""), "{what}");
}

#[test]
fn a_name_that_occurs_twice_in_a_schema_file_is_refused_with_its_place() {
    let twice = "{\"type\": \"object\",\n \"properties\": {\"a/b\": {\"type\": \"string\",\n \"type\": \"integer\"}}}";
    let what = refused(&[("s.schema.json", twice)]);
    for part in ["s.schema.json", "\"type\" twice", "/properties/a~1b", "line 3"] {
        assert!(what.contains(part), "{part} in {what}");
    }
    let what = refused(&[
        ("s.schema.json", r##"{"type": "object"}"##),
        ("s.schemas/x.json", r##"{"$defs": {"a": {}, "a": {}}}"##),
        ("s.schemas/y.json", "{"),
    ]);
    for part in ["x.json", "\"a\" twice", "y.json", "not JSON"] {
        assert!(what.contains(part), "{part} in {what}");
    }
}

#[test]
fn numbers_of_a_schema_file_keep_their_digits() {
    let text = r##"{"type": "object", "properties": {"a": {"enum": [1.10, 12345678901234567890123, -0.0, 1e400]}}}"##;
    let schema = load(folder(&[("s.schema.json", text)]).path()).unwrap().schema;
    assert_eq!(schema, serde_json::from_str::<Value>(text).unwrap());
    assert!(schema.to_string().contains("1.10,12345678901234567890123,-0.0"), "{schema}");
}

#[test]
fn an_unknown_dialect_is_refused_wherever_it_is() {
    for (schema, place) in [
        (r##"{"$schema": "https://x.test/mine", "type": "object"}"##, "\"/$schema\""),
        (
            r##"{"type": "object", "properties": {"a": {"$id": "a", "$schema": "https://x.test/mine"}}}"##,
            "/properties/a/$schema",
        ),
        (
            r##"{"type": "object", "properties": {"$schema": {"enum": ["https://x.test/mine"]}, "b": {"$schema": "https://x.test/mine"}}}"##,
            "/properties/b/$schema",
        ),
    ] {
        let what = refused(&[("s.schema.json", schema)]);
        assert!(what.contains("https://x.test/mine") && what.contains(place) && what.contains("2020-12"), "{what}");
    }
    let named = r##"{"type": "object", "properties": {"$schema": {"type": "string", "const": "x"}}, "default": {"$schema": "mine"}}"##;
    load(folder(&[("s.schema.json", named)]).path()).unwrap();
}

#[test]
fn a_reference_that_only_leads_back_to_itself_is_refused() {
    for schema in [
        r##"{"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}"##,
        r##"{"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "null"}]}}, "$defs": {"b": {"allOf": [{"$ref": "#/properties/a"}]}}}"##,
    ] {
        let what = refused(&[("s.schema.json", schema)]);
        assert!(what.contains("back to itself"), "{what}");
    }
    let tree = r##"{"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}"##;
    load(folder(&[("s.schema.json", tree)]).path()).unwrap();
}

#[test]
fn too_many_columns_are_refused_when_the_schema_is_loaded() {
    let names: Vec<String> = (0..10_001).map(|at| format!("\"f{at}\": {{}}")).collect();
    let schema = format!("{{\"type\": \"object\", \"properties\": {{{}}}}}", names.join(","));
    let what = refused(&[("s.schema.json", &schema)]);
    assert!(what.contains("s.schema.json") && what.contains("10000 columns"), "{what}");
}

/// A schema whose field refers to the first of these definitions.
fn with_definitions(definitions: impl IntoIterator<Item = (String, Value)>) -> String {
    let definitions: serde_json::Map<String, Value> = definitions.into_iter().collect();
    json!({"type": "object", "properties": {"v": {"$ref": "#/$defs/a0"}}, "$defs": definitions}).to_string()
}

/// `length` definitions, each of which refers to the next one `times` times; the last one is a text.
fn chain(length: usize, times: usize) -> String {
    let link = |at: usize| json!({"allOf": vec![json!({"$ref": format!("#/$defs/a{}", at + 1)}); times]});
    let links = (0..length).map(|at| (format!("a{at}"), link(at)));
    with_definitions(links.chain([(format!("a{length}"), json!({"type": "string"}))]))
}

/// Fails when a validator is given what exhausts its stack or never ends.
#[test]
fn schemas_that_cost_too_much_for_each_value_are_refused_in_words() {
    for (schema, words) in [
        (chain(600, 1), "a chain of more than 1000 references"),
        (chain(40, 2), "more than 1000000 schemas"),
        (with_definitions([("a0".to_owned(), json!({"allOf": [{"$ref": "#/$defs/a0"}]}))]), "leads back to itself"),
    ] {
        let what = refused(&[("s.schema.json", &schema)]);
        assert!(what.contains("s.schema.json") && what.contains(words), "{what}");
    }
    for schema in [chain(400, 1), chain(15, 2)] {
        load(folder(&[("s.schema.json", &schema)]).path()).unwrap();
    }
}
