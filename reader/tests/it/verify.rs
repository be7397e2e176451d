//! `--verify`: no row of a file whose bytes are not those that its commit names.

use std::path::{Path, PathBuf};

use lake::ErrorKind;

use crate::support::{TestLake, ask, id_and_name, text};

/// A lake of two streams, and the bronze file of the first.
fn lake_and_file() -> (TestLake, PathBuf) {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", Some("SELECT 1"));
    lake.commit("orders", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    let file = lake.path(&lake.committed("events", 1).files[0].key.to_string());
    (lake, file)
}

/// Replaces a file by another one of the same size, with other rows.
fn replace(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let found: Vec<usize> = (0..bytes.len() - 3).filter(|at| &bytes[*at..at + 3] == b"one").collect();
    assert!(!found.is_empty());
    found.iter().for_each(|at| bytes[*at..at + 3].copy_from_slice(b"ONE"));
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_file_replaced_by_another_of_the_same_size_is_reported_with_exit_code_3() {
    let (lake, file) = lake_and_file();
    let whole = std::fs::read(&file).unwrap();
    replace(&file);
    let name = file.file_name().unwrap().to_str().unwrap();
    for query in [
        "SELECT name FROM bronze.events",
        "SELECT count(*) FROM BRONZE.Events",
        "FROM query('FROM bronze.events')",
        "FROM query_table('bronze.events')",
        "BEGIN; SELECT name FROM bronze.\"events\"",
        "CREATE VIEW mine AS FROM bronze.events; FROM mine",
    ] {
        let done = lake.reader().args(["--verify", "-c", query]).output().unwrap();
        let said = text(&done.stderr);
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(3), ""), "{query}: {said}");
        assert!(said.contains(name) && said.contains("is not the file that its commit names"), "{query}: {said}");
    }
    let others = "SELECT id FROM bronze.orders; SELECT count(*) AS n FROM dead_letters.events";
    let done = lake.reader().args(["--verify", "-c", others]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "id\n2\nn\n1\n"), "{}", text(&done.stderr));
    std::fs::write(&file, whole).unwrap();
    let done = lake.reader().args(["--verify", "-c", "SELECT name FROM bronze.events"]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "name\none\n"), "{}", text(&done.stderr));
}

#[test]
fn a_file_that_is_replaced_later_is_noticed_by_the_next_statement() {
    let (mut lake, file) = lake_and_file();
    let mut session = lake.session();
    session.verify_files();
    let query = "SELECT name FROM bronze.events ORDER BY id";
    assert_eq!(ask(&mut session, query).unwrap(), "name\none\n");
    let whole = std::fs::read(&file).unwrap();
    replace(&file);
    assert_eq!(ask(&mut session, query).unwrap_err().kind(), ErrorKind::Corrupt);
    std::fs::write(&file, whole).unwrap();
    lake.commit("events", &id_and_name(), "SELECT 3 AS id, 'three' AS name", None);
    assert_eq!(ask(&mut session, query).unwrap(), "name\none\nthree\n");
}
