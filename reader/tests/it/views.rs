//! What the views show: only committed files, of every schema generation, under any name.

use lake::{
    columns::{Column, ColumnType},
    ids::StreamName,
};
use serde_json::json;

use reader::output::Format;

use crate::support::{TestLake, ask, closed, id_and_name, strange_lake, strange_query, write_as};

#[test]
fn only_files_that_a_commit_names_are_seen() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    lake.write_orphan("events", "SELECT 2 AS id, 'orphan' AS name");

    assert_eq!(lake.ask("SELECT id, name FROM bronze.events"), "id,name\n1,one\n");
}

#[test]
fn both_sides_of_a_batch_show_all_their_columns() {
    let mut lake = TestLake::new();
    let dead = "SELECT 'invalid_schema' AS _dead_letter_reason, '{\"id\":\"x\"}' AS _raw_record";
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", Some(dead));

    assert_eq!(
        lake.ask("FROM bronze.events"),
        "id,name,_source_key,_source_etag,_record_index,_batch_id,_ingested_at,_schema_id\n\
         1,one,any_source_key,any_source_etag,0,0,2026-11-20 08:00:00+00,any_schema_id\n"
    );
    assert_eq!(
        lake.ask("SELECT _dead_letter_reason, _raw_record, _raw_bytes FROM dead_letters.events"),
        "_dead_letter_reason,_raw_record,_raw_bytes\ninvalid_schema,\"{\"\"id\"\":\"\"x\"\"}\",\n"
    );
}

#[test]
fn a_planned_stream_has_views_with_its_columns_before_its_first_commit() {
    let mut lake = TestLake::new();
    lake.plan("events", &id_and_name());

    assert!(lake.ask("FROM bronze.events").starts_with("id,name,_source_key,"));
    assert_eq!(lake.ask("SELECT typeof(any_value(id)) AS t FROM bronze.events"), "t\nBIGINT\n");
    assert!(lake.ask("FROM dead_letters.events").starts_with("_dead_letter_reason,_error_code,"));
}

#[test]
fn a_defined_stream_has_views_before_it_has_a_ledger() {
    let lake = TestLake::new();
    lake.define("orders", &closed(json!({ "total": { "type": "number" } })));

    assert!(lake.ask("FROM bronze.orders").starts_with("total,_source_key,"));
}

#[test]
fn a_wrong_stream_definition_does_not_affect_other_streams() {
    let mut lake = TestLake::new();
    lake.define("broken", &json!({ "type": "array" }));
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);

    assert_eq!(lake.ask("SELECT id FROM bronze.events"), "id\n1\n");
    assert!(lake.ask("FROM bronze.broken").starts_with("_source_key,"));
}

#[test]
fn the_next_statement_of_a_session_sees_the_newest_commit() {
    let mut lake = TestLake::new();
    let mut session = lake.session();
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM checkpoints.batches").unwrap(), "n\n0\n");

    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    assert_eq!(ask(&mut session, "SELECT id FROM bronze.events").unwrap(), "id\n1\n");

    lake.commit("events", &id_and_name(), "SELECT 2 AS id, 'two' AS name", Some("SELECT 1"));
    assert_eq!(ask(&mut session, "SELECT id FROM bronze.events ORDER BY id").unwrap(), "id\n1\n2\n");
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM dead_letters.events").unwrap(), "n\n1\n");
}

#[test]
fn between_begin_and_commit_all_statements_see_one_state() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    let mut session = lake.session();
    ask(&mut session, "BEGIN").unwrap();

    lake.commit("events", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM bronze.events").unwrap(), "n\n1\n");
    assert_eq!(ask(&mut session, "ROLLBACK; SELECT count(*) AS n FROM bronze.events").unwrap(), "n\n2\n");
}

