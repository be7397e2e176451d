//! Settings: checked together, refused with clear messages.

use std::process::{Command, Output};

fn producer(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_producer"));
    for variable in ["LAKE_URL", "RAW_URL", "BRONZE_URL", "DEAD_LETTERS_URL", "CHECKPOINTS_URL", "RUST_LOG"] {
        command.env_remove(variable);
    }
    // Away from any .env in the checkout.
    command.current_dir(std::env::temp_dir()).args(arguments).output().unwrap()
}

fn refused(arguments: &[&str]) -> String {
    let output = producer(arguments);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_chance_outside_zero_to_one_is_refused() {
    for flag in ["--corrupt-batches", "--invalid-records", "--duplicates"] {
        for chance in ["1.01", "-0.1", "NaN", "inf", "ten", ""] {
            let said = refused(&["--stream", "events", "--sink", "stdout", "--batches", "1", flag, chance]);
            assert!(said.contains(flag) && said.contains("from 0 to 1"), "{chance}: {said}");
        }
    }
}

#[test]
fn several_wrong_flags_are_all_reported_at_once() {
    let wrong = [
        ("--stream", "a/b"),
        ("--batches", "0"),
        ("--batch-size", "-5"),
        ("--interval", "soon"),
        ("--corrupt-batches", "2"),
        ("--invalid-records", "NaN"),
        ("--duplicates", "-1"),
        ("--format", "xml"),
        ("--compression", "zip"),
        ("--seed", "first"),
        ("--lake-url", "ftp://lake"),
    ];
    let said = refused(&wrong.iter().flat_map(|(flag, value)| [*flag, *value]).collect::<Vec<_>>());
    for (flag, _) in wrong {
        assert!(said.contains(flag) || (flag == "--lake-url" && said.contains("LAKE_URL")), "{flag}: {said}");
    }
}

#[test]
fn a_run_without_a_stream_or_a_lake_is_refused() {
    let said = refused(&["--batches", "1"]);
    assert!(said.contains("--stream") && said.contains("LAKE_URL"), "{said}");
}

#[test]
fn unknown_formats_and_compressions_are_refused_with_the_known_ones() {
    let said = refused(&["--stream", "events", "--sink", "stdout", "--format", "parquet", "--compression", "lz4"]);
    assert!(said.contains("--format") && said.contains("json-array, ndjson or csv"), "{said}");
    assert!(said.contains("--compression") && said.contains("none, gzip or zstd"), "{said}");
}

/// A line feed follows each object there, and no decompressor reads past it.
#[test]
fn compressed_objects_are_refused_on_stdout() {
    for compression in ["gzip", "zstd"] {
        let said = refused(&["--stream", "events", "--sink", "stdout", "--batches", "1", "--compression", compression]);
        assert!(said.contains("--compression") && said.contains("--sink stdout"), "{said}");
    }
}

#[test]
fn a_truth_file_that_cannot_be_written_is_refused() {
    let said = refused(&["--stream", "events", "--sink", "stdout", "--batches", "1", "--truth", "/no/such/folder/t"]);
    assert!(said.contains("/no/such/folder/t"), "{said}");
}

#[test]
fn help_shows_every_flag_and_the_exit_codes() {
    let output = producer(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in ["--stream", "--batches", "--batch-size", "--interval", "--corrupt-batches", "--invalid-records"] {
        assert!(help.contains(flag), "{flag}");
    }
    for flag in ["--duplicates", "--format", "--compression", "--seed", "--sink", "--truth", "--lake-url", "--raw-url"]
    {
        assert!(help.contains(flag), "{flag}");
    }
    for value in ["json-array", "ndjson", "csv", "gzip", "zstd"] {
        assert!(help.contains(value), "{value}");
    }
    assert!(help.split_whitespace().collect::<Vec<_>>().join(" ").contains("4 the store can't be reached"), "{help}");
}
