//! Corrupt batches: never readable by accident, and dead letters for the reasons that the truth says.

use lake::{
    dead_letter::{ErrorCode, Reason},
    ledger::Outcome,
    stream::Format,
};
use producer::{
    Compression, Corruption,
    batch::{Batch, Recipe},
    truth::{ObjectTruth, RecordFate},
};
use proptest::prelude::*;
use serde_json::Value;

use crate::{
    csv,
    support::{COMPRESSIONS, FORMATS, batches, decompress, recipe, text},
};

/// What a reader must report for a JSON array: the design's rules, in order.
fn code_of_array(bytes: &[u8]) -> Option<ErrorCode> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Some(ErrorCode::BadEncoding) };
    if text.trim().is_empty() {
        return Some(ErrorCode::Empty);
    }
    // The parser calls a number that is cut after its sign or point invalid; with a digit added, it is only truncated.
    let with_digit = || serde_json::from_str::<Vec<Value>>(&format!("{text}0"));
    match serde_json::from_str::<Vec<Value>>(text) {
        Ok(_) => None,
        Err(error) if error.is_eof() => Some(ErrorCode::Truncated),
        Err(_) if text.ends_with(['-', '.']) && with_digit().is_err_and(|error| error.is_eof()) => {
            Some(ErrorCode::Truncated)
        }
        Err(_) if serde_json::from_str::<Value>(text).is_ok() => Some(ErrorCode::NotAnArray),
        Err(_) => Some(ErrorCode::NotJson),
    }
}

fn code_of_line(line: &[u8]) -> Option<ErrorCode> {
    let Ok(text) = std::str::from_utf8(line) else { return Some(ErrorCode::BadEncoding) };
    match serde_json::from_str::<Value>(text) {
        Ok(_) => None,
        Err(error) if error.is_eof() => Some(ErrorCode::Truncated),
        Err(_) => Some(ErrorCode::NotJson),
    }
}

/// Compares the truth of an unreadable object with the code that a reader finds.
fn check_unreadable(truth: &ObjectTruth, code: ErrorCode) {
    let dead_letter = truth.dead_letter.as_ref().unwrap();
    assert_eq!(dead_letter.reason, Reason::CorruptedBatch);
    assert!(
        dead_letter.codes.contains(&code),
        "{:?}: {code:?} is not one of {:?}",
        truth.corruption,
        dead_letter.codes
    );
    assert_eq!((truth.records_read, truth.rows, truth.dead_letters), (1, 0, 1));
    assert_eq!((truth.outcome, truth.records.len()), (Outcome::DeadLettered, 0));
}

/// Compares the truth of each line with what a reader must report for it.
fn check_lines(truth: &ObjectTruth, lines: &[&[u8]], code_of: impl Fn(&[u8]) -> Option<ErrorCode>) {
    assert_eq!((truth.outcome, truth.records_read), (Outcome::Ingested, lines.len() as u64));
    assert_eq!(truth.records.len(), lines.len());
    let mut unreadable = Vec::new();
    for (record, line) in truth.records.iter().zip(lines) {
        assert_eq!(text(&record.fate), std::str::from_utf8(line).ok());
        match (&record.fate, code_of(line)) {
            (RecordFate::DeadLetter(dead_letter), Some(code)) => {
                assert_eq!(dead_letter.reason, Reason::CorruptedRecord);
                assert!(dead_letter.codes.contains(&code), "{code:?} is not one of {:?}", dead_letter.codes);
                unreadable.extend(dead_letter.invalid.is_none().then_some(record.index));
            }
            (RecordFate::DeadLetter(dead_letter), None) => assert!(dead_letter.invalid.is_some()),
            (RecordFate::Row(_), code) => assert_eq!(code, None),
        }
    }
    match truth.corruption.unwrap() {
        Corruption::Truncated => assert_eq!(unreadable, [lines.len() as u64 - 1]),
        Corruption::Flipped => assert!((1..=3).contains(&unreadable.len())),
        _ => assert_eq!(unreadable.len(), lines.len()),
    }
}

fn check_ndjson(truth: &ObjectTruth, bytes: &[u8]) {
    // A page of HTML or XML is recognised as a whole.
    if bytes.starts_with(b"<") {
        return check_unreadable(truth, ErrorCode::NotJson);
    }
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    check_lines(truth, &lines.collect::<Vec<_>>(), code_of_line);
}

