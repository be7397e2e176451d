//! A statement sees the newest commit of every stream that it reads, however it reads it.

use serde_json::json;

use crate::support::{TestLake, ask, closed, id_and_name};

fn commit(lake: &mut TestLake, stream: &str) {
    lake.commit(stream, &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
}

/// Fails when a stream is found only by its plain name.
#[test]
fn each_way_to_name_a_stream_shows_its_newest_commit() {
    let mut lake = TestLake::new();
    lake.define("unused", &id_and_name());
    commit(&mut lake, "events");
    commit(&mut lake, "Größe \"x\"");
    let mut session = lake.session();
    ask(&mut session, "USE bronze").unwrap();
    let reads = [
        "SELECT count(*) AS n FROM bronze.events",
        "SELECT count(*) AS n FROM \"BRONZE\".\"Events\"",
        "SELECT count(*) AS n FROM EVENTS",
        "WITH e AS (FROM unused), f AS (FROM events) SELECT count(*) AS n FROM f",
        "SELECT count(*) AS n FROM 'events'",
        "SELECT count(*) AS n FROM query('FROM events')",
        "SELECT count(*) AS n FROM query_table('eve' || 'nts')",
        "SELECT sum(rows)::BIGINT AS n FROM checkpoints.batches WHERE stream LIKE 'e%'",
        "SELECT sum(rows)::BIGINT AS n FROM checkpoints.files WHERE stream LIKE 'e%'",
        "SELECT count(*) AS n FROM checkpoints.objects WHERE stream LIKE 'e%'",
    ];
    for (rows, read) in (1..).zip(reads) {
        assert_eq!(ask(&mut session, read).unwrap(), format!("n\n{rows}\n"), "{read}");
        commit(&mut lake, "events");
    }
    commit(&mut lake, "Größe \"x\"");
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM \"größe \"\"x\"\"\"").unwrap(), "n\n2\n");
}

/// Fails when only the words of the statement itself count.
#[test]
fn what_a_stored_statement_mentions_is_fresh_whenever_it_runs() {
    let mut lake = TestLake::new();
    for stream in ["a", "b", "c"] {
        commit(&mut lake, stream);
    }
    let mut session = lake.session();
    let stored = "CREATE VIEW v AS SELECT count(*) AS n FROM bronze.a; CREATE MACRO m() AS TABLE SELECT count(*) AS n \
        FROM bronze.b; PREPARE p AS SELECT count(*) AS n FROM bronze.c";
    ask(&mut session, stored).unwrap();
    for (stream, run) in [("a", "FROM v"), ("b", "FROM m()"), ("c", "EXECUTE p")] {
        assert_eq!(ask(&mut session, run).unwrap(), "n\n1\n", "{run}");
        commit(&mut lake, stream);
        assert_eq!(ask(&mut session, run).unwrap(), "n\n2\n", "{run}");
    }
}

/// Fails when a transaction begins with an old state of a stream that BEGIN does not mention.
#[test]
fn a_transaction_sees_every_stream_as_it_was_when_it_began() {
    let mut lake = TestLake::new();
    commit(&mut lake, "events");
    let mut session = lake.session();
    ask(&mut session, "SELECT 1").unwrap();
    commit(&mut lake, "events");
    ask(&mut session, "BEGIN").unwrap();
    commit(&mut lake, "events");
    let count = "SELECT count(*) AS n FROM bronze.events";
    assert_eq!(ask(&mut session, count).unwrap(), "n\n2\n");
    ask(&mut session, "COMMIT").unwrap();
    assert_eq!(ask(&mut session, count).unwrap(), "n\n3\n");
}

/// Fails when relations or columns of a stream that is not mentioned are those of an earlier statement.
#[test]
fn lists_of_relations_and_columns_are_up_to_date_while_the_shell_is_open() {
    let mut lake = TestLake::new();
    commit(&mut lake, "events");
    let mut session = lake.session();
    assert!(!ask(&mut session, "SHOW TABLES").unwrap().contains("orders"));
    commit(&mut lake, "orders");
    lake.define("returns", &id_and_name());
    let shown = ask(&mut session, "SHOW TABLES").unwrap();
    assert!(shown.contains("bronze.orders") && shown.contains("dead_letters.returns"), "{shown}");
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM bronze.orders").unwrap(), "n\n1\n");
    for (number, columns) in [
        "SELECT string_agg(column_name) AS c FROM information_schema.columns WHERE table_name LIKE 'event_'",
        "SELECT string_agg(column_name) AS c FROM duckdb_columns() WHERE table_name LIKE 'event_'",
        "SELECT string_agg(column_names::VARCHAR) AS c FROM (SHOW ALL TABLES) WHERE name LIKE 'event_'",
    ]
    .into_iter()
    .enumerate()
    {
        let added = format!("added_{number}");
        let schema = closed(json!({ "id": { "type": "integer" }, &added: { "type": "string" } }));
        lake.commit("events", &schema, "SELECT 1 AS id", None);
        assert!(ask(&mut session, columns).unwrap().contains(&added), "{columns}");
    }
}

/// Fails when a stream is looked for by the SQL name that it had before another one appeared.
#[test]
fn a_stream_whose_sql_name_changes_is_found_by_its_new_one() {
    let mut lake = TestLake::new();
    commit(&mut lake, "EVENTS");
    let mut session = lake.session();
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM bronze.events").unwrap(), "n\n1\n");
    commit(&mut lake, "EVENTS");
    commit(&mut lake, "events");
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM bronze.events_2").unwrap(), "n\n2\n");
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM bronze.events").unwrap(), "n\n1\n");
}
