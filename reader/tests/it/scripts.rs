//! The program: where SQL comes from, where results go, and what the exit code says.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

use lake::ErrorKind;
use reader::session::Session;

use crate::support::{TestLake, ask, id_and_name, run_with_stdin, text};

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
    let said = text(&done.stderr);
    assert!(said.starts_with("error: Binder Error: ") && said.contains("\"nothing\""), "{said}");
    assert!(said.contains("LINE 1: SELECT nothing"), "{said}");
}

#[test]
fn text_that_is_not_a_statement_does_not_become_one() {
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
fn wrong_settings_and_arguments_are_reported_with_exit_code_2() {
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
fn a_damaged_ledger_is_reported_with_exit_code_3() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    std::fs::write(lake.path("checkpoints/events/commits/00000000000000000001.json"), "{\"version\":1,").unwrap();

    for relation in ["bronze.events", "dead_letters.events"] {
        let done = lake.reader().args(["-c", &format!("SELECT count(*) FROM {relation}")]).output().unwrap();
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(3), ""));
        let said = text(&done.stderr);
        assert!(said.contains("stream \"events\"") && said.contains("00000000000000000001.json"), "{said}");
    }
}

/// Checks that the reader reports this as damage, whatever it is asked about the stream.
#[track_caller]
fn tells_damage(lake: &TestLake, words: &[&str]) {
    for query in
        ["SELECT count(*) FROM bronze.events", "SELECT id FROM bronze.events", "FROM dead_letters.events", ".dead"]
    {
        let done = lake.reader().args(["-c", query]).output().unwrap();
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(3), "{query}: {said}");
        assert!(words.iter().all(|words| said.contains(words)), "{query}: {said}");
    }
}

#[test]
fn a_lost_ledger_is_damage_and_not_an_empty_lake() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    lake.commit("orders", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    std::fs::remove_dir_all(lake.path("checkpoints/events")).unwrap();
    let lost = ["checkpoints/events: has no plan and no commit", "bronze/events/", "restore checkpoints/events"];
    tells_damage(&lake, &lost);
    assert_eq!(lake.ask("SELECT id FROM bronze.orders"), "id\n2\n");
    // A definition gives an empty stream its columns, and hides nothing.
    lake.define("events", &id_and_name());
    tells_damage(&lake, &lost);
    std::fs::remove_dir_all(lake.path("checkpoints")).unwrap();
    tells_damage(&lake, &lost);
}

#[test]
fn a_lost_ledger_of_a_stream_with_nothing_but_dead_letters_is_damage() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", Some("SELECT 1"));
    std::fs::remove_dir_all(lake.path("checkpoints")).unwrap();
    std::fs::remove_dir_all(lake.path("bronze")).unwrap();
    tells_damage(&lake, &["checkpoints/events: has no plan and no commit", "dead_letters/events/"]);
}

#[test]
fn lost_commits_are_damage_though_the_plans_are_there() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    lake.commit("events", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    std::fs::remove_dir_all(lake.path("checkpoints/events/commits")).unwrap();
    tells_damage(&lake, &["00000000000000000002.json: is planned, though batch 1 is not committed"]);
}

#[test]
fn a_ledger_that_is_lost_while_the_shell_is_open_is_reported_by_the_next_one_and_a_restored_one_is_read_at_once() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    std::fs::rename(lake.path("checkpoints"), lake.path("elsewhere")).unwrap();
    let mut session = lake.session();
    let said = ask(&mut session, "FROM bronze.events").unwrap_err();
    assert_eq!(said.kind(), ErrorKind::Corrupt, "{said}");
    std::fs::rename(lake.path("elsewhere"), lake.path("checkpoints")).unwrap();
    assert_eq!(ask(&mut session, "SELECT id FROM bronze.events").unwrap(), "id\n1\n");
}

