//! Objects that are not what their stream's format says, and what their one dead letter says about them.

use std::io::Write;

use lake::stream::{Format, ReadSettings};
use serde_json::json;

use crate::{
    formats::{ids, read_each_way},
    one_task::{Given, context, fault_of_object, parse, read},
};

const FORMATS: [Format; 3] = [Format::JsonArray, Format::Ndjson, Format::Csv];

fn given(format: Format, bytes: &[u8]) -> Given {
    read_each_way(ReadSettings::of(format), bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn an_object_of_another_kind_is_one_dead_letter_that_says_what_it_looks_like() {
    let lines = "{\"id\": 1}\n".repeat(5);
    let mut tar = b"a.ndjson\0".to_vec();
    tar.resize(257, 0);
    tar.extend_from_slice(b"ustar\0");
    tar.resize(512, 0);
    let objects: [(&[u8], &str); 14] = [
        (b"PAR1\x15\x04\x15\x10\nmore\nlines", "Parquet"),
        (b"PK\x03\x04\x14\0\nmore\n", "zip, or an Office document"),
        (b"\xfd7zXZ\0\0\x04", "xz"),
        (b"Obj\x01\x04\x14avro.codec", "Avro"),
        (b"ORC\n\x03\0\0\x12", "ORC"),
        (b"BZh91AY&SY\xd5\x97\nx\n", "bzip2"),
        (b"\x04\x22\x4d\x18\x60", "lz4"),
        (b"%PDF-1.7\n%\xe2\xe3\nx\n", "PDF"),
        (b"<!DOCTYPE html>\n<html>\n<body>\n", "HTML"),
        (b"\xef\xbb\xbf\n <HTML lang=en>\n<body>\n", "HTML"),
        (b"<?xml version=\"1.0\"?>\n<Error>\n", "XML"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\n", "an old Excel or Office document"),
        (&gzip(lines.as_bytes()), "gzip in another compression"),
        (&tar, "tar"),
    ];
    for (bytes, looks) in objects {
        // Alone, gzip is not another kind.
        let plain = (!looks.starts_with("gzip")).then(|| bytes.to_vec());
        for (object, format) in
            plain.into_iter().chain([gzip(bytes)]).flat_map(|object| FORMATS.map(|format| (object.clone(), format)))
        {
            let given = given(format, &object);
            let (code, name) = match format {
                Format::JsonArray => ("not_json", "a JSON array"),
                Format::Ndjson => ("not_json", "lines of JSON"),
                Format::Csv => ("not_csv", "CSV"),
            };
            assert_eq!(fault_of_object(&given), ("corrupted_batch", code), "{looks} {format:?}");
            assert_eq!(given.messages(), [format!("the object looks like {looks}, not {name}")]);
        }
    }
}

#[test]
fn json_where_csv_should_be_is_named() {
    for text in ["[{\"id\": 1}]", "{\"id\": 1}\n{\"id\": 2}\n", "[\n  {\"id\": 1}\n]"] {
        assert_eq!(given(Format::Csv, text.as_bytes()).messages(), ["the object looks like JSON, not CSV"]);
    }
}

#[test]
fn nothing_that_can_be_read_is_taken_for_something_else() {
    for name in ["PAR1", "PK", "ORC", "Obj", "BZh91AY&SY", "%PDF-1.7", "<html>", "<?xml >", "Rar!", "[{", "ustar", "7z"]
    {
        let text = format!("{name},id\n1,2\n");
        assert_eq!(ids(&given(Format::Csv, text.as_bytes())), [2], "{name}");
        let alone = context(&json!({"properties": {name: {}}}), ReadSettings::of(Format::Csv), true);
        assert_eq!(read(&alone, format!("{name}\n1\n").as_bytes()).rows.len(), 1, "{name}");
    }
    // A line that is not JSON costs itself.
    for line in ["PAR1", "ORC started", "PK", "Obj", "xml", "<htmlx", "ustar"] {
        let lines = given(Format::Ndjson, format!("{line}\n{{\"id\": 1}}\n").as_bytes());
        assert_eq!(
            (ids(&lines).as_slice(), lines.codes().as_slice()),
            ([1].as_slice(), ["not_json"].as_slice()),
            "{line}"
        );
    }
    let text = format!("{{\"id\": 1, \"x\": \"{}ustar\"}}\n", " ".repeat(257 - 17));
    assert_eq!(ids(&given(Format::Ndjson, text.as_bytes())), [1]);
}

/// What a large object contains is known although its first bytes show that it can't be read.
#[test]
fn the_content_of_an_object_of_another_kind_is_that_of_all_its_bytes() {
    let mut object = b"PAR1\x15\x04".to_vec();
    object.resize(3 << 20, 7);
    let whole = read(&context(&json!({}), ReadSettings::of(Format::Ndjson), true), &object);
    let streamed =
        crate::one_task::read_in_pieces(&context(&json!({}), ReadSettings::of(Format::Ndjson), true), &object, 1 << 20);
    assert!(whole.result.content.is_some());
    assert_eq!(streamed.result, whole.result);
}

#[test]
fn what_people_and_other_languages_write_for_json_is_named() {
    for (text, what) in [
        ("{\"a\": NaN}", "at byte 6 of the record, NaN is not JSON; write null or a number"),
        ("{\"a\": -Infinity}", "at byte 7 of the record, Infinity is not JSON; write null or a number"),
        ("[nan]", "at byte 2 of the record, nan is not JSON; write null or a number"),
        ("{\"a\": None}", "at byte 6 of the record, None is not JSON; write null"),
        ("{\"a\": True}", "at byte 6 of the record, True is not JSON; write it in lower case"),
        ("{\"a\": 1} // one", "at byte 9 of the record, comments are not JSON; remove them"),
        ("{/* a */ \"a\": 1}", "at byte 1 of the record, comments are not JSON; remove them"),
        ("# {\"a\": 1}", "at byte 0 of the record, comments are not JSON; remove them"),
        ("{'a': 1}", "at byte 1 of the record, JSON has texts and keys in double quotes"),
        ("{\"a\": 1, }", "at byte 9 of the record, a comma before \"]\" or \"}\" is not JSON; remove it"),
        ("{\"a\": \"NaN\u{1}\"}", "at byte 10 of the record, expected a printable character or a quote within a text"),
        ("{\"a\": nul}", "at byte 9 of the record, expected true, false or null"),
        ("{\"a\": é}", "at byte 6 of the record, expected a value"),
    ] {
        assert_eq!(parse(text, 20).unwrap_err().message, what);
        let line = given(Format::Ndjson, format!("{text}\n{{\"id\": 1}}").as_bytes());
        assert_eq!((line.messages(), ids(&line)), (vec![what], vec![1]));
    }
    for (text, what) in [
        ("[{\"id\": 1},\n {\"id\": NaN}]", ": NaN is not JSON; write null or a number"),
        ("[-Infinity]", ": Infinity is not JSON; write null or a number"),
        ("[1] // all", ": comments are not JSON; remove them"),
        ("// all\n[1]", ": comments are not JSON; remove them"),
        ("[1,\n\n2,]", ": a comma before \"]\" or \"}\" is not JSON; remove it"),
        ("[1 2]", ""),
    ] {
        let given = given(Format::JsonArray, text.as_bytes());
        assert_eq!(fault_of_object(&given), ("corrupted_batch", "not_json"), "{text}");
        assert!(given.messages()[0].ends_with(&format!(" on{what}")), "{:?}", given.messages());
    }
}

/// A zstd frame (RFC 8878) with a window of two to the power of `log` bytes, and one block of plain text.
fn frame(log: u8, text: &[u8]) -> Vec<u8> {
    let block = (u32::try_from(text.len()).unwrap() << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3], &block[..3], text].concat()
}

#[test]
fn a_zstd_window_beyond_the_limit_is_named_with_the_setting_that_allows_it() {
    let read = |log: u8, zstd_window_max: u64| {
        let settings = ReadSettings { zstd_window_max, ..ReadSettings::of(Format::Ndjson) };
        read_each_way(settings, &frame(log, b"{\"id\": 1}\n"))
    };
    let usual = ReadSettings::of(Format::Ndjson).zstd_window_max;
    assert_eq!(usual, 128 << 20);
    for (log, limit) in [(27, usual), (28, 1 << 28), (20, 1 << 20), (20, (1 << 20) + 5)] {
        assert_eq!(ids(&read(log, limit)), [1], "{log} {limit}");
    }
    for (log, limit) in [(28, usual), (31, usual), (21, 1 << 20), (21, (1 << 21) - 1)] {
        let given = read(log, limit);
        assert_eq!(fault_of_object(&given), ("corrupted_batch", "bad_compression"), "{log} {limit}");
        let what = format!("a window that is larger than limits.zstd_window allows, {limit} bytes");
        assert!(given.messages()[0].contains(&what), "{:?}", given.messages());
    }
}
