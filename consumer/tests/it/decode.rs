//! Decoding: which records an object has and where, and what is reported if they can't be read.

use lake::{
    dead_letter::{ErrorCode, Reason},
    stream::{Format, ReadSettings},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::one_task::{Given, context, fault_of_object, parse, read};

/// A record as its dead letter describes it.
struct Record {
    index: u64,
    offset: usize,
    raw: Vec<u8>,
    /// What is wrong with it; `bad_value` if it could be read.
    code: String,
}

/// Reads an object under a schema that refuses every record, so that each one becomes a dead letter.
fn refused(bytes: &[u8], format: Format) -> Given {
    let settings = ReadSettings {
        object_bytes_max: 1 << 20,
        record_bytes_max: 1_000,
        depth_max: 20,
        fields_max: 1_000,
        ..ReadSettings::of(format)
    };
    read(&context(&json!({"type": "object", "not": {}}), settings, true), bytes)
}

/// The records of an object; `None` if the object as a whole can't be read.
fn decode(bytes: &[u8], format: Format) -> Option<Vec<Record>> {
    let record = |letter: &serde_json::Map<String, Value>| {
        let raw = match (&letter.get("_raw_record"), &letter.get("_raw_bytes")) {
            (Some(text), None) => text.as_str().unwrap().as_bytes().to_vec(),
            (None, Some(_)) => Vec::new(),
            other => panic!("{other:?}"),
        };
        Some(Record {
            index: letter.get("_record_index")?.as_u64().unwrap(),
            offset: letter["_byte_offset"].as_u64().unwrap() as usize,
            raw,
            code: letter["_error_code"].as_str().unwrap().to_owned(),
        })
    };
    refused(bytes, format).dead_letters.iter().map(record).collect()
}

fn code_of_object(bytes: &[u8]) -> String {
    let given = refused(bytes, Format::JsonArray);
    let (reason, code) = fault_of_object(&given);
    assert_eq!(reason, "corrupted_batch");
    code.to_owned()
}

fn code_of_record(text: &str) -> ErrorCode {
    let fault = parse(text, 20).expect_err(text);
    assert_eq!(fault.reason, Reason::CorruptedRecord);
    fault.code
}

fn json() -> impl Strategy<Value = Value> {
    let number = "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?(e[+-][0-9]{1,3})?"
        .prop_map(|text| serde_json::from_str(&text).unwrap());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number,
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::hash_map(any::<String>(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_record_means_what_it_says(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(parse(&text, 20).unwrap(), value);
    }

    #[test]
    fn a_damaged_record_is_refused_where_a_known_good_parser_refuses_it(value in json(), at in any::<prop::sample::Index>(), with in "[\\x20-\\x7e]{0,2}") {
        let mut text: Vec<char> = value.to_string().chars().collect();
        let at = at.index(text.len());
        text.splice(at..=at, with.chars());
        let text: String = text.into_iter().collect();
        match (parse(&text, 100), serde_json::from_str::<Value>(&text)) {
            // Parsed by serde_json too, since it writes exponents differently.
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(serde_json::from_str::<Value>(&ours.to_string()).unwrap(), theirs),
            (Err(_), Err(_)) => {}
            // With two equal keys, serde_json takes the last one, and we take neither.
            (Err(fault), Ok(_)) => prop_assert_eq!(fault.code, ErrorCode::DuplicateKey),
            (Ok(value), Err(error)) => prop_assert!(false, "{} is {} here; serde_json refuses it: {}", text, value, error),
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _array = decode(&bytes, Format::JsonArray);
        let _lines = decode(&bytes, Format::Ndjson);
        let _table = decode(&bytes, Format::Csv);
    }

    #[test]
    fn an_arrays_records_are_where_their_offsets_say(values in prop::collection::vec(json(), 0..8), space in "[ \\t\\r\\n]{0,3}", mark in any::<bool>()) {
        let texts: Vec<String> = values.iter().map(Value::to_string).collect();
        let body = format!("{space}[{space}{}{space}]{space}", texts.join(&format!("{space},{space}")));
        let bytes = [if mark { b"\xef\xbb\xbf".as_slice() } else { b"" }, body.as_bytes()].concat();
        let records = decode(&bytes, Format::JsonArray).unwrap();
        prop_assert_eq!(records.len(), values.len());
        for ((index, record), (value, text)) in records.iter().enumerate().zip(values.iter().zip(&texts)) {
            prop_assert_eq!(record.index, index as u64);
            prop_assert_eq!(&bytes[record.offset..][..record.raw.len()], &record.raw[..]);
            prop_assert_eq!(&record.raw[..], text.as_bytes());
            prop_assert_eq!(&parse(std::str::from_utf8(&record.raw).unwrap(), 20).unwrap(), value);
        }
    }

    #[test]
    fn lines_are_where_their_offsets_say(values in prop::collection::vec(json(), 1..8), end in "\r?\n", last in any::<bool>()) {
        let mut body = values.iter().map(Value::to_string).collect::<Vec<_>>().join(&format!("{end}{end}"));
        if last {
            body.push_str(&end);
        }
        let records = decode(body.as_bytes(), Format::Ndjson).unwrap();
        prop_assert_eq!(records.len(), values.len());
        for (record, value) in records.iter().zip(&values) {
            prop_assert_eq!(&body.as_bytes()[record.offset..][..record.raw.len()], &record.raw[..]);
            prop_assert_eq!(&parse(std::str::from_utf8(&record.raw).unwrap(), 20).unwrap(), value);
        }
    }
}

/// RFC 8259 knows four kinds of white space, and these are not among them.
#[test]
fn a_form_feed_is_not_white_space() {
    for space in ["\x0c", "\x0b", "\u{a0}", "\u{2028}"] {
        let body = format!("1{space}\n{space}2\n{space}\n\t4 \r\n");
        let records = decode(body.as_bytes(), Format::Ndjson).unwrap();
        let read: Vec<_> = records.iter().map(|record| (record.index, record.code.as_str())).collect();
        assert_eq!(read, [(0, "not_json"), (1, "not_json"), (2, "not_json"), (3, "wrong_type")], "{space:?}");
        assert_eq!(records[2].raw, space.as_bytes());
        assert_eq!(code_of_object(format!("[1]{space}").as_bytes()), "not_json", "{space:?}");
    }
}

#[test]
fn an_object_without_a_record_is_empty_in_every_format() {
    let mark = "\u{feff}";
    for format in [Format::JsonArray, Format::Ndjson, Format::Csv] {
        for text in ["", mark, "\n", "\r\n\n", &format!("{mark}\r\n")] {
            let given = refused(text.as_bytes(), format);
            assert_eq!(fault_of_object(&given), ("corrupted_batch", "empty"), "{format:?} {text:?}");
        }
    }
    for text in [" ", " \n\t\r\n", &" ".repeat(10_000)] {
        let given = refused(text.as_bytes(), Format::Ndjson);
        assert_eq!(fault_of_object(&given), ("corrupted_batch", "empty"), "{text:?}");
    }
}

#[test]
fn an_object_that_is_not_an_array_has_a_code_that_says_why() {
    assert_eq!(code_of_object(b""), ErrorCode::Empty.as_str());
    assert_eq!(code_of_object(b" \r\n\t "), ErrorCode::Empty.as_str());
    assert_eq!(code_of_object(b"\xef\xbb\xbf"), ErrorCode::Empty.as_str());
    assert_eq!(code_of_object(b"[{\"id\": 1}, {\"id\""), ErrorCode::Truncated.as_str());
    assert_eq!(code_of_object(b"["), ErrorCode::Truncated.as_str());
    for cut in ["[-", "[1, -0.", "[2e", "[2E-", "[{\"a\": [1.", "-"] {
        assert_eq!(code_of_object(cut.as_bytes()), ErrorCode::Truncated.as_str(), "{cut}");
    }
    for wrong in ["[tr.", "[1-", "[01.", "[{]-", "e"] {
        assert_eq!(code_of_object(wrong.as_bytes()), ErrorCode::NotJson.as_str(), "{wrong}");
    }
    assert_eq!(code_of_object(b"{\"id\": 1}"), ErrorCode::NotAnArray.as_str());
    assert_eq!(code_of_object(b"null"), ErrorCode::NotAnArray.as_str());
    assert_eq!(code_of_object(b"{\"id\": "), ErrorCode::Truncated.as_str());
    assert_eq!(code_of_object(b"<html>busy</html>"), ErrorCode::NotJson.as_str());
    assert_eq!(code_of_object(b"[{\"id\": 1}] trailing"), ErrorCode::NotJson.as_str());
    assert_eq!(code_of_object(b"[{\"id\": 1},]"), ErrorCode::NotJson.as_str());
    assert_eq!(code_of_object(b"[\"\xff\xfe\"]"), ErrorCode::BadEncoding.as_str());
    assert_eq!(code_of_object(b"\xff\xfe[\0]\0"), ErrorCode::BadEncoding.as_str());
}

#[test]
fn an_empty_array_has_no_record_and_blank_lines_are_none() {
    assert!(decode(b" [] ", Format::JsonArray).unwrap().is_empty());
    let records = decode(b"\n\r\n  \n1\n \t\n", Format::Ndjson).unwrap();
    assert_eq!(records.iter().map(|record| (record.index, record.offset)).collect::<Vec<_>>(), [(0, 6)]);
}

#[test]
fn a_record_that_can_not_be_read_says_why() {
    assert_eq!(code_of_record("{\"a\": 1"), ErrorCode::Truncated);
    assert_eq!(code_of_record("\"\\u12"), ErrorCode::Truncated);
    assert_eq!(code_of_record("{'a': 1}"), ErrorCode::NotJson);
    assert_eq!(code_of_record("01"), ErrorCode::NotJson);
    assert_eq!(code_of_record("NaN"), ErrorCode::NotJson);
    assert_eq!(code_of_record("\"\u{1}\""), ErrorCode::NotJson);
    assert_eq!(code_of_record("{\"a\": 1} {\"a\": 2}"), ErrorCode::NotJson);
    assert_eq!(code_of_record("\"\\ud800\""), ErrorCode::Unrepresentable);
    assert_eq!(code_of_record("\"\\ud800\\u0041\""), ErrorCode::Unrepresentable);
    assert_eq!(parse("\"\\ud83d\\ude00\"", 1).unwrap(), Value::String("😀".to_owned()));
}

#[test]
fn a_duplicate_key_is_refused_at_its_place() {
    let fault = parse("{\"a\": [{\"b/c\": 1, \"b/c\": 1}]}", 20).unwrap_err();
    assert_eq!((fault.code, fault.path.as_deref()), (ErrorCode::DuplicateKey, Some("/a/0/b~1c")));
    let escaped = parse("{\"a\": 1, \"\\u0061\": 2}", 20).unwrap_err();
    assert_eq!(escaped.code, ErrorCode::DuplicateKey, "keys are compared after unescaping");
}

#[test]
fn an_object_that_looks_like_a_parsers_number_is_an_object() {
    let value = parse("{\"$serde_json::private::Number\": \"7\"}", 20).unwrap();
    assert!(value.is_object(), "{value:?}");
}

#[test]
fn nesting_is_bounded_without_a_crash() {
    let at_the_limit = format!("{}1{}", "[".repeat(20), "]".repeat(20));
    assert!(parse(&at_the_limit, 20).is_ok());
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(parse(&deep, 20).unwrap_err().code, ErrorCode::TooDeep);
    let hostile = format!("[{}]", "[".repeat(100_000));
    assert_eq!(code_of_object(hostile.as_bytes()), ErrorCode::Truncated.as_str());
}

#[test]
fn a_bad_line_affects_no_other() {
    let body = b"{\"id\": 1}\nnot json\n\xff\xfe\n{\"id\": 2}\n{\"id\": 3";
    let records = decode(body, Format::Ndjson).unwrap();
    let codes: Vec<_> = records.iter().map(|record| record.code.as_str()).collect();
    assert_eq!(codes, ["bad_value", "not_json", "bad_encoding", "bad_value", "truncated"]);
}

#[test]
fn a_record_and_an_object_beyond_their_limits_are_oversized() {
    let record = format!("[{{\"id\": \"{}\"}}, {{}}]", "x".repeat(1_000));
    let records = refused(record.as_bytes(), Format::JsonArray);
    assert_eq!(records.dead_letters[0]["_dead_letter_reason"], "oversized");
    assert_eq!(records.codes(), ["too_large", "bad_value"]);
    let object = refused(&vec![b' '; (1 << 20) + 1], Format::JsonArray);
    assert_eq!(fault_of_object(&object), ("oversized", "too_large"));
}