#[test]
fn a_stream_in_its_first_batch_and_other_files_are_not_damage() {
    let mut lake = TestLake::new();
    lake.plan("events", &id_and_name());
    lake.write_orphan("events", "SELECT 1 AS id, 'one' AS name");
    std::fs::create_dir_all(lake.path("bronze/emptied")).unwrap();
    std::fs::create_dir_all(lake.path("bronze/notes")).unwrap();
    std::fs::write(lake.path("bronze/notes/read me.txt"), "mine").unwrap();
    let done = lake.reader().args(["-c", "SELECT count(*) AS n FROM bronze.events", "-c", ".dead"]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "n\n0\n"), "{}", text(&done.stderr));
}

#[test]
fn a_lake_that_does_not_exist_is_reported_with_exit_code_2() {
    let lake = TestLake::nowhere("lake");
    for statement in ["SHOW TABLES", "FROM checkpoints.batches", ".dead", ".lag", "SELECT 1"] {
        let done = lake.reader().args(["-c", statement]).output().unwrap();
        let said = text(&done.stderr);
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(2), ""), "{statement}: {said}");
        assert!(said.contains(&format!("no lake at {}:", lake.url)) && said.contains("LAKE_URL"), "{said}");
    }
    // A folder without any zone does not count.
    std::fs::create_dir_all(lake.path("something/else")).unwrap();
    assert_eq!(lake.reader().args(["-c", "SELECT 1"]).output().unwrap().status.code(), Some(2));
    assert!(!lake.path("checkpoints").exists());
}

#[test]
fn a_stream_that_is_defined_is_empty_before_the_lake_exists_and_a_warning_says_so() {
    let lake = TestLake::nowhere("lake");
    lake.define("events", &id_and_name());
    let done = lake.reader().args(["-c", "SELECT id FROM bronze.events", "-c", "SELECT 1 AS a"]).output().unwrap();
    let said = text(&done.stderr);
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "id\na\n1\n"), "{said}");
    assert_eq!(said.matches("no lake at").count(), 1, "{said}");
}

#[test]
fn damage_of_one_stream_leaves_all_others_readable() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    lake.commit("orders", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    let mut session = lake.session();
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM bronze.events").unwrap(), "n\n1\n");
    let second = lake.path("checkpoints/events/commits/00000000000000000002.json");
    std::fs::write(&second, "{\"version\":1,").unwrap();

    assert_eq!(ask(&mut session, "SELECT id FROM bronze.orders").unwrap(), "id\n2\n");
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM checkpoints.batches").unwrap(), "n\n2\n");
    let said = ask(&mut session, "SELECT count(*) FROM bronze.events").unwrap_err();
    assert_eq!(said.kind(), ErrorKind::Corrupt, "{said}");

    std::fs::remove_file(second).unwrap();
    assert_eq!(ask(&mut session, "SELECT id FROM bronze.events").unwrap(), "id\n1\n");
}

/// A lake of two streams, and the bronze file of the second batch of one of them.
fn lake_and_file() -> (TestLake, PathBuf) {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", Some("SELECT 1"));
    lake.commit("events", &id_and_name(), "SELECT range AS id, 'n' || range AS name FROM range(5000)", None);
    lake.commit("orders", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    let folder = lake.path("bronze/events/ingested_date=2026-11-20");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let second = files.max_by_key(|path| path.file_name().map(ToOwned::to_owned)).unwrap();
    (lake, second)
}

/// Checks that a session reports the file and can read everything else.
#[track_caller]
fn tells_the_file_alone(session: &mut Session, file: &Path) {
    let said = ask(session, "SELECT max(id), max(name) FROM bronze.events").unwrap_err();
    let name = file.file_name().unwrap().to_str().unwrap();
    assert_eq!(said.kind(), ErrorKind::Corrupt, "{said}");
    let said = said.to_string();
    assert!(said.contains("bronze.events") && said.contains(name) && said.contains("consumer verify"), "{said}");
    assert_eq!(ask(session, "SELECT id FROM bronze.orders").unwrap(), "id\n2\n");
    assert_eq!(ask(session, "SELECT count(*) AS n FROM dead_letters.events").unwrap(), "n\n1\n");
    assert_eq!(ask(session, "SELECT count(*) AS n FROM checkpoints.files").unwrap(), "n\n4\n");
    assert!(ask(session, "DESCRIBE bronze.events").unwrap().contains("id,BIGINT"));
}

#[test]
fn a_missing_committed_file_is_reported_by_name_with_exit_code_3() {
    let (lake, file) = lake_and_file();
    let mut open = lake.session();
    ask(&mut open, "FROM bronze.events").unwrap();
    std::fs::rename(&file, file.with_extension("away")).unwrap();
    tells_the_file_alone(&mut open, &file);
    let mut session = lake.session();
    tells_the_file_alone(&mut session, &file);
    let done = lake.reader().args(["-c", "FROM bronze.events"]).output().unwrap();
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(3), ""));

    std::fs::rename(file.with_extension("away"), &file).unwrap();
    for session in [&mut open, &mut session] {
        assert_eq!(ask(session, "SELECT count(*) AS n FROM bronze.events").unwrap(), "n\n5001\n");
    }
}

