//! Limits: what happens when each one is exceeded, and that memory does not grow with the input.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
};

use consumer::{
    execute::{Source, Streamed},
    inspect::verify,
};
use flate2::write::GzEncoder;
use lake::stream::{Format, ReadSettings};
use serde_json::{Value, json};

use crate::{
    lake_in_a_folder::{FolderLake, definition},
    one_task::{Given, context, fault_of_object, read, read_in_pieces, read_source},
};

fn schema() -> Value {
    json!({"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": "string"}}})
}

fn lines(settings: ReadSettings, bytes: &[u8]) -> Given {
    let context = context(&schema(), settings, true);
    let given = read(&context, bytes);
    let in_pieces = read_in_pieces(&context, bytes, 100);
    assert_eq!((&in_pieces.rows, in_pieces.messages()), (&given.rows, given.messages()));
    given
}

#[test]
fn a_line_that_is_too_long_is_cut_and_the_next_one_is_read() {
    let settings = ReadSettings { record_bytes_max: 1_000, raw_bytes_max: 300, ..ReadSettings::of(Format::Ndjson) };
    // The second is also longer than the part that is read at once.
    for length in [1_001_usize, 100_000] {
        let long = format!("{{\"text\": \"{}\"}}", "x".repeat(length - 12));
        let given = lines(settings.clone(), format!("{{\"id\": 1}}\n  {long}  \r\n{{\"id\": 2}}").as_bytes());
        let [letter] = given.dead_letters.as_slice() else { panic!("{given:?}") };
        assert_eq!(
            (&letter["_dead_letter_reason"], &letter["_error_code"]),
            (&json!("oversized"), &json!("too_large"))
        );
        assert_eq!((&letter["_byte_offset"], &letter["_byte_length"]), (&json!(12), &json!(length)));
        assert_eq!((&letter["_raw_record"], &letter["_raw_truncated"]), (&json!(long[..300]), &json!(true)));
        assert_eq!(given.rows.len(), 2);
    }
}

#[test]
fn a_csv_row_that_is_too_long_is_cut_and_the_next_one_is_read() {
    let settings = ReadSettings { record_bytes_max: 1_000, raw_bytes_max: 300, ..ReadSettings::of(Format::Csv) };
    for length in [1_001_usize, 100_000] {
        let long = format!("2,{}", "x".repeat(length - 2));
        let given = lines(settings.clone(), format!("id,text\n1,a\n{long}\n3,c\n").as_bytes());
        assert_eq!((given.codes().as_slice(), given.rows.len()), (["too_large"].as_slice(), 2));
        let letter = &given.dead_letters[0];
        assert_eq!((&letter["_byte_length"], &letter["_raw_truncated"]), (&json!(length), &json!(true)));
    }
}