fn check_csv(truth: &ObjectTruth, bytes: &[u8]) {
    if truth.corruption == Some(Corruption::NotJson) {
        let code = if bytes.starts_with(b"<") { ErrorCode::NotCsv } else { ErrorCode::BadHeader };
        return check_unreadable(truth, code);
    }
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let (names, rows) = lines.split_first().unwrap();
    // An open quote swallows what follows, and then rows would not be lines.
    let open = |row: &&[u8]| csv::code_of_row(String::from_utf8_lossy(row).as_bytes()) == Some(ErrorCode::Truncated);
    assert_eq!(lines[..lines.len() - 1].iter().copied().find(open), None);
    assert_eq!(*names, b"user_id,event_id,event_timestamp,event_type,product_id,properties");
    check_lines(truth, rows, csv::code_of_row);
}

fn check_text(format: Format, truth: &ObjectTruth, text: &[u8]) {
    match format {
        Format::JsonArray => check_unreadable(truth, code_of_array(text).expect("a corrupt batch parses")),
        _ if truth.corruption == Some(Corruption::Empty) => {
            assert_eq!(text.len(), 0);
            check_unreadable(truth, ErrorCode::Empty);
        }
        Format::Ndjson => check_ndjson(truth, text),
        Format::Csv => check_csv(truth, text),
    }
}

fn check(recipe: &Recipe, batch: &Batch) {
    let truth = batch.truth();
    let on_the_way = matches!(batch.corruption.unwrap(), Corruption::Truncated | Corruption::Flipped);
    match decompress(recipe.compression, &batch.bytes) {
        Ok(text) if recipe.compression == Compression::None || !on_the_way => check_text(recipe.format, &truth, &text),
        Ok(_) => panic!("a corrupt batch can be decompressed"),
        Err(error) => {
            assert!(on_the_way, "{:?}: {error}", batch.corruption);
            assert!(crate::support::looks_compressed(recipe.compression, &batch.bytes));
            check_unreadable(&truth, ErrorCode::BadCompression);
        }
    }
}

/// A reader does not count white space at the end of a line as part of the record.
#[test]
fn a_line_cut_after_a_space_is_recorded_without_it() {
    let run = batches(&Recipe { corrupt_batches: 1.0, batch_size: 2, ..recipe(Format::Ndjson, 31) }, 400);
    let is_cut = |batch: &&Batch| batch.corruption == Some(Corruption::Truncated) && batch.bytes.ends_with(b" ");
    let cut: Vec<&Batch> = run.iter().filter(is_cut).collect();
    assert!(!cut.is_empty());
    for batch in cut {
        let truth = batch.truth();
        let said = text(&truth.records.last().unwrap().fate).unwrap().to_owned();
        assert!(!said.ends_with(' ') && batch.bytes.trim_ascii_end().ends_with(said.as_bytes()), "{said:?}");
    }
}

/// Needs many batches, because few changes leave a quote open, which would make one row of several.
#[test]
fn a_changed_row_does_not_swallow_the_next() {
    let recipe = Recipe { corrupt_batches: 1.0, batch_size: 2, ..recipe(Format::Csv, 37) };
    let run = batches(&recipe, 3_000);
    run.iter().filter(|batch| batch.corruption == Some(Corruption::Flipped)).for_each(|batch| check(&recipe, batch));
}

/// Needs many batches, because few changes hit only bytes that do not matter, such as the time in gzip's header.
#[test]
fn a_changed_byte_of_a_compressed_object_is_always_noticed() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let recipe = Recipe { compression, corrupt_batches: 1.0, batch_size: 1, ..recipe(Format::Csv, 41) };
        let run = batches(&recipe, 2_000);
        run.iter()
            .filter(|batch| batch.corruption == Some(Corruption::Flipped))
            .for_each(|batch| check(&recipe, batch));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn corrupt_batches_never_parse_and_say_why(seed: u64, batch_size in 1_usize..12, invalid in 0.0..=1.0) {
        for (format, compression) in FORMATS.iter().flat_map(|format| COMPRESSIONS.map(|kind| (*format, kind))) {
            let recipe = Recipe { compression, invalid_records: invalid, batch_size, ..recipe(format, seed) };
            let recipe = Recipe { corrupt_batches: 1.0, ..recipe };
            for batch in batches(&recipe, 8) {
                check(&recipe, &batch);
            }
        }
    }
}