#[test]
fn a_committed_file_of_another_size_is_reported_by_name() {
    let (lake, file) = lake_and_file();
    let first = std::fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let first = first.min_by_key(|path| path.file_name().map(ToOwned::to_owned)).unwrap();
    std::fs::copy(first, &file).unwrap();
    tells_the_file_alone(&mut lake.session(), &file);
}

#[test]
fn a_damaged_committed_file_is_reported_by_name() {
    let (lake, file) = lake_and_file();
    let whole = std::fs::read(&file).unwrap();
    let size = whole.len();
    // The last bytes, the footer length, a page, and a page header.
    for (start, end) in [(size - 4, size), (size - 8, size - 4), (1000, 3000), (4, 30)] {
        let mut damaged = whole.clone();
        damaged[start..end].fill(0xff);
        std::fs::write(&file, damaged).unwrap();
        tells_the_file_alone(&mut lake.session(), &file);
    }
}

/// DuckDB may answer a query without reading a relation that looks empty to it.
#[test]
fn no_query_over_a_damaged_stream_is_answered_as_if_it_was_empty() {
    let (lake, file) = lake_and_file();
    std::fs::remove_file(&file).unwrap();
    let mut session = lake.session();
    for query in [
        "SELECT max(id) FROM bronze.events WHERE name <> 'x'",
        "SELECT count(*) FROM bronze.events WHERE id IS NOT NULL",
        "SELECT count(*) FROM bronze.events WHERE id IS NULL",
        "SELECT id FROM bronze.events WHERE name LIKE 'n%' AND id = 5",
        "SELECT id FROM bronze.events WHERE _batch_id IN (1, 2) ORDER BY id LIMIT 1",
        "SELECT count(*) FROM range(3) t(i) JOIN bronze.events ON i = id",
        "SELECT i FROM range(3) t(i) LEFT JOIN bronze.events ON i = id",
        "SELECT i FROM range(3) t(i) WHERE i IN (SELECT id FROM bronze.events)",
        "SELECT i FROM range(3) t(i) WHERE NOT EXISTS (FROM bronze.events WHERE id = i)",
        "SELECT (SELECT count(*) FROM bronze.events) AS n",
        "FROM bronze.orders UNION ALL BY NAME FROM bronze.events",
        "SELECT name, count(*) FROM bronze.events GROUP BY name HAVING count(*) > 1",
    ] {
        match ask(&mut session, query) {
            Ok(answer) => panic!("{query}: {answer:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{query}: {error}"),
        }
    }
}

/// Errors do not repeat the strings of such a statement, and these are also in the words of the damage.
#[test]
fn damage_is_reported_for_a_statement_that_may_contain_a_secret_too() {
    let (lake, file) = lake_and_file();
    std::fs::remove_file(&file).unwrap();
    let said =
        ask(&mut lake.session(), "SELECT max(id) AS token FROM bronze.events WHERE name <> 'commit'").unwrap_err();
    assert_eq!(said.kind(), ErrorKind::Corrupt, "{said}");
}

