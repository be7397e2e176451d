//! CSV as it comes: line ends of every kind, quotes where none should be, and first rows that are not a header.

use lake::stream::{CsvQuotes, CsvSettings, Format, ReadSettings};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    formats::{ids, read_each_way},
    one_task::{Given, context, fault_of_object, read, read_in_pieces},
};

/// Reads an object with records of at most this many bytes.
fn short(bytes: impl AsRef<[u8]>, record_bytes_max: u64) -> Given {
    read_each_way(ReadSettings { record_bytes_max, ..ReadSettings::of(Format::Csv) }, bytes.as_ref())
}

fn csv(bytes: impl AsRef<[u8]>) -> Given {
    short(bytes, 500)
}

/// Reads an object under a schema of its own.
fn under(schema: &Value, text: &str) -> Given {
    read(&context(schema, ReadSettings::of(Format::Csv), true), text.as_bytes())
}

/// What each row has in these three text columns.
fn cells(quotes: CsvQuotes, row: &str) -> Given {
    let schema =
        json!({"properties": {"price": {"type": "string"}, "name": {"type": "string"}, "note": {"type": "string"}}});
    let csv = CsvSettings { quotes, ..CsvSettings::default() };
    let settings = ReadSettings { csv, ..ReadSettings::of(Format::Csv) };
    read(&context(&schema, settings, true), format!("price,name,note\n{row}\n").as_bytes())
}

/// Each dead letter's bytes, cut from the object's text.
fn places<'t>(given: &Given, text: &'t str) -> Vec<&'t str> {
    let place = |letter: &serde_json::Map<String, Value>| {
        let [at, length] = ["_byte_offset", "_byte_length"].map(|field| letter[field].as_u64().unwrap() as usize);
        &text[at..at + length]
    };
    given.dead_letters.iter().map(place).collect()
}

#[test]
fn a_line_may_end_in_cr_alone_in_lf_and_in_both_in_one_object() {
    for text in [
        "id,name\r1,ann\r2,bob\r",
        "id,name\r1,ann\r\n2,bob\r\n",
        "id,name\n1,ann\r2,bob",
        "id,name\r\n\r1,ann\n\r2,bob\r\r",
    ] {
        let given = csv(text);
        let names: Vec<_> = given.rows.iter().map(|row| &row["name"]).collect();
        assert_eq!((ids(&given), names), (vec![1, 2], vec![&json!("ann"), &json!("bob")]), "{text:?}");
        assert_eq!(given.dead_letters.len(), 0, "{text:?}");
    }
}

#[test]
fn a_line_end_that_was_translated_twice_is_one() {
    let given = csv("id,name\r\r\n1,ann\r\r\nx,bob\r\r\n2,cy\r\r\n");
    let names: Vec<_> = given.rows.iter().map(|row| &row["name"]).collect();
    assert_eq!((ids(&given), names), (vec![1, 2], vec![&json!("ann"), &json!("cy")]));
    assert_eq!(given.messages(), ["line 3: expected integer, got \"x\""]);
}

#[test]
fn a_cr_in_a_quoted_cell_is_text_and_counts_as_a_line() {
    let given = csv("id,name\r1,\"a\rb\r\nc\nd\"\rx,e\r");
    assert_eq!(given.rows[0]["name"], json!("a\rb\r\nc\nd"));
    assert_eq!(given.messages(), ["line 6: expected integer, got \"x\""]);
}

#[test]
fn the_rest_of_a_long_line_with_an_open_quote_is_never_a_row() {
    let text = format!("id,name\n1,a\n2,\"{}7,smuggled\n3,b\n", "x".repeat(60));
    let given = short(&text, 50);
    assert_eq!((ids(&given).as_slice(), given.codes().as_slice()), ([1, 3].as_slice(), ["too_large"].as_slice()));
    assert_eq!(places(&given, &text), [text.lines().nth(2).unwrap()]);
}

#[test]
fn quotes_count_in_the_part_of_a_row_that_is_beyond_the_limit() {
    let text = format!("id,name\n1,{},\"so\n5,smuggled\n6,too\"\n2,b\n", "x".repeat(60));
    let given = short(&text, 50);
    assert_eq!((ids(&given).as_slice(), given.codes().as_slice()), ([2].as_slice(), ["too_large"].as_slice()));
    assert_eq!(places(&given, &text), [&text[8..text.len() - 5]]);
    // One that is never closed there costs its line.
    let text = format!("id,name\n1,{},\"so\n5,e\n{}x,b\n", "x".repeat(60), "6,f\n".repeat(30));
    let given = short(&text, 50);
    assert_eq!((given.rows.len(), given.codes()), (31, vec!["too_large", "wrong_type"]));
    assert_eq!(given.messages()[1], "line 34: expected integer, got \"x\"");
}

