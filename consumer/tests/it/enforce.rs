//! Enforcement: the verdict on a record, and the message that says what is wrong with it.

use consumer::enforce::Judge;
use lake::dead_letter::{ErrorCode, Fault, Reason};
use serde_json::{Value, json};

fn judge(schema: Value, record: Value) -> Result<(), Fault> {
    Judge::compile(&schema).unwrap().enforce(&record)
}

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["id"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "integer", "minimum": 1, "maximum": 100},
            "kind": {"enum": ["a", "b"]},
            "at": {"type": "string", "format": "date-time"},
            "name": {"type": "string", "maxLength": 5, "pattern": "^[a-z]+$"},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
            "any": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        },
    })
}

#[test]
fn each_fault_has_its_reason_code_and_pointer() {
    use ErrorCode as Code;
    use Reason::{ExtraFields, InvalidSchema};
    let cases = [
        (json!({}), InvalidSchema, Code::MissingField, "/id"),
        (json!({"id": "1"}), InvalidSchema, Code::WrongType, "/id"),
        (json!({"id": 0}), InvalidSchema, Code::OutOfRange, "/id"),
        (json!({"id": 101}), InvalidSchema, Code::OutOfRange, "/id"),
        (json!({"id": 1, "kind": "c"}), InvalidSchema, Code::NotInEnum, "/kind"),
        (json!({"id": 1, "at": "2026-13-01T00:00:00Z"}), InvalidSchema, Code::BadFormat, "/at"),
        (json!({"id": 1, "name": "toolong"}), InvalidSchema, Code::BadLength, "/name"),
        (json!({"id": 1, "name": "A"}), InvalidSchema, Code::BadPattern, "/name"),
        (json!({"id": 1, "tags": ["a", 2]}), InvalidSchema, Code::WrongType, "/tags/1"),
        (json!({"id": 1, "tags": ["a", "b", "c"]}), InvalidSchema, Code::BadLength, "/tags"),
        (json!({"id": 1, "any": null}), InvalidSchema, Code::BadValue, "/any"),
        (json!({"id": 1, "new/field": 1}), ExtraFields, Code::ExtraField, "/new~1field"),
        (json!(7), InvalidSchema, Code::WrongType, ""),
    ];
    for (record, reason, code, path) in cases {
        let fault = judge(schema(), record.clone()).expect_err(&record.to_string());
        assert_eq!((fault.reason, fault.code, fault.path.as_deref()), (reason, code, Some(path)), "{record}");
    }
    assert_eq!(judge(schema(), json!({"id": 1, "kind": "a", "at": "2026-11-20T08:00:00Z"})), Ok(()));
}

#[test]
fn an_extra_field_beside_another_fault_is_not_the_reason() {
    let fault = judge(schema(), json!({"surprise": 1})).unwrap_err();
    assert_eq!((fault.reason, fault.code), (Reason::InvalidSchema, ErrorCode::MissingField));
    assert!(fault.message.contains("and 1 more"), "{}", fault.message);
}

#[test]
fn one_point_zero_is_an_integer() {
    assert_eq!(judge(schema(), serde_json::from_str("{\"id\": 1.0}").unwrap()), Ok(()));
    assert!(judge(schema(), serde_json::from_str("{\"id\": 1.5}").unwrap()).is_err());
}

/// As listed in the suites of the drafts; the formats of older drafts are a part of these.
#[test]
fn every_format_of_the_drafts_is_asserted() {
    let wrong = [
        ("date-time", "2026-11-20"),
        ("date", "2026-02-30"),
        ("time", "25:00:00Z"),
        ("duration", "P1"),
        ("email", "2962"),
        ("idn-email", "2962"),
        ("hostname", "-a-"),
        ("idn-hostname", "-- no host --"),
        ("idn-hostname", "."),
        ("idn-hostname", ""),
        ("idn-email", ""),
        ("ipv4", "256.0.0.1"),
        ("ipv6", "12345::"),
        ("uri", "no uri"),
        ("uri-reference", "\\\\a"),
        ("iri", "no iri"),
        ("iri-reference", "\\\\a"),
        ("uuid", "2eb8aa08"),
        ("uri-template", "{a"),
        ("json-pointer", "a"),
        ("relative-json-pointer", "/a"),
        ("regex", "^(a"),
    ];
    for (format, text) in wrong {
        let schema = json!({"type": "object", "properties": {"field": {"type": "string", "format": format}}});
        let fault = judge(schema, json!({"field": text})).expect_err(&format!("{format} {text:?}"));
        assert_eq!((fault.code, fault.path.as_deref()), (ErrorCode::BadFormat, Some("/field")), "{format} {text:?}");
    }
    let right = [("idn-hostname", "m\u{fc}nchen.de"), ("idn-email", "\u{fc}@m\u{fc}nchen.de")];
    for (format, text) in right {
        let schema = json!({"type": "object", "properties": {"field": {"type": "string", "format": format}}});
        assert_eq!(judge(schema, json!({"field": text})), Ok(()), "{format} {text:?}");
    }
}

#[test]
fn a_message_has_no_control_character_and_stays_short() {
    let evil = format!("\u{1b}[2J\n\0\u{202e}\u{61c}{}", "x".repeat(100_000));
    let fault = judge(schema(), json!({"id": 1, "name": evil})).unwrap_err();
    assert!(!fault.message.chars().any(|c| c.is_control() || "\u{202e}\u{61c}".contains(c)), "{}", fault.message);
    assert!(fault.message.len() < 1_000);
}

#[test]
fn a_remote_reference_is_refused_with_a_message() {
    for target in ["https://example.com/schema.json", "file:///etc/passwd"] {
        let what = Judge::compile(&json!({"properties": {"a": {"$ref": target}}})).unwrap_err();
        assert!(what.contains(target) && what.contains("$defs"), "{what}");
    }
    assert!(Judge::compile(&json!({"$ref": "other.json"})).is_err());
}

#[test]
fn an_invalid_schema_is_refused() {
    assert!(Judge::compile(&json!({"type": "strnig"})).is_err());
    let backtracking = Judge::compile(&json!({"properties": {"a": {"type": "string", "pattern": "(a)\\1"}}}));
    assert!(backtracking.is_err(), "a pattern that can't run in linear time is refused");
}

#[test]
fn every_draft_from_4_on_is_understood() {
    for draft in [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        let schema = json!({"$schema": draft, "type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}});
        assert_eq!(judge(schema.clone(), json!({"at": "2026-11-20T08:00:00Z"})), Ok(()), "{draft}");
        assert!(judge(schema, json!({"at": "tomorrow"})).is_err(), "{draft}: format must be validated");
    }
}

#[test]
fn a_number_of_absurd_size_is_judged_quickly() {
    for text in ["{\"id\": 1e999999999}", "{\"id\": 1e-999999999}", "{\"id\": -0.0000001e99999999999999999999}"] {
        let record: Value = crate::one_task::parse(text, 10).unwrap();
        assert!(judge(schema(), record).is_err(), "{text}");
    }
}
