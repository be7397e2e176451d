//! The program: where SQL comes from, where results go, and what the exit code says.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::support::{TestLake, id_and_name, run_with_stdin, text};

#[test]
fn sql_from_c_runs_in_order_and_in_one_session() {
    let lake = TestLake::new();
    let done =
        lake.reader().args(["-c", "CREATE TABLE t AS SELECT 1 AS i", "-c", "FROM t; SELECT 2 AS j"]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout), text(&done.stderr)), (Some(0), "i\n1\nj\n2\n", ""));
}

#[test]
fn sql_comes_from_stdin_and_from_a_file_as_well() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    let script = "-- all of them\nSELECT id, ';' AS s\nFROM bronze.events;\n";
    let piped = run_with_stdin(&mut lake.reader(), script);
    assert_eq!((piped.status.code(), text(&piped.stdout)), (Some(0), "id,s\n1,;\n"));

    std::fs::write(lake.folder.path().join("all.sql"), script).unwrap();
    let from_file = lake.reader().args(["-f", "all.sql", "--format", "json"]).output().unwrap();
    assert_eq!((from_file.status.code(), text(&from_file.stdout)), (Some(0), "[{\"id\":1,\"s\":\";\"}]\n"));
}

#[test]
fn the_first_statement_that_fails_ends_a_script() {
    let lake = TestLake::new();
    let done = lake.reader().args(["-c", "SELECT 1 AS a; SELECT nothing; SELECT 2"]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(2), "a\n1\n"));
    let told = text(&done.stderr);
    assert!(told.starts_with("error: Binder Error: ") && told.contains("\"nothing\""), "{told}");
    assert!(told.contains("LINE 1: SELECT nothing"), "{told}");
}

#[test]
fn what_is_no_statement_is_not_made_one() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    for wrong in ["bronze.events", "SELECT 1) t, (SELECT 2", "SELECT 1 UNION"] {
        let done = lake.reader().args(["-c", wrong]).output().unwrap();
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(2), ""), "{wrong}");
    }
}

#[test]
fn an_error_at_run_time_points_into_the_users_own_lines() {
    let lake = TestLake::new();
    let done = lake.reader().args(["-c", "SELECT x::INTEGER\nFROM (VALUES ('a')) t(x)"]).output().unwrap();
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("\nLINE 1: SELECT x::INTEGER\n                ^"), "{}", text(&done.stderr));
}

#[test]
fn wrong_settings_and_arguments_are_told_with_exit_code_2() {
    let lake = TestLake::new();
    for (variable, wrong) in [("LAKE_URL", "nowhere"), ("BRONZE_URL", "ftp://x")] {
        let done = lake.reader().env(variable, wrong).args(["-c", "SELECT 1"]).output().unwrap();
        assert_eq!(done.status.code(), Some(2));
        assert!(text(&done.stderr).contains(variable), "{}", text(&done.stderr));
    }
    assert_eq!(lake.reader().arg("--nonsense").output().unwrap().status.code(), Some(2));
    assert_eq!(lake.reader().args(["-f", "absent.sql"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn a_damaged_ledger_is_told_with_exit_code_3() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    std::fs::write(lake.path("checkpoints/events/commits/00000000000000000001.json"), "{\"version\":1,").unwrap();

    let done = lake.reader().args(["-c", "SELECT 1"]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(3), ""));
    assert!(text(&done.stderr).contains("00000000000000000001.json"), "{}", text(&done.stderr));
}

#[test]
fn a_missing_committed_file_is_told_by_name_with_exit_code_3() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    std::fs::remove_dir_all(lake.path("bronze")).unwrap();
    let done = lake.reader().args(["-c", "FROM bronze.events"]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(3), ""));
    let told = text(&done.stderr);
    assert!(told.contains("bronze.events") && told.contains(".parquet") && told.contains("consumer verify"), "{told}");
}

#[test]
fn a_store_that_does_not_answer_is_told_with_exit_code_4() {
    let lake = TestLake::new();
    let mut reader = lake.reader();
    reader.env("LAKE_URL", "s3://lake").env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    reader.env("AWS_ACCESS_KEY_ID", "key-id-for-test").env("AWS_SECRET_ACCESS_KEY", "secret-for-test");
    let done = reader.args(["-c", "SELECT 1"]).output().unwrap();
    assert_eq!(done.status.code(), Some(4), "{}", text(&done.stderr));
    assert!(!text(&done.stderr).contains("secret-for-test"));
}

#[test]
fn a_reader_of_the_result_that_leaves_early_ends_the_script_in_peace() {
    let lake = TestLake::new();
    let mut reader = lake.reader();
    reader.args(["-c", "FROM range(10000000)"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = reader.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "range");
    drop(lines);
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), ""));
}

#[test]
fn help_tells_the_exit_codes() {
    let done = TestLake::new().reader().arg("--help").output().unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert!(text(&done.stdout).contains("3 the lake is damaged"));
}