#[test]
fn a_broken_line_ends_where_lines_of_its_object_end() {
    // In an object of line feeds, what follows a CR on a broken line is not a row.
    let text = "id,name\n1,\"a\r5,smuggled\r\n2,b\n";
    let given = csv(text);
    assert_eq!((ids(&given).as_slice(), places(&given, text)), ([2].as_slice(), vec!["1,\"a\r5,smuggled"]));
    let text = "id,name\r1,\"a\r5,e\r2,b\r";
    let given = csv(text);
    assert_eq!((ids(&given).as_slice(), places(&given, text)), ([5, 2].as_slice(), vec!["1,\"a"]));
}

#[test]
fn a_quote_that_may_hide_a_lost_delimiter_is_not_csv() {
    for row in [
        "$2\"Table, round\",\"x\"",
        "$2,Table\"a, b\"",
        "$2\"a\"\"b, c\",x",
        "$2, \"Table, round\"",
        "a,\"b \\\", c\"",
        "5\" by 6\" pipe,b,c",
        "a,b,c\"",
        "a,b\"\",c",
    ] {
        let given = cells(CsvQuotes::Usual, row);
        assert_eq!((given.rows.len(), given.codes()), (0, vec!["not_csv"]), "{row}");
        assert!(given.messages()[0].contains("csv.quotes = \"lenient\""), "{:?}", given.messages());
    }
}

#[test]
fn a_lone_quote_within_a_cell_is_text_unless_a_setting_says_otherwise() {
    for (row, name) in [
        ("1,5\" pipe,x", "5\" pipe"),
        ("1,5\" pipe,3\" rod", "5\" pipe"),
        ("1,O\"Neil,\"x\"", "O\"Neil"),
        ("1,5\"\" and 6\"\" pipes,x", "5\"\" and 6\"\" pipes"),
    ] {
        for quotes in [CsvQuotes::Usual, CsvQuotes::Lenient] {
            let given = cells(quotes, row);
            assert_eq!((given.dead_letters.len(), &given.rows[0]["name"]), (0, &json!(name)), "{row} {quotes:?}");
        }
        assert_eq!(cells(CsvQuotes::Strict, row).codes(), ["not_csv"], "{row}");
    }
    let given = cells(CsvQuotes::Lenient, "$2\"Table, round\",\"x\"");
    assert_eq!((&given.rows[0]["price"], &given.rows[0]["name"]), (&json!("$2\"Table"), &json!(" round\"")));
    let quoted = cells(CsvQuotes::Strict, "1,\"5\"\" pipe\",x");
    assert_eq!(quoted.rows[0]["name"], json!("5\" pipe"));
}

#[test]
fn a_first_row_without_the_required_names_is_not_a_header_and_no_record_is_lost() {
    for text in ["1,ann\n", "2,bob\n3,cy\n", "ID,name\n1,a\n", "name\na\n", "id;name\n1;a\n", "id,\"name\n5,e\"\n6,f\n"]
    {
        let given = csv(text);
        assert_eq!(fault_of_object(&given), ("corrupted_batch", "bad_header"), "{text:?}");
    }
    let missing = csv("1,ann\n");
    assert_eq!(
        missing.messages(),
        ["line 1: the header does not have the required name \"id\"; is the header missing?"]
    );
    let line_end = csv("id,\"name\n5,e\"\n6,f\n");
    assert_eq!(
        line_end.messages(),
        ["line 1: a line end is in the header's name \"name\\n5,e\"; is a quote not closed?"]
    );
}

#[test]
fn the_required_names_are_found_through_references_and_all_of() {
    let schema = json!({
        "$ref": "#/$defs/record",
        "$defs": {
            "record": {"allOf": [{"required": ["id"]}, {"$ref": "#/$defs/named"}], "properties": {"id": {}, "name": {}}},
            "named": {"required": ["name"]},
        },
    });
    for text in ["id\n1\n", "name\na\n", "1,a\n"] {
        assert_eq!(fault_of_object(&under(&schema, text)), ("corrupted_batch", "bad_header"), "{text:?}");
    }
    assert_eq!(under(&schema, "name,id\na,1\n").rows.len(), 1);
    // One of several is not required of all, and what drafts ignore is not either.
    let either = json!({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]});
    assert_eq!(under(&either, "b\n1\n").rows.len(), 1);
    let draft_7 = json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "$ref": "#/definitions/r",
        "required": ["gone"], "definitions": {"r": {"properties": {"b": {}}}}});
    assert_eq!(under(&draft_7, "b\n1\n").rows.len(), 1);
}

