//! Compares the consumer with the JSON Schema Test Suite, and with cases of JSON and CSV written here, and prints the
//! tables of `docs/conformance.md`.
//!
//! `suites FOLDER`: the folder has the suite's drafts, `draft4` and others. `dev/suites.py` fetches it and runs this.
//! Exit code 1 if a difference is not one of those that are known, with their reasons.

mod judged;
mod schemas;
mod texts;

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: suites FOLDER, where FOLDER has the drafts of the JSON Schema Test Suite");
        return ExitCode::from(2);
    };
    match schemas::compare(&folder) {
        Ok(schemas_known) => {
            let texts_agree = texts::compare();
            ExitCode::from(u8::from(!(schemas_known && texts_agree)))
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}
