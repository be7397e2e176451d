//! Batches: the same from the same seed, with records valid or invalid as the truth says.

use std::collections::{BTreeMap, HashMap, HashSet};

use jsonschema::{Validator, error::ValidationErrorKind};
use lake::{
    dead_letter::{ErrorCode, Reason},
    ledger::Outcome,
    stream::Format,
};
use producer::{
    Corruption, InvalidKind,
    batch::{Batch, Recipe},
    truth::{DeadLetterTruth, RecordFate},
};
use serde_json::Value;

use crate::{
    csv,
    support::{FORMATS, batches, recipe, streams, text},
};

fn everything(format: Format, seed: u64) -> Recipe {
    Recipe { corrupt_batches: 0.3, invalid_records: 0.3, duplicates: 0.3, ..recipe(format, seed) }
}

fn validator() -> Validator {
    let text = std::fs::read_to_string(streams().join("events.schema.json")).unwrap();
    let schema = serde_json::from_str(&text).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// The reason and code of each schema error of a record.
fn faults(validator: &Validator, record: &Value) -> Vec<(Reason, ErrorCode)> {
    let kinds = validator.iter_errors(record).map(|error| match error.kind() {
        ValidationErrorKind::Required { .. } => (Reason::InvalidSchema, ErrorCode::MissingField),
        ValidationErrorKind::Type { .. } => (Reason::InvalidSchema, ErrorCode::WrongType),
        ValidationErrorKind::Enum { .. } => (Reason::InvalidSchema, ErrorCode::NotInEnum),
        ValidationErrorKind::Format { .. } => (Reason::InvalidSchema, ErrorCode::BadFormat),
        ValidationErrorKind::AdditionalProperties { .. } => (Reason::ExtraFields, ErrorCode::ExtraField),
        other => panic!("{other:?} in {record}"),
    });
    kinds.collect()
}

/// The records of a readable object, as stored.
fn records(format: Format, batch: &Batch) -> Vec<String> {
    match format {
        Format::JsonArray => {
            let values: Vec<Box<serde_json::value::RawValue>> = serde_json::from_slice(&batch.bytes).unwrap();
            values.into_iter().map(|value| value.get().to_owned()).collect()
        }
        Format::Ndjson => String::from_utf8(batch.bytes.to_vec()).unwrap().lines().map(str::to_owned).collect(),
        Format::Csv => {
            let text = String::from_utf8(batch.bytes.to_vec()).unwrap();
            let rows =
                text.strip_prefix("user_id,event_id,event_timestamp,event_type,product_id,properties\n").unwrap();
            rows.lines().map(str::to_owned).collect()
        }
    }
}

/// A record's text, parsed.
fn value(format: Format, text: &str) -> Value {
    if format == Format::Csv { csv::event(text) } else { serde_json::from_str(text).unwrap() }
}

#[test]
fn the_same_seed_makes_the_same_keys_bytes_and_truth() {
    for format in FORMATS {
        let [one, again, other] = [7, 7, 8].map(|seed| batches(&everything(format, seed), 30));
        let all = |run: &[Batch]| run.iter().map(|b| (b.key.clone(), b.bytes.clone(), b.truth())).collect::<Vec<_>>();
        assert_eq!(all(&one), all(&again));
        assert!(one.iter().zip(&other).all(|(one, other)| one.key != other.key));
        assert!(one.iter().zip(&other).any(|(one, other)| one.bytes != other.bytes));
    }
}

/// A seed never changes its meaning: a change here breaks every script that uses one.
#[test]
fn a_seed_keeps_its_meaning_across_versions() {
    let digests = FORMATS.map(|format| {
        let all: Vec<u8> = batches(&everything(format, 42), 40).iter().flat_map(|b| b.bytes.to_vec()).collect();
        lake::ids::sha256_hex(&all)
    });
    assert_eq!(
        digests,
        [
            "9e510d1934198d441be40d70bb75e41b8febc8d0a6264b8336f3eb211348541a",
            "b509fe1c9d06f738e71d8fef9be53daa932fcc4f32b323750476d3064c1ac5a2",
            "2d6f48a08b8a72b0289fe7f4d2e905b2e31eee5cc5a7612a1306d39c3ca8c5d3"
        ]
    );
}

#[test]
fn a_batch_without_copies_follows_from_its_number_alone() {
    let recipe = Recipe { duplicates: 0.0, ..everything(Format::JsonArray, 3) };
    let run = batches(&recipe, 12);
    let alone = recipe.batch(12, crate::support::at(12), &mut producer::batch::Earlier::default());
    assert_eq!((&alone.key, &alone.bytes), (&run[11].key, &run[11].bytes));
}

#[test]
fn keys_sort_by_time_and_within_a_moment_by_number() {
    let recipe = Recipe { batch_size: 1, ..recipe(Format::Ndjson, 5) };
    let same_moment = |number| recipe.batch(number, crate::support::at(0), &mut Default::default()).key.to_string();
    let keys: Vec<String> = (1..5_000).map(same_moment).collect();
    assert!(keys.is_sorted());
    let later = recipe.batch(1, crate::support::at(1), &mut Default::default()).key.to_string();
    assert!(keys.last() < Some(&later));
    assert!(later.starts_with("raw/events/") && later.ends_with(".ndjson"), "{later}");
}

#[test]
fn valid_events_satisfy_the_schema_and_each_has_an_id_of_its_own() {
    let validator = validator();
    let mut ids = HashSet::new();
    for format in FORMATS {
        for batch in batches(&recipe(format, format as u64), 10) {
            for record in records(format, &batch) {
                let value = value(format, &record);
                assert_eq!(faults(&validator, &value), [], "{record}");
                assert!(ids.insert(value["event_id"].to_string()));
                assert_eq!(value["event_type"] == "purchase", value.get("product_id").is_some());
                let id: uuid::Uuid = value["event_id"].as_str().unwrap().parse().unwrap();
                assert_eq!(id.get_version_num(), 4);
            }
        }
    }
    assert_eq!(ids.len(), 1_500);
}

#[test]
fn invalid_records_have_the_one_fault_that_the_truth_says() {
    let validator = validator();
    for format in FORMATS {
        let kinds = InvalidKind::of(format);
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for batch in batches(&Recipe { invalid_records: 1.0, ..recipe(format, 11) }, 40) {
            for record in batch.truth().records {
                let RecordFate::DeadLetter(DeadLetterTruth { reason, codes, invalid: Some(kind), text: Some(text) }) =
                    record.fate
                else {
                    panic!("{record:?} is not invalid");
                };
                assert!(kinds.contains(&kind), "{kind:?} in {format:?}");
                let found = match reason {
                    Reason::CorruptedRecord => vec![(reason, csv::code_of_row(text.as_bytes()).unwrap())],
                    _ => faults(&validator, &value(format, &text)),
                };
                assert_eq!(found, [(reason, codes[0])], "{kind:?}: {text}");
                assert_eq!(codes.len(), 1);
                *seen.entry(format!("{kind:?}")).or_default() += 1;
            }
        }
        assert_eq!(seen.len(), kinds.len());
        let even = 2_000 / kinds.len() as u32;
        assert!(seen.values().all(|count| count.abs_diff(even) < even / 4), "{seen:?}");
    }
}

#[test]
fn the_truth_agrees_with_the_bytes() {
    for format in FORMATS {
        for batch in batches(&Recipe { corrupt_batches: 0.0, ..everything(format, 13) }, 20) {
            let truth = batch.truth();
            let said: Vec<_> = truth.records.iter().map(|record| text(&record.fate).unwrap()).collect();
            assert_eq!(said, records(format, &batch));
            assert!(truth.records.iter().enumerate().all(|(index, record)| record.index == index as u64));
            let rows = truth.records.iter().filter(|record| matches!(record.fate, RecordFate::Row(_))).count() as u64;
            assert_eq!((truth.records_read, truth.rows, truth.dead_letters), (50, rows, 50 - rows));
            assert_eq!((truth.bytes, truth.outcome), (batch.bytes.len() as u64, Outcome::Ingested));
            assert_eq!(truth.sha256, lake::ids::sha256_hex(&batch.bytes));
            assert_eq!((batch.records_read(), batch.invalid_records()), (50, 50 - rows));
            for record in &truth.records {
                if let RecordFate::Row(row) = &record.fate {
                    assert_eq!(value(format, &row.text)["event_id"], row.event_id.to_string());
                }
            }
        }
    }
}

#[test]
fn chances_are_met_and_kinds_are_even() {
    let run = batches(&everything(Format::JsonArray, 17), 2_000);
    let corrupt: Vec<_> = run.iter().filter_map(|batch| batch.corruption).collect();
    assert!(corrupt.len().abs_diff(600) < 80, "{}", corrupt.len());
    for kind in Corruption::ALL {
        let count = corrupt.iter().filter(|found| **found == kind).count();
        assert!(count.abs_diff(150) < 50, "{kind:?} {count}");
    }
    let records: Vec<_> = run.iter().flat_map(|batch| batch.truth().records).collect();
    let share = |count: usize| count as f64 / records.len() as f64;
    let rows = records.iter().filter(|record| matches!(record.fate, RecordFate::Row(_))).count();
    assert!((share(rows) - 0.7).abs() < 0.02, "{rows}");
    let copies = records.iter().filter(|record| record.duplicate).count();
    assert!((share(copies) - 0.3).abs() < 0.02, "{copies}");
}

#[test]
fn duplicates_are_exact_copies_of_earlier_records_and_count_as_records() {
    for format in [Format::Ndjson, Format::Csv] {
        copies_are_told(format);
    }
}

fn copies_are_told(format: Format) {
    let mut seen: HashMap<String, bool> = HashMap::new();
    let mut across_batches = 0;
    for batch in batches(&everything(format, 19), 200) {
        let before: HashSet<String> = seen.keys().cloned().collect();
        for record in batch.truth().records {
            let Some(text) = text(&record.fate).map(str::to_owned) else { continue };
            let is_row = matches!(record.fate, RecordFate::Row(_));
            if record.duplicate && matches!(&record.fate, RecordFate::DeadLetter(d) if d.invalid.is_none()) {
                // A copy that was damaged afterwards, with its batch.
                continue;
            }
            if record.duplicate {
                assert_eq!(seen.get(&text), Some(&is_row), "{text} was not sent before");
                across_batches += u32::from(before.contains(&text));
            } else if is_row {
                assert!(!seen.contains_key(&text), "{text} is a copy and not marked as one");
            }
            seen.insert(text, is_row);
        }
    }
    assert!(across_batches > 100, "{across_batches}");
}
