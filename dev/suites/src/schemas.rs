//! The JSON Schema Test Suite: each test is judged alone, and where it can be a record, read into columns as well.

use std::{collections::BTreeMap, fs, path::Path};

use consumer::enforce::{Judge, Limits, parse};
use lake::{
    schema::{Files, bundle},
    stream::{Format, ReadSettings},
};
use serde_json::{Value, json};

use crate::judged::read;

const DRAFTS: [(&str, &str); 5] = [
    ("draft4", "http://json-schema.org/draft-04/schema#"),
    ("draft6", "http://json-schema.org/draft-06/schema#"),
    ("draft7", "http://json-schema.org/draft-07/schema#"),
    ("draft2019-09", "https://json-schema.org/draft/2019-09/schema"),
    ("draft2020-12", "https://json-schema.org/draft/2020-12/schema"),
];

/// Keywords that mean something else when a schema becomes a part of another one.
const ROOTED: [&str; 8] = [
    "\"$ref\"",
    "\"$dynamicRef\"",
    "\"$recursiveRef\"",
    "\"$id\"",
    "\"id\"",
    "\"$anchor\"",
    "\"$dynamicAnchor\"",
    "\"$vocabulary\"",
];

/// Where the suite's further files are found.
const HOST: &str = "localhost:1234";

/// Why the consumer differs in these files.
const KNOWN: [(&str, Outcome, &str); 5] = [
    ("vocabulary.json", Outcome::Refused, "the schema has a meta-schema of its own"),
    ("optional/format-assertion.json", Outcome::Refused, "the schema has a meta-schema of its own"),
    ("format.json", Outcome::Differs, "formats are asserted in every draft; the suite takes them as annotations"),
    (
        "optional/bignum.json",
        Outcome::NotStorable,
        "no column stores an integer beyond 64 bits, or a number that is not a double, unchanged: `unrepresentable`",
    ),
    (
        "optional/float-overflow.json",
        Outcome::NotStorable,
        "no column stores a number beyond the largest double: `unrepresentable`",
    ),
];

/// The outcome of one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// As the suite says.
    Agrees,
    /// The schema is refused when it is loaded.
    Refused,
    /// Valid, as the suite says, but no column can store it unchanged: a dead letter, `unrepresentable` or of a limit.
    NotStorable,
    /// Something else.
    Differs,
}

/// Compares each draft, and prints the tables. `false` if a difference is not known.
///
/// `beside` is what a stream has in `streams/<stream>.schemas/`.
pub(crate) fn compare(folder: &Path, beside: &Files) -> Result<bool, String> {
    let mut differences: BTreeMap<(String, Outcome), Vec<String>> = BTreeMap::new();
    println!("| draft | tests | number | agree | schema refused | not storable | differ |");
    println!("|---|---|---|---|---|---|---|");
    for (draft, dialect) in DRAFTS {
        for (part, kind) in [("", "required"), ("optional", "optional"), ("optional/format", "formats")] {
            let mut counts = BTreeMap::new();
            for file in files(&folder.join(draft).join(part))? {
                let name = format!("{part}/{}", file.file_name().unwrap_or_default().display());
                for (outcome, test) in file_outcomes(&file, dialect, beside)? {
                    *counts.entry(outcome).or_insert(0) += 1;
                    if outcome != Outcome::Agrees {
                        let key = (name.trim_start_matches('/').to_owned(), outcome);
                        differences.entry(key).or_default().push(format!("{draft}: {test}"));
                    }
                }
            }
            let count = |outcome| counts.get(&outcome).copied().unwrap_or(0);
            let all: i32 = counts.values().sum();
            let [agree, refused, not_storable, differ] =
                [Outcome::Agrees, Outcome::Refused, Outcome::NotStorable, Outcome::Differs].map(count);
            println!("| {draft} | {kind} | {all} | {agree} | {refused} | {not_storable} | {differ} |");
        }
    }
    Ok(explain(&differences))
}