#[test]
fn more_fields_than_the_limit_are_a_dead_letter() {
    let settings = ReadSettings { fields_max: 5, ..ReadSettings::of(Format::Ndjson) };
    let record = |fields: usize| {
        let fields: Vec<String> = (0..fields).map(|name| format!("\"f{name}\": {{}}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let nested = "{\"a\": {\"b\": {\"c\": [{\"d\": 1}, {\"e\": 1}, {\"f\": 1}]}}}";
    let given = lines(settings, format!("{}\n{}\n{nested}", record(5), record(6)).as_bytes());
    assert_eq!((given.codes().as_slice(), given.rows.len()), (["too_many_fields"; 2].as_slice(), 1));
    assert_eq!(given.messages()[0], "the record has more than 5 fields (limits.fields)");
    let settings = ReadSettings { fields_max: 2, ..ReadSettings::of(Format::Csv) };
    let given = lines(settings, b"a,b,c\n1,2,3\n");
    assert_eq!(fault_of_object(&given), ("corrupted_batch", "too_many_fields"));
}

#[test]
fn an_object_that_decompresses_to_more_than_its_limits_is_oversized() {
    let text = "{\"id\": 1}\n".repeat(400_000);
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    let object = encoder.finish().unwrap();
    let by_ratio = ReadSettings { ratio_max: 10, ..ReadSettings::of(Format::Ndjson) };
    let by_bytes = ReadSettings { object_bytes_max: 3_000_000, ..ReadSettings::of(Format::Ndjson) };
    for (settings, named) in [(by_ratio, "limits.ratio"), (by_bytes, "limits.object_bytes")] {
        for format in [Format::Ndjson, Format::Csv, Format::JsonArray] {
            let given = lines(ReadSettings { format, ..settings.clone() }, &object);
            assert_eq!(fault_of_object(&given), ("oversized", "too_large"), "{format:?} {named}");
            assert!(given.messages()[0].contains(named), "{:?}", given.messages());
        }
    }
}

#[test]
fn a_pattern_that_invites_backtracking_takes_linear_time() {
    let schema = json!({"type": "object", "properties": {"text": {"type": "string", "pattern": "^(a+)+$"}}});
    let record = format!("{{\"text\": \"{}b\"}}", "a".repeat(50_000));
    // Backtracking would practically never end.
    let given = read(&context(&schema, ReadSettings::of(Format::Ndjson), true), record.as_bytes());
    assert_eq!(given.codes(), ["bad_pattern"]);
}

/// An object of many lines, generated while it is read.
#[derive(Clone, Copy, Debug)]
struct Made {
    lines: u64,
}

const LINE: &[u8] =
    b"{\"id\": 12345678901, \"text\": \"a line that is made while it is read, as many times as is asked\"}\n";

impl Streamed for Made {
    fn open(&self) -> Box<dyn Read + Send> {
        Box::new(Lines { left: self.lines, at: 0 })
    }
}

struct Lines {
    left: u64,
    at: usize,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut length = 0;
        while length < buffer.len() && self.left > 0 {
            let part = &LINE[self.at..LINE.len().min(self.at + buffer.len() - length)];
            buffer[length..length + part.len()].copy_from_slice(part);
            length += part.len();
            self.at = (self.at + part.len()) % LINE.len();
            self.left -= u64::from(self.at == 0);
        }
        Ok(length)
    }
}

#[test]
fn an_object_of_many_lines_streams_through() {
    let lines = 100_000;
    let source = Source::Streamed(std::sync::Arc::new(Made { lines }));
    let context = context(&schema(), ReadSettings::of(Format::Ndjson), true);
    let given = read_source(&context, source, lines as usize * LINE.len());
    assert_eq!((given.result.rows, given.result.dead_letters), (lines, 0));
    assert!(given.result.content.is_some(), "the content ID is known for a streamed object too");
}

#[tokio::test]
async fn a_long_object_becomes_several_files_and_a_second_execution_makes_the_same_ones() {
    let lake = FolderLake::new().await;
    let mut rng = fastrand::Rng::with_seed(1);
    let line = |id: u64| format!("{{\"id\": {id}, \"text\": \"{:032x}{:032x}\"}}\n", rng.u128(..), rng.u128(..));
    let lines: String = (0..30_000).map(line).collect();
    lake.land("long.ndjson", lines + "no record\n");
    let mut definition = definition(Format::Ndjson);
    definition.read.file_bytes = 500_000;
    lake.consume(definition.clone()).await.unwrap();
    let first = lake.holds().await;
    assert!(first.commits[0].files.len() > 3, "{:?}", first.commits[0].files);
    let ids: BTreeSet<_> = first.rows.iter().filter_map(|row| row["id"].as_u64()).collect();
    assert_eq!((first.rows.len(), ids.len(), first.dead_letters.len()), (30_000, 30_000, 1));

    // As if the consumer had died before the commit.
    std::fs::remove_file(lake.path("checkpoints/events/commits/00000000000000000001.json")).unwrap();
    lake.consume(definition).await.unwrap();
    let second = lake.holds().await;
    assert_eq!(second.commits[0].files, first.commits[0].files);
    assert!(verify(&lake.ledger()).await.unwrap().ok);
}

/// Fails when an object that streams leaves no bytes in its dead letter, as it did once.
#[test]
fn what_a_dead_letter_keeps_of_a_bad_object_does_not_depend_on_how_it_was_fetched() {
    let mut cut = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    cut.write_all(&b"{\"id\": 1}\n".repeat(1_000)).unwrap();
    let cut = cut.finish().unwrap();
    let too_long = b"{\"id\": 1}\n".repeat(30_000);
    let objects: [(&[u8], u64); 4] = [
        (&cut[..cut.len() - 9], 1 << 20),
        (&too_long, 100_000),
        (b"\xff\xfe{\0\"\0", 1 << 20),
        ("\u{feff}".as_bytes(), 1 << 20),
    ];
    for (object, object_bytes_max) in objects {
        for raw_bytes_max in [0, 7, 1 << 20] {
            let settings = ReadSettings { object_bytes_max, raw_bytes_max, ..ReadSettings::of(Format::Ndjson) };
            let context = context(&schema(), settings, true);
            let whole = read(&context, object);
            for piece in [1, 100, 1 << 20] {
                assert_eq!(read_in_pieces(&context, object, piece).dead_letters, whole.dead_letters);
            }
            let kept = whole.dead_letters.first().map(|letter| {
                let text = letter.get("_raw_record").and_then(Value::as_str).unwrap_or_default().len();
                // Bytes are shown in hex.
                text + letter.get("_raw_bytes").and_then(Value::as_str).unwrap_or_default().len() / 2
            });
            if object != "\u{feff}".as_bytes() {
                assert_eq!(kept, Some(object.len().min(raw_bytes_max as usize)));
            }
        }
    }
}

/// The same of objects that are too large to be read at all, by their size in the listing.
#[tokio::test]
async fn an_object_that_is_too_large_is_kept_with_its_first_bytes() {
    let lake = FolderLake::new().await;
    lake.land("a.json", format!("[{{\"id\": 1, \"text\": \"{}\"}}]", "é".repeat(100)));
    let mut definition = definition(Format::JsonArray);
    (definition.read.object_bytes_max, definition.read.raw_bytes_max) = (100, 22);
    lake.consume(definition).await.unwrap();
    let held = lake.holds().await;
    let [letter] = held.dead_letters.as_slice() else { panic!("{:?}", held.dead_letters) };
    assert_eq!(letter["_raw_record"].as_str(), Some("[{\"id\": 1, \"text\": \"é"), "the limit cuts the next one");
    assert_eq!((letter["_raw_truncated"].as_bool(), letter["_error_code"].as_str()), (Some(true), Some("too_large")));
}
