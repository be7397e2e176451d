//! Formats and compressions: what each object gives, in memory and in pieces, and what is reported if it can't be read.

use std::io::Write;

use flate2::write::GzEncoder;
use lake::stream::{CsvSettings, Format, ReadSettings};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::one_task::{Given, context, fault_of_object, read, read_in_pieces};

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": "string"},
            "at": {"type": "string", "format": "date-time"},
            "good": {"type": "boolean"},
            "price": {"type": ["number", "null"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    })
}

fn csv(bytes: impl AsRef<[u8]>) -> Given {
    csv_with(bytes, CsvSettings::default())
}

/// Reads a CSV object in each way; the results must be equal.
fn csv_with(bytes: impl AsRef<[u8]>, csv: CsvSettings) -> Given {
    read_each_way(ReadSettings { csv, record_bytes_max: 500, ..ReadSettings::of(Format::Csv) }, bytes.as_ref())
}

pub(crate) fn read_each_way(settings: ReadSettings, bytes: &[u8]) -> Given {
    let [fast, slow] = [true, false].map(|compiled| context(&schema(), settings.clone(), compiled));
    let given = read(&fast, bytes);
    for other in [read(&slow, bytes), read_in_pieces(&fast, bytes, 1), read_in_pieces(&slow, bytes, 7)] {
        assert_eq!(other.rows, given.rows);
        assert_eq!(other.messages(), given.messages());
        assert_eq!(other.result, given.result);
    }
    given
}

fn gzip(parts: &[&[u8]]) -> Vec<u8> {
    let member = |part: &&[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    parts.iter().flat_map(member).collect()
}

fn zstd(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| zstd::encode_all(*part, 1).unwrap()).collect()
}