/// Prints why, file by file.
fn explain(differences: &BTreeMap<(String, Outcome), Vec<String>>) -> bool {
    println!("\n| file | tests | what the consumer does | why |");
    println!("|---|---|---|---|");
    let mut all_known = true;
    for ((file, outcome), tests) in differences {
        let known = KNOWN.iter().find(|(prefix, of, _)| file.starts_with(prefix) && of == outcome);
        all_known &= known.is_some();
        let why = known.map_or("**not known**", |(_, _, why)| *why);
        let what = match outcome {
            Outcome::Agrees => "agrees",
            Outcome::Refused => "refuses the schema",
            Outcome::NotStorable => "sets the valid value aside",
            Outcome::Differs => "decides otherwise",
        };
        println!("| `{file}` | {} | {what} | {why} |", tests.len());
        if known.is_none() {
            tests.iter().for_each(|test| eprintln!("{file}: {what}: {test}"));
        }
    }
    all_known
}

fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

/// The outcome and the name of each test in a file.
fn file_outcomes(file: &Path, dialect: &str, beside: &Files) -> Result<Vec<(Outcome, String)>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let groups: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut outcomes = Vec::new();
    for group in groups.as_array().into_iter().flatten() {
        for test in group["tests"].as_array().into_iter().flatten() {
            let is_valid = test["valid"] == Value::Bool(true);
            let (outcome, what) = outcome(&group["schema"], dialect, beside, &test["data"], is_valid);
            outcomes.push((outcome, format!("{}: {}{what}", group["description"], test["description"])));
        }
    }
    Ok(outcomes)
}

/// The worst outcome of judging a value alone, and of reading it as a record or as a field of one.
fn outcome(schema: &Value, dialect: &str, beside: &Files, data: &Value, is_valid: bool) -> (Outcome, String) {
    let mut outcomes = Vec::new();
    if schema.is_object() {
        let mut schema = schema.clone();
        if schema.get("$schema").is_none() {
            schema["$schema"] = json!(dialect);
        }
        let bundled = match schema.to_string().contains(HOST) {
            true => bundle(schema, beside).map_err(|missing| missing.join("; ")),
            false => Ok(schema),
        };
        match bundled.and_then(|schema| Ok((Judge::compile(&schema)?, schema))) {
            Err(why) => outcomes.push((Outcome::Refused, format!(" ({why})"))),
            Ok((judge, schema)) => {
                let limits = Limits { depth: 120, fields: 1_000_000 };
                let verdict = parse(&data.to_string(), limits).map(|value| judge.accepts(&value));
                outcomes.push(match verdict {
                    Ok(accepted) if accepted == is_valid => (Outcome::Agrees, String::new()),
                    Ok(_) => (Outcome::Differs, " (judge)".to_owned()),
                    Err(fault) => (Outcome::NotStorable, format!(" ({})", fault.message)),
                });
                if data.is_object() {
                    outcomes.push(as_record(&schema, data, is_valid));
                }
            }
        }
    }
    let text = schema.to_string();
    if !ROOTED.iter().any(|keyword| text.contains(keyword)) {
        let mut inner = schema.clone();
        let own = inner.as_object_mut().and_then(|inner| inner.remove("$schema"));
        let dialect = own.unwrap_or_else(|| json!(dialect));
        let outer = json!({"$schema": dialect, "type": "object", "properties": {"value": inner}});
        outcomes.push(as_record(&outer, &json!({"value": data}), is_valid));
    }
    outcomes.into_iter().max_by_key(|(outcome, _)| *outcome).unwrap_or((Outcome::Refused, " (never judged)".to_owned()))
}

fn as_record(schema: &Value, record: &Value, is_valid: bool) -> (Outcome, String) {
    match read(schema, &ReadSettings::of(Format::Ndjson), record.to_string().as_bytes()) {
        // What does not describe objects is not a stream, and is judged alone.
        Err(why) if why.contains("must describe JSON objects") => (Outcome::Agrees, String::new()),
        Err(why) if why.contains("disagree") => (Outcome::Differs, format!(" ({why})")),
        Err(why) => (Outcome::Refused, format!(" ({why})")),
        Ok((1, 0)) if is_valid => (Outcome::Agrees, String::new()),
        Ok((0, 1)) if !is_valid => (Outcome::Agrees, String::new()),
        Ok((0, 1)) => (Outcome::NotStorable, String::new()),
        Ok(counts) => (Outcome::Differs, format!(" (read as a record: {counts:?})")),
    }
}