#[test]
fn a_transaction_that_failed_does_not_end_the_session() {
    let mut lake = TestLake::new();
    let mut session = lake.session();
    ask(&mut session, "BEGIN").unwrap();
    ask(&mut session, "SELECT error('x')").unwrap_err();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);

    ask(&mut session, "SELECT 1").unwrap_err();
    assert_eq!(ask(&mut session, "ROLLBACK; SELECT id FROM bronze.events").unwrap(), "id\n1\n");
}

#[test]
fn generations_of_a_stream_read_as_one_table() {
    let mut lake = TestLake::new();
    let first = closed(json!({
        "amount": { "type": "integer" }, "note": { "type": "string" }, "kind": { "type": "string" },
        "place": { "type": "object", "properties": { "x": { "type": "integer" } }, "additionalProperties": false },
        "tags": { "type": "array", "items": { "type": "integer" } },
        "more": { "type": "object", "additionalProperties": { "type": "integer" } },
    }));
    let second = closed(json!({
        "kind": { "type": "integer" }, "amount": { "type": "integer" },
        "place": { "type": "object", "additionalProperties": false,
                   "properties": { "y": { "type": "string" }, "x": { "type": "integer" } } },
        "tags": { "type": "array", "items": { "type": "integer" } },
        "more": { "type": "object", "additionalProperties": { "type": "integer" } },
    }));
    let old =
        "SELECT 1 AS amount, 'gone' AS note, 'text' AS kind, {'x': 3} AS place, [1] AS tags, MAP {'k': 1} AS more";
    let new = "SELECT 2 AS amount, 7 AS kind, {'y': 'why', 'x': 4} AS place, [2] AS tags, MAP {'k': 2} AS more";
    lake.commit("events", &first, old, None);
    lake.commit("events", &second, new, None);

    assert_eq!(
        lake.ask(
            "SELECT * EXCLUDE (_source_key, _source_etag, _record_index, _batch_id, _ingested_at, _schema_id) \
                  FROM bronze.events ORDER BY amount"
        ),
        "kind,amount,place,tags,more,note,kind_102\n\
         ,1,\"{'y': NULL, 'x': 3}\",[1],{k=1},gone,text\n\
         7,2,\"{'y': why, 'x': 4}\",[2],{k=2},,\n"
    );
}

/// As one column, DuckDB would miss rows of the old file, and 2^53 + 1 would change.
#[test]
fn an_integer_that_became_a_number_is_shown_next_to_it_with_every_digit() {
    let mut lake = TestLake::new();
    let of = |kind: &str| closed(json!({"amount": {"type": kind}}));
    lake.commit("events", &of("integer"), "SELECT 9007199254740993 AS amount", None);
    lake.commit("events", &of("number"), "SELECT 0.5 AS amount", None);
    let rows = "SELECT amount, amount_100 FROM bronze.events";
    assert_eq!(
        lake.ask(&format!("{rows} WHERE amount_100 = 9007199254740993")),
        "amount,amount_100\n,9007199254740993\n"
    );
    assert_eq!(lake.ask(&format!("{rows} WHERE amount < 1")), "amount,amount_100\n0.5,\n");
}

#[test]
fn a_new_schema_changes_the_columns_within_a_session() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    let mut session = lake.session();
    assert_eq!(ask(&mut session, "SELECT * FROM bronze.events LIMIT 0").unwrap().split(',').nth(1), Some("name"));

    let wider = closed(
        json!({ "id": { "type": "integer" }, "name": { "type": "string" }, "day": { "type": "string", "format": "date" } }),
    );
    lake.commit("events", &wider, "SELECT 2 AS id, 'two' AS name, DATE '2026-11-20' AS day", None);
    assert_eq!(
        ask(&mut session, "SELECT id, day FROM bronze.events ORDER BY id").unwrap(),
        "id,day\n1,\n2,2026-11-20\n"
    );
}

