//! The compiled enforcer against parser and judge: same verdict on every record, same value in every column.
//!
//! Both are also checked against the input: each value, read back from Parquet, equals the record's.
//! `AGREEMENT_SEEDS` sets the number of seeds, `AGREEMENT_FIRST` the first one, and `AGREEMENT_MINUTES` for how long to go on
//! after that with further seeds. Every other seed is a document of several resources that refer to one another.

pub(crate) mod cases;
mod read_back;

use std::time::Instant;

use consumer::enforce::Judge;
use fastrand::Rng;
use lake::{ledger::SchemaRecord, stream::Format};
use serde_json::{Map, Value};

use crate::{
    lake_in_a_folder::events,
    one_task::{Given, context_of, read, read_in_pieces},
};

type Records = Vec<Map<String, Value>>;

/// An object's results, in a form to compare; without the content ID, which a streamed object may not have.
fn said(given: Given) -> (String, Records, Records) {
    let result = given.result;
    (format!("{:?} {} {}", result.outcome, result.rows, result.dead_letters), given.rows, given.dead_letters)
}

/// A dead letter of a record that the judge accepts, whose column is of a type that the schema does not describe.
fn unfit_column(dead_letters: &Records) -> Option<String> {
    let signs = [
        "must have a value",
        "in a text column",
        "a boolean column",
        "a list column",
        "a map column",
        "a struct column",
    ];
    let messages = dead_letters.iter().filter(|letter| letter["_error_code"] == "unrepresentable");
    let mut messages = messages.filter_map(|letter| letter["_error_message"].as_str());
    messages.find(|message| signs.iter().any(|sign| message.contains(sign))).map(str::to_owned)
}

/// Returns how many schemas could be compiled, and how many rows came out.
fn agree(seeds: std::ops::Range<u64>) -> (u64, u64) {
    let (mut compiled, mut rows) = (0, 0);
    for seed in seeds {
        let mut rng = Rng::with_seed(seed);
        let schema = cases::record_schema(&mut rng);
        let Ok(record) = SchemaRecord::derive(&events(), &schema, None) else { continue };
        if Judge::compile(&schema).is_err() {
            continue;
        }
        let format = cases::format(&mut rng);
        let [fast, slow] = [true, false].map(|compiled| context_of(&record, cases::settings(format), compiled));
        compiled += u64::from(fast.has_rules());
        for _ in 0..4 {
            let bytes = cases::object(&mut rng, &schema, format);
            let case = || format!("seed {seed}: {schema}\n{}", String::from_utf8_lossy(&bytes));
            let (by_rules, by_judge) = (said(read(&fast, &bytes)), said(read(&slow, &bytes)));
            assert_eq!(by_rules, by_judge, "{}", case());
            if format != Format::JsonArray {
                let in_pieces = said(read_in_pieces(&fast, &bytes, 1 + rng.usize(0..40)));
                // Dead letters are not compared: an object that is not in memory is kept as a copy, not in its letter.
                let same = (in_pieces.0.as_str(), &in_pieces.1) == (by_rules.0.as_str(), &by_rules.1);
                assert!(same, "in pieces: {in_pieces:?}\nas a whole: {by_rules:?}\n{}", case());
            }
            if let Some(what) = unfit_column(&by_rules.2) {
                panic!("{what}: {}", case());
            }
            if let Err(what) = read_back::check(&record.columns, format, &bytes, &by_rules.1) {
                panic!("{what}: {}", case());
            }
            rows += by_rules.1.len() as u64;
        }
    }
    (compiled, rows)
}

#[test]
fn the_compiled_enforcer_says_what_parser_and_judge_say() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (first, seeds) = (number("AGREEMENT_FIRST", 0), number("AGREEMENT_SEEDS", 600));
    let (compiled, rows) = agree(first..first + seeds);
    println!("{seeds} schemas, {compiled} of them compiled; {rows} rows");
    let (start, minutes) = (Instant::now(), number("AGREEMENT_MINUTES", 0));
    let mut next = first + seeds;
    while start.elapsed().as_secs() < minutes * 60 {
        agree(next..next + 1_000);
        next += 1_000;
        println!("agreed up to seed {next}");
    }
    assert!(compiled * 2 > seeds && rows > seeds, "most schemas must compile and give rows");
}
