//! Compares the consumer with the JSON Schema Test Suite, and with cases of JSON and CSV written here, and prints the
//! tables of `docs/conformance.md`.
//!
//! `suites FOLDER SCHEMAS`: the first folder has the suite's drafts, `draft4` and others, the second one the further files
//! that its schemas refer to, as `streams/<stream>.schemas/` has them. `dev/suites.py` fetches both and runs this.
//! Exit code 1 if a difference is not one of those that are known, with their reasons.

mod judged;
mod schemas;
mod texts;

use std::{path::PathBuf, process::ExitCode};

use lake::schema::Files;

fn main() -> ExitCode {
    let mut folders = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(schemas)) = (folders.next(), folders.next()) else {
        eprintln!("usage: suites FOLDER SCHEMAS: the drafts of the JSON Schema Test Suite, and its further files");
        return ExitCode::from(2);
    };
    let beside = Files::read(&schemas).map_err(|wrong| format!("{wrong:?}"));
    match beside.and_then(|beside| schemas::compare(&folder, &beside)) {
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