#[test]
fn a_strange_name_is_only_a_strange_name() {
    let mut lake = TestLake::in_folder("l[a]k'e *?");
    for name in ["x\"; drop table t; --", "it's", "a[b]*?", "SELECT", "héé 'ünï'", "{x}", "a%41b"] {
        lake.commit(
            name,
            &closed(json!({ "a\"'b": { "type": "integer" } })),
            "SELECT 5 AS \"a\"\"'b\"",
            Some("SELECT 1"),
        );
        let quoted = name.replace('"', "\"\"");
        let query = format!(
            "SELECT \"a\"\"'b\" + (SELECT count(*) FROM dead_letters.\"{quoted}\") AS n FROM bronze.\"{quoted}\""
        );
        assert_eq!(lake.ask(&query), "n\n6\n", "{name}");
    }
}

#[test]
fn strange_names_keys_and_values_come_out_as_they_went_in() {
    let (query, answer) = strange_query();
    assert_eq!(write_as(&mut strange_lake().session(), &query, Format::Json).unwrap(), answer);
}

#[test]
fn of_streams_that_differ_in_case_the_one_in_lower_case_keeps_its_name() {
    let mut lake = TestLake::new();
    lake.commit("EVENTS", &id_and_name(), "SELECT 2 AS id, 'capital' AS name", None);
    let mut session = lake.session();
    assert_eq!(ask(&mut session, "SELECT name FROM bronze.events").unwrap(), "name\ncapital\n");
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'small' AS name", None);
    lake.commit("events_2", &id_and_name(), "SELECT 3 AS id, 'another' AS name", None);

    for mut session in [session, lake.session()] {
        for (relation, name) in [("events", "small"), ("EVENTS_3", "capital"), ("events_2", "another")] {
            let query = format!("SELECT name FROM bronze.{relation}");
            assert_eq!(ask(&mut session, &query).unwrap(), format!("name\n{name}\n"));
        }
        assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM dead_letters.events_3").unwrap(), "n\n0\n");
    }
}

#[test]
fn a_missing_batch_is_reported_as_damage() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    lake.commit("events", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    let stream: StreamName = "events".parse().unwrap();
    let first = lake::keys::Key::Commit { stream, batch: lake::ids::BatchId::FIRST };
    std::fs::remove_file(lake.path(&first.to_string())).unwrap();

    let failed = ask(&mut lake.session(), "FROM bronze.events").unwrap_err();
    assert_eq!(failed.kind(), lake::ErrorKind::Corrupt);
}

/// Fails when damage looks like the user's mistake: no column of a damaged stream is known.
#[test]
fn a_column_of_a_damaged_stream_is_damage_and_a_wrong_column_elsewhere_is_not() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    lake.commit("orders", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    let stream: StreamName = "events".parse().unwrap();
    let commit = lake::keys::Key::Commit { stream, batch: lake::ids::BatchId::FIRST };
    std::fs::write(lake.path(&commit.to_string()), "x").unwrap();
    let mut session = lake.session();
    for query in ["SELECT id FROM bronze.events", "SELECT max(name) FROM bronze.\"EVENTS\" WHERE id > 1"] {
        let failed = ask(&mut session, query).unwrap_err();
        assert_eq!(failed.kind(), lake::ErrorKind::Corrupt, "{query}: {failed}");
        assert!(failed.to_string().contains("bronze.events") && failed.to_string().contains("damaged"), "{failed}");
    }
    for query in ["SELECT wrong FROM bronze.orders", "SELECT wrong FROM dead_letters.orders"] {
        assert_eq!(ask(&mut session, query).unwrap_err().kind(), lake::ErrorKind::Invalid, "{query}");
    }
}

/// Fails when a view that can't be made ends the shell, or takes another relation with it.
#[test]
fn a_view_that_can_not_be_made_fails_alone_and_says_why() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", Some("SELECT 1"));
    lake.commit("orders", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    let mut session = lake.session();
    let schema_id = lake.store_schema("events", &id_and_name(), |columns| columns[1].name = "na\0me".to_owned());
    lake.commit_by_hand("events", &id_and_name(), |commit| commit.schema_id = schema_id);

    for session in [&mut session, &mut lake.session()] {
        assert_eq!(ask(session, "SELECT id FROM bronze.orders").unwrap(), "id\n2\n");
        assert_eq!(ask(session, "SELECT count(*) AS n FROM dead_letters.events").unwrap(), "n\n1\n");
        let failed = ask(session, "FROM bronze.events").unwrap_err();
        assert!(failed.to_string().contains("nul byte"), "{failed}");
    }
}