#[test]
fn a_first_row_with_no_name_of_the_schema_is_not_a_header() {
    let schema = json!({"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}});
    assert_eq!(fault_of_object(&under(&schema, "1,ann\n2,bob\n")), ("corrupted_batch", "bad_header"));
    assert_eq!(under(&schema, "name,more\nann,x\n").rows.len(), 1);
    // A schema that names nothing, or that names fields in another way, leaves it open.
    let others = [
        json!({"type": "object"}),
        json!({"properties": {"id": {}}, "additionalProperties": {"type": "string"}}),
        json!({"properties": {"id": {}}, "patternProperties": {"^[0-9]": {}}}),
        json!({"properties": {"id": {}}, "oneOf": [{"properties": {"1": {}}}]}),
    ];
    for schema in others {
        assert_eq!(under(&schema, "1,ann\n2,bob\n").rows.len(), 1, "{schema}");
    }
}

#[test]
fn blanks_around_names_do_not_belong_to_them_unless_the_schema_has_them_or_they_are_quoted() {
    let given = csv("id , name,\tat\n1, ann,\n");
    assert_eq!((ids(&given).as_slice(), &given.rows[0]["name"]), ([1].as_slice(), &json!(" ann")));
    let schema = json!({"properties": {" id": {"type": "integer"}, "a\nb": {"type": "string"}}});
    let given = under(&schema, " id,\" c\",\"a\nb\"\n1,x,y\n");
    assert_eq!((&given.rows[0][" id"], &given.rows[0]["a\nb"]), (&json!(1), &json!("y")));
    assert_eq!(given.rows[0]["_extra"], json!("{\" c\":\"x\"}"));
    assert_eq!(csv("id, id\n1,2\n").codes(), ["duplicate_key"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_the_line_ends_each_row_is_read_once(
        rows in prop::collection::vec(("[a-z \"]{0,4}", "([a-z]{0,6}|\"[a-z,\r\n]{0,6}\")", "(\n|\r|\r\n|\r\r\n)"), 1..20),
        piece in 1_usize..9,
    ) {
        let rows = rows.iter().filter(|(first, _, _)| !first.starts_with('"')).collect::<Vec<_>>();
        let text: String = rows.iter().map(|(first, second, end)| format!("{first},{second}{end}")).collect();
        let csv = CsvSettings { quotes: CsvQuotes::Lenient, ..CsvSettings::default() };
        let settings = ReadSettings { csv, ..ReadSettings::of(Format::Csv) };
        let refuses_all = context(&json!({"type": "object", "not": {}}), settings, true);
        let given = read_in_pieces(&refuses_all, format!("a,b\n{text}").as_bytes(), piece);
        let read: Vec<_> = given.dead_letters.iter().map(|letter| letter["_raw_record"].as_str().unwrap()).collect();
        let sent: Vec<_> = rows.iter().map(|(first, second, _)| format!("{first},{second}")).collect();
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn no_table_is_read_differently_in_pieces(text in "id,name\n([a1\",\r\n]|1,a\n){0,120}", limit in 1_u64..40) {
        short(text, limit);
    }

    /// Each byte that is not a line end belongs to a row or to a dead letter, and to one only.
    #[test]
    fn no_byte_of_a_table_is_lost_or_read_twice(text in "([a1\",\r\n]|1,a\n){0,120}", limit in 1_u64..40) {
        let table = format!("id,name\n{text}");
        let settings = ReadSettings { record_bytes_max: limit.max(7), ..ReadSettings::of(Format::Csv) };
        let given = read(&context(&json!({"not": {}, "properties": {"id": {}}}), settings, true), table.as_bytes());
        let mut at = 8;
        for letter in &given.dead_letters {
            let [offset, length] = ["_byte_offset", "_byte_length"].map(|field| letter[field].as_u64().unwrap() as usize);
            prop_assert!(table[at..offset].chars().all(|between| matches!(between, '\r' | '\n')), "{at} {offset}");
            at = offset + length;
        }
        prop_assert!(table[at..].chars().all(|after| matches!(after, '\r' | '\n')));
    }
}