#[test]
fn a_users_mistake_with_a_file_is_not_reported_as_damage() {
    let (lake, file) = lake_and_file();
    let absent = format!("FROM '{}'", file.with_extension("absent").display());
    for mistake in [absent, format!("SELECT '{}'::INTEGER", file.display())] {
        assert_eq!(ask(&mut lake.session(), &mistake).unwrap_err().kind(), ErrorKind::Invalid, "{mistake}");
    }
}

#[test]
fn a_store_that_does_not_answer_is_reported_with_exit_code_4() {
    let lake = TestLake::new();
    let mut reader = lake.reader();
    reader.env("LAKE_URL", "s3://lake").env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    reader.env("AWS_ACCESS_KEY_ID", "key-id-for-test").env("AWS_SECRET_ACCESS_KEY", "secret-for-test");
    let done = reader.args(["-c", "SELECT 1"]).output().unwrap();
    assert_eq!(done.status.code(), Some(4), "{}", text(&done.stderr));
    assert!(!text(&done.stderr).contains("secret-for-test"));
}

#[test]
fn a_reader_of_the_output_that_leaves_early_ends_the_script_without_an_error() {
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
fn help_lists_the_exit_codes() {
    let done = TestLake::new().reader().arg("--help").output().unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert!(text(&done.stdout).contains("3 the lake is damaged"));
}

#[test]
fn commands_work_wherever_sql_does() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    let script = ".mode json\nSELECT 1 AS a; -- then\n  .mode tsv\nSELECT '.' AS b\n;.quit\nSELECT 2";
    let answer = "[{\"a\":1}]\nb\n.\n";
    std::fs::write(lake.folder.path().join("all.sql"), script).unwrap();
    for (arguments, stdin) in
        [(vec!["-c", script], ""), (vec!["-f", "all.sql"], ""), (vec!["-f", "-"], script), (vec![], script)]
    {
        let done = run_with_stdin(lake.reader().args(&arguments), stdin);
        assert_eq!(
            (done.status.code(), text(&done.stdout), text(&done.stderr)),
            (Some(0), answer, ""),
            "{arguments:?}"
        );
    }
    let read = lake.reader().args(["-c", ".read 'all.sql'", "-c", "SELECT 3"]).output().unwrap();
    assert_eq!((read.status.code(), text(&read.stdout)), (Some(0), answer));
    let help = lake.reader().args(["-c", ".help"]).output().unwrap();
    assert!(text(&help.stdout).contains(".tables") && text(&help.stdout).contains("Ctrl-C"), "{}", text(&help.stderr));
}

#[test]
fn the_timer_shows_how_long_each_statement_takes_until_it_is_off() {
    let lake = TestLake::new();
    let script = ".timer on\nSELECT 1 AS a; SELECT 2 AS b;\n.timer off\nSELECT 3 AS c;";
    let done = run_with_stdin(&mut lake.reader(), script);
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "a\n1\nb\n2\nc\n3\n"));
    let said: Vec<&str> = text(&done.stderr).lines().collect();
    let is_seconds = |line: &&str| line.strip_suffix(" s").is_some_and(|seconds| seconds.parse::<f64>().is_ok());
    assert_eq!((said.len(), said.iter().filter(|line| is_seconds(line)).count()), (2, 2), "{said:?}");
}

#[test]
fn a_wrong_command_ends_a_script() {
    let lake = TestLake::new();
    std::fs::write(lake.folder.path().join("again.sql"), ".read again.sql").unwrap();
    for (wrong, said) in [
        (".nonsense", "\".nonsense\" is not a command; .help lists them"),
        (".mode xml", "\"xml\" is not a format; .mode takes box, csv,"),
        (".timer", ".timer takes on|off"),
        (".help me", ".help takes no argument"),
        (".dead events", "stream \"events\" does not exist"),
        (".read absent.sql", "cannot read absent.sql"),
        (".read again.sql", ".read again.sql: scripts are nested 16 deep"),
        (".output absent/x.csv", "cannot write absent/x.csv"),
    ] {
        let done = lake.reader().args(["-c", wrong, "-c", "SELECT 1"]).output().unwrap();
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(2), ""), "{wrong}");
        assert!(text(&done.stderr).starts_with(&format!("error: {said}")), "{wrong}: {}", text(&done.stderr));
    }
}