/// An earlier version could store more columns than memory has room for.
#[test]
fn a_view_of_far_too_many_columns_fails_alone_and_says_so() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    lake.commit("orders", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    let schema_id = lake.store_schema("events", &id_and_name(), |columns| {
        let fields = (0..50_000)
            .map(|at| Column { id: 1_000 + at, ..Column::unnumbered(format!("f{at}"), ColumnType::Int64, true) });
        columns[1].kind = ColumnType::Struct(fields.collect());
    });
    lake.commit_by_hand("events", &id_and_name(), |commit| commit.schema_id = schema_id);
    let mut session = lake.session();
    assert_eq!(ask(&mut session, "SELECT id FROM bronze.orders").unwrap(), "id\n2\n");
    let failed = ask(&mut session, "FROM bronze.events").unwrap_err().to_string();
    assert!(failed.contains("columns") && failed.contains("40000"), "{failed}");
}

#[test]
fn show_tables_lists_what_a_query_can_name() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    lake.commit("my orders", &id_and_name(), "SELECT 1 AS id, 'one' AS name", None);
    assert_eq!(
        lake.ask("CREATE TABLE mine (i INTEGER); SHOW TABLES"),
        "name\nmine\nbronze.events\n\"bronze.\"\"my orders\"\"\"\ncheckpoints.batches\ncheckpoints.files\n\
         checkpoints.objects\ndead_letters.events\n\"dead_letters.\"\"my orders\"\"\"\n"
    );
    assert_eq!(lake.ask("USE bronze; SHOW TABLES; SELECT id FROM events"), "name\nevents\nmy orders\nid\n1\n");
}

#[test]
fn every_statement_sees_one_state_while_batches_are_committed() {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", Some("SELECT 1"));
    let mut session = lake.session();
    let writer = std::thread::spawn(move || {
        for _ in 0..30 {
            lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name FROM range(3)", Some("SELECT 1"));
        }
        lake
    });
    let query = "SELECT (SELECT count(*) FROM bronze.events) - (SELECT sum(rows) FROM checkpoints.batches) AS rows, \
                 (SELECT count(*) FROM dead_letters.events) - (SELECT sum(dead_letters) FROM checkpoints.objects) AS dead, \
                 (SELECT max(batch) FROM checkpoints.batches) AS newest";
    let mut newest = 0_u64;
    while newest < 31 {
        let answer = ask(&mut session, query).unwrap();
        let seen = answer.lines().last().unwrap().strip_prefix("0,0,").unwrap_or_else(|| panic!("{answer}")).to_owned();
        let seen = seen.parse().unwrap();
        assert!(seen >= newest);
        newest = seen;
    }
    writer.join().unwrap();
}

#[test]
fn ten_thousand_files_read_as_one_table() {
    let mut lake = TestLake::new();
    lake.commit_files("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", 10_000);
    let mut session = lake.session();
    assert_eq!(
        ask(&mut session, "SELECT count(*) AS n, sum(id) AS s FROM bronze.events").unwrap(),
        "n,s\n10000,10000\n"
    );
    lake.commit("events", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM bronze.events").unwrap(), "n\n10001\n");
}

#[test]
fn an_empty_lake_has_only_its_ledger_relations() {
    let lake = TestLake::new();
    assert_eq!(lake.ask("SHOW TABLES"), "name\ncheckpoints.batches\ncheckpoints.files\ncheckpoints.objects\n");
    assert_eq!(lake.ask("SELECT count(*) AS n FROM checkpoints.objects"), "n\n0\n");
}