pub(crate) fn ids(given: &Given) -> Vec<i64> {
    given.rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[test]
fn cells_get_the_types_of_their_columns() {
    let given = csv("id,name,at,good,price,tags\n\
                     1,Zoë,2026-11-20T08:00:00Z,true,1.5,\"[\"\"a\"\",\"\"b\"\"]\"\r\n\
                     2.0,\"1\",2026-11-20T08:00:00+01:00,FALSE,,[]\n\
                     \n\
                     3,\"two\nlines, and a \"\"quote\"\"\",,,1e3,\n");
    assert_eq!(given.messages(), [""; 0]);
    assert_eq!(ids(&given), [1, 2, 3]);
    let [first, second, third] = given.rows.as_slice() else { panic!("{given:?}") };
    assert_eq!((&first["name"], &first["good"], &first["price"]), (&json!("Zoë"), &json!(true), &json!(1.5)));
    assert_eq!(first["tags"], json!(["a", "b"]));
    assert_eq!((&second["name"], &second["good"], second.get("price")), (&json!("1"), &json!(false), None));
    assert_eq!(second["at"], json!("2026-11-20T07:00:00Z"));
    assert_eq!(third["name"], json!("two\nlines, and a \"quote\""));
    assert_eq!((third.get("at"), &third["price"], &third["_record_index"]), (None, &json!(1000.0), &json!(2)));
}

#[test]
fn a_null_cell_is_null_and_in_quotes_it_is_text() {
    let settings = CsvSettings { delimiter: ';', quote: '\'', null: "NULL".to_owned(), ..CsvSettings::default() };
    let given = csv_with("id;name;price\n1;NULL;NULL\n2;'NULL';'NULL'\n3;;3\nNULL;it''s;3\n4;'it''s; so';3", settings);
    let names: Vec<_> = given.rows.iter().map(|row| row.get("name")).collect();
    assert_eq!(names, [None, Some(&json!("NULL")), Some(&json!("")), Some(&json!("it's; so"))]);
    assert_eq!(
        (ids(&given).as_slice(), given.codes().as_slice()),
        ([1, 2, 3, 4].as_slice(), ["missing_field"].as_slice())
    );
}

#[test]
fn a_bad_row_or_cell_is_one_dead_letter_with_its_line_and_place() {
    let text = "id,name\n1,a\n2\nx,b\n3,\"c\"d\n4,c,d\n5,e\n";
    let given = csv(text);
    assert_eq!(ids(&given), [1, 5]);
    assert_eq!(given.codes(), ["ragged_row", "wrong_type", "not_csv", "ragged_row"]);
    assert_eq!(
        given.messages(),
        [
            "line 3: the row has 1 cells; the header has 2 names",
            "line 4: expected integer, got \"x\"",
            "line 5: something other than a delimiter follows the quote that closes a cell",
            "line 6: the row has 3 cells; the header has 2 names",
        ]
    );
    for letter in &given.dead_letters {
        let (offset, length) =
            (letter["_byte_offset"].as_u64().unwrap() as usize, letter["_byte_length"].as_u64().unwrap());
        assert_eq!(letter["_raw_record"], text[offset..offset + length as usize]);
    }
    let reasons: Vec<_> = given.dead_letters.iter().map(|letter| &letter["_dead_letter_reason"]).collect();
    assert_eq!(reasons, ["corrupted_record", "invalid_schema", "corrupted_record", "corrupted_record"]);
}

#[test]
fn a_quote_that_is_never_closed_costs_its_line_alone() {
    let given = csv("id,name\n1,a\n2,\"b\n3,c\n4,d\n");
    assert_eq!((ids(&given).as_slice(), given.codes().as_slice()), ([1, 3, 4].as_slice(), ["truncated"].as_slice()));
    assert_eq!(given.messages(), ["line 3: a quote is opened and never closed"]);
    // The same if another quote follows, but further away than the longest record.
    let given = csv(format!("id,name\n2,\"b\n3,c\n{}4,\"d\"\n", "7,x\n".repeat(200)));
    assert_eq!((given.codes().as_slice(), given.rows.len()), (["truncated"].as_slice(), 202));
}

#[test]
fn an_invalid_header_makes_a_corrupt_object() {
    for (text, code) in [
        ("a,b,a\n1,2,3\n", "duplicate_key"),
        ("a,\"b\"c\n1,2\n", "not_csv"),
        ("a,\"b\n1,2\n", "truncated"),
        ("\r\n\n", "empty"),
    ] {
        let given = csv(text);
        assert_eq!(fault_of_object(&given), ("corrupted_batch", code), "{text:?}");
    }
    let given = csv("id,name\n");
    assert!(given.rows.is_empty() && given.dead_letters.is_empty(), "a header alone has no record");
}

#[test]
fn what_the_schema_does_not_name_is_kept_as_text() {
    let given = csv("id,note,more\n1,007,\n2,\"\",x\n");
    let extra: Vec<_> = given.rows.iter().map(|row| &row["_extra"]).collect();
    assert_eq!(extra, [&json!("{\"note\":\"007\"}"), &json!("{\"note\":\"\",\"more\":\"x\"}")]);
}

#[test]
fn each_format_is_read_plain_and_compressed_in_one_part_and_in_several() {
    let lines: &[u8] = b"\xef\xbb\xbf{\"id\": 1}\r\n\n{\"id\": 2}\nnot json\n{\"id\": 3}";
    let table: &[u8] = b"\xef\xbb\xbfid,name\r\n1,a\r\n2,b\r\nx,y\r\n3,c";
    let array: &[u8] = b"\xef\xbb\xbf[{\"id\": 1}, {\"id\": 2}, {\"id\": \"x\"}, {\"id\": 3}]";
    for (format, bytes) in [(Format::Ndjson, lines), (Format::Csv, table), (Format::JsonArray, array)] {
        let (begin, end) = bytes.split_at(11);
        let written =
            [bytes.to_vec(), gzip(&[bytes]), gzip(&[begin, b"", end]), zstd(&[bytes]), zstd(&[begin, b"", end])];
        let plain = read_each_way(ReadSettings::of(format), bytes);
        assert_eq!((ids(&plain).as_slice(), plain.dead_letters.len()), ([1, 2, 3].as_slice(), 1), "{format:?}");
        for object in written {
            let given = read_each_way(ReadSettings::of(format), &object);
            assert_eq!((&given.rows, &given.dead_letters), (&plain.rows, &plain.dead_letters), "{format:?} {object:?}");
        }
    }
}

#[test]
fn a_compressed_object_that_is_broken_is_one_dead_letter() {
    let text = "{\"id\": 1}\n".repeat(1_000);
    let whole = [gzip(&[text.as_bytes()]), zstd(&[text.as_bytes()])];
    for mut object in whole {
        let cut = &object[..object.len() - 5];
        let given = read_each_way(ReadSettings::of(Format::Ndjson), cut);
        assert_eq!(fault_of_object(&given), ("corrupted_batch", "bad_compression"));
        assert!(given.messages()[0].contains("ends too early"), "{:?}", given.messages());
        object.extend_from_slice(b"what is this");
        let given = read_each_way(ReadSettings::of(Format::Ndjson), &object);
        assert_eq!(fault_of_object(&given), ("corrupted_batch", "bad_compression"));
    }
}

#[test]
fn another_encoding_is_recognized_by_its_first_bytes() {
    let text = "[{\"id\": 1}]";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let wide: Vec<u8> = text.chars().flat_map(|character| u32::from(character).to_le_bytes()).collect();
    let marked = [b"\xff\xfe".as_slice(), &little].concat();
    for (bytes, named) in [(little, "UTF-16"), (big, "UTF-16"), (marked, "UTF-16"), (wide, "UTF-32")] {
        for format in [Format::JsonArray, Format::Ndjson, Format::Csv] {
            let given = read_each_way(ReadSettings::of(format), &bytes);
            assert_eq!(fault_of_object(&given), ("corrupted_batch", "bad_encoding"), "{format:?} {named}");
            assert!(given.messages()[0].contains(named));
        }
    }
    let latin = read_each_way(ReadSettings::of(Format::Csv), b"id,name\n1,Zo\xeb\n2,b\n");
    assert_eq!((ids(&latin).as_slice(), latin.codes().as_slice()), ([2].as_slice(), ["bad_encoding"].as_slice()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_as_csv_is_read_as_it_was(
        cells in prop::collection::vec(prop::collection::vec("[a,\"\n\r é]{0,6}", 2), 1..6),
        end in "\r?\n",
        piece in 1_usize..20,
    ) {
        let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
        let rows = cells.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(","));
        let text = std::iter::once("name,other".to_owned()).chain(rows).collect::<Vec<_>>().join(&end);
        let schema = json!({"properties": {"name": {"type": "string"}, "other": {"type": "string"}}});
        let settings = ReadSettings::of(Format::Csv);
        for compiled in [true, false] {
            let given = read_in_pieces(&context(&schema, settings.clone(), compiled), text.as_bytes(), piece);
            let read: Vec<_> = given.rows.iter().map(|row| [&row["name"], &row["other"]]).collect();
            let sent: Vec<_> = cells.iter().map(|row| [json!(row[0]), json!(row[1])]).collect();
            prop_assert_eq!(read, sent.iter().map(|[name, other]| [name, other]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_bytes_are_read_differently_in_pieces(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b','), Just(b'\n')], 0..80),
        format in prop_oneof![Just(Format::Ndjson), Just(Format::Csv)],
    ) {
        read_each_way(ReadSettings { record_bytes_max: 20, ..ReadSettings::of(format) }, &bytes);
    }
}