#[test]
fn output_goes_to_a_file_outside_of_the_lake() {
    let lake = TestLake::new();
    let script = ".output out.csv\nSELECT 1 AS a; SELECT e'\\x1b' AS b;\n.output\nSELECT 2 AS c;";
    let done = run_with_stdin(&mut lake.reader(), script);
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "c\n2\n"), "{}", text(&done.stderr));
    let written = std::fs::read_to_string(lake.folder.path().join("out.csv")).unwrap();
    assert_eq!(written, "a\n1\nb\n\"\u{1b}\"\n");
    let refused = lake.reader().args(["-c", ".output lake/bronze/x.csv"]).output().unwrap();
    assert!(text(&refused.stderr).starts_with("error: refused: "), "{}", text(&refused.stderr));
    assert!(!lake.path("bronze/x.csv").exists());
}

#[test]
fn the_streams_folder_may_come_from_the_environment_and_must_exist() {
    let lake = TestLake::new();
    lake.define("orders", &id_and_name());
    std::fs::rename(lake.folder.path().join("streams"), lake.folder.path().join("elsewhere")).unwrap();
    let query = ["-c", "SELECT count(*) AS n FROM bronze.orders"];
    let found = lake.reader().env("STREAMS_DIR", "elsewhere").args(query).output().unwrap();
    assert_eq!((found.status.code(), text(&found.stdout)), (Some(0), "n\n0\n"));
    let by_environment = lake.reader().env("STREAMS_DIR", "absent").args(query).output().unwrap();
    let by_flag = lake.reader().args(["--streams-dir", "absent"]).args(query).output().unwrap();
    for done in [by_environment, by_flag] {
        assert_eq!((done.status.code(), text(&done.stderr)), (Some(2), "error: STREAMS_DIR: absent is not a folder\n"));
    }
    assert_eq!(lake.reader().args(["-c", "SELECT 1"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn dead_shows_dead_letters_by_reason_and_lag_shows_pending_objects() {
    let mut lake = TestLake::new();
    let dead = "SELECT 'invalid_schema' AS _dead_letter_reason, 'wrong_type' AS _error_code, 'no number' AS _error_message, \
                'raw/events/1.json' AS _source_key, 1 AS _batch_id FROM range(3)";
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", Some(dead));
    lake.commit("quiet", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    let raw = lake.path("raw/events");
    std::fs::create_dir_all(&raw).unwrap();
    std::fs::create_dir(raw.join("_temporary")).unwrap();
    for name in ["2.json", "3.json", "_SUCCESS", "_temporary/4.json", ".5.crc"] {
        std::fs::write(raw.join(name), "[1]").unwrap();
    }
    let done = lake.reader().args(["-c", ".dead"]).output().unwrap();
    assert_eq!(
        text(&done.stdout),
        "stream,reason,code,dead_letters,newest_example,its_object\n\
         events,invalid_schema,wrong_type,3,no number,raw/events/1.json\n",
        "{}",
        text(&done.stderr)
    );
    let none = lake.reader().args(["-c", ".dead quiet"]).output().unwrap();
    assert_eq!((none.status.code(), text(&none.stdout).lines().count()), (Some(0), 1));
    let lag = lake.reader().args(["-c", ".lag", "-c", "SELECT max(key) AS key FROM raw_objects"]).output().unwrap();
    let lines: Vec<&str> = text(&lag.stdout).lines().collect();
    assert_eq!(lines[0], "stream,objects_pending,bytes_pending,oldest,waiting", "{}", text(&lag.stderr));
    assert!(lines[1].starts_with("events,2,6,20"), "{lines:?}");
    assert_eq!(lines[2..], ["quiet,0,0,,", "key", "raw/events/_temporary/4.json"]);
}

/// Fails when a summary over all streams looks complete although one of them is damaged.
#[test]
fn what_is_said_of_all_streams_is_shown_and_ends_with_3_if_one_is_damaged() {
    let mut lake = TestLake::new();
    let dead = "SELECT 'invalid_schema' AS _dead_letter_reason, 'wrong_type' AS _error_code";
    for stream in ["bad", "good"] {
        lake.commit(stream, &id_and_name(), "SELECT 1 AS id, 'one' AS name", Some(dead));
    }
    let commit = lake::keys::Key::Commit { stream: "bad".parse().unwrap(), batch: lake::ids::BatchId::FIRST };
    std::fs::write(lake.path(&commit.to_string()), "x").unwrap();
    for (command, shown) in
        [(".dead", "good,invalid_schema"), (".lag", "good,0,0"), (".dead good", "good,invalid_schema")]
    {
        let done = lake.reader().args(["-c", command]).output().unwrap();
        let (out, err) = (text(&done.stdout), text(&done.stderr));
        assert!(out.contains(shown), "{command}: {out} {err}");
        let names_one = command.ends_with("good");
        assert_eq!(done.status.code(), Some(if names_one { 0 } else { 3 }), "{command}: {err}");
        assert_eq!(err.contains("cannot read stream \"bad\""), !names_one, "{command}: {err}");
    }
    std::fs::remove_dir_all(lake.path("checkpoints/good")).unwrap();
    let done = lake.reader().args(["-c", ".dead"]).output().unwrap();
    assert!(!text(&done.stderr).contains("No dead letters"), "{}", text(&done.stderr));
}

#[test]
fn parse_errors_are_shown_in_duckdbs_words() {
    let lake = TestLake::new();
    for (wrong, said) in [
        ("SELEC 1", "error: Parser Error: syntax error at or near \"SELEC\"\n\nLINE 1: SELEC 1\n        ^"),
        ("COPY x TO 1", "error: Parser Error: syntax error at or near \"1\""),
    ] {
        let done = lake.reader().args(["-c", wrong]).output().unwrap();
        assert_eq!(
            (done.status.code(), text(&done.stderr).starts_with(said)),
            (Some(2), true),
            "{}",
            text(&done.stderr)
        );
    }
    let secret = lake.reader().args(["-c", "CREATE SECRT s (TYPE s3, SECRET 'not-to-be-leaked')"]).output().unwrap();
    assert_eq!(text(&secret.stderr), "error: Parser Error: syntax error at or near \"SECRT\"\n");
}

#[test]
fn no_error_repeats_a_secret() {
    let lake = TestLake::new();
    for wrong in [
        "CREATE SECRET s (TYPE s3, 'not-to-be-leaked')",
        "CREATE SECRET s (TYPE s3, USE_SSL 'not-to-be-leaked')",
        "CREATE SECRET s (TYPE nothing, SECRET 'not-to-be-leaked')",
        "CRAETE SECRET s (TYPE s3, SECRET 'not-to-be-leaked')",
        "SET s3_secret_access_key = 'not-to-be-leaked'",
        "CREATE SECRET s (TYPE s3, USE_SSL $$not-to-be-leaked$$)",
    ] {
        let done = lake.reader().args(["-c", wrong]).output().unwrap();
        let said = text(&done.stderr);
        assert_eq!((done.status.code(), said.contains("not-to-be-leaked")), (Some(2), false), "{wrong}: {said}");
        assert!(said.contains("Error: ") && !said.contains("leaked"), "{wrong}: {said}");
    }
}

/// Fails when an error that can't be written panics.
#[test]
fn an_error_that_can_not_be_shown_still_has_its_exit_code() {
    let lake = TestLake::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = lake.reader().args(["-c", "select nonsense"]).stderr(writer).output().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.status);
}
