//! What commits remove and resolve is gone from the views, in a session that runs and in a new one.

use lake::{
    dead_letter::{DeadLetterIds, Reason},
    ledger::{RemovedFile, ResolvedDeadLetters, Totals},
};

use crate::support::{TestLake, ask, closed, id_and_name};

/// Three batches of two rows and three dead letters each, with the ids that these have.
fn lake() -> TestLake {
    let mut lake = TestLake::new();
    for batch in 1..=3 {
        let rows = format!("SELECT {batch} * 10 + range AS id, 'n' AS name FROM range(2)");
        let letters = format!(
            "SELECT 'raw/events/{batch}.json' AS _source_key, 'e' AS _source_etag, range AS _record_index, {batch} AS _batch_id, \
             left(sha256(concat('e raw/events/{batch}.json ', range)), 16) AS _dead_letter_id FROM range(3)"
        );
        lake.commit("events", &id_and_name(), &rows, Some(&letters));
    }
    lake
}

const SEEN: &str = "SELECT (SELECT list(id ORDER BY id) FROM bronze.events) AS ids, (SELECT list(DISTINCT _source_key || _record_index \
                    ORDER BY _source_key || _record_index) FROM dead_letters.events) AS letters, (SELECT count(*) FROM dead_letters.events) AS n";

fn seen(ids: &str, letters: &[&str]) -> String {
    let names: Vec<_> = letters.iter().map(|letter| format!("raw/events/{letter}")).collect();
    format!("ids,letters,n\n\"[{ids}]\",\"[{}]\",{}\n", names.join(", "), letters.len())
}

fn resolved(count: u64) -> Totals {
    let resolved_by_reason = [(Reason::InvalidSchema, count)].into();
    Totals { resolved: count, discarded: count, resolved_by_reason, ..Totals::default() }
}

/// Fails when a view shows what was removed, or a dead letter that is resolved; one after the other, as a commit is made.
#[test]
fn removed_files_and_resolved_dead_letters_are_gone_from_the_views_at_once() {
    let mut lake = lake();
    let mut session = lake.session();
    let all = ["1.json0", "1.json1", "1.json2", "2.json0", "2.json1", "2.json2", "3.json0", "3.json1", "3.json2"];
    assert_eq!(ask(&mut session, SEEN).unwrap(), seen("10, 11, 20, 21, 30, 31", &all));

    // All of one file, and one of another.
    let (first, second, third) =
        (lake.committed("events", 1), lake.committed("events", 2), lake.committed("events", 3));
    let id = DeadLetterIds::of("raw/events/3.json", "e").id(Some(1));
    lake.commit_by_hand("events", &id_and_name(), |commit| {
        commit.resolved = vec![
            ResolvedDeadLetters { file: second.files[1].key.clone(), dead_letters: 3, ids: None },
            ResolvedDeadLetters { file: third.files[1].key.clone(), dead_letters: 1, ids: Some(vec![id]) },
        ];
        commit.totals = resolved(4);
    });
    let open = ["1.json0", "1.json1", "1.json2", "3.json0", "3.json2"];
    assert_eq!(ask(&mut session, SEEN).unwrap(), seen("10, 11, 20, 21, 30, 31", &open));

    // The rows of two files in one, in another order.
    let written = lake.rewrite(
        "events",
        &id_and_name(),
        "FROM (VALUES (31, 'n'), (11, 'n'), (30, 'n'), (10, 'n')) AS t(id, name)",
    );
    lake.commit_by_hand("events", &id_and_name(), |commit| {
        let removed = [&first, &third].map(|commit| &commit.files[0]);
        commit.removed = removed.map(|file| RemovedFile { key: file.key.clone(), size: file.size, rows: 2 }).to_vec();
        commit.files = vec![written];
    });
    assert_eq!(ask(&mut session, SEEN).unwrap(), seen("10, 11, 20, 21, 30, 31", &open));

    // What is not part of the table need not exist any more.
    std::fs::remove_file(lake.path(&first.files[0].key.to_string())).unwrap();
    std::fs::remove_file(lake.path(&second.files[1].key.to_string())).unwrap();
    assert_eq!(lake.ask(SEEN), seen("10, 11, 20, 21, 30, 31", &open));
    assert_eq!(ask(&mut session, SEEN).unwrap(), seen("10, 11, 20, 21, 30, 31", &open));
    let sums = "SELECT sum(rows) + sum(files_removed) * 100 AS a, sum(dead_letters) - sum(dead_letters_resolved) AS open, \
                sum(records_discarded) AS discarded FROM checkpoints.batches";
    assert_eq!(lake.ask(sums), "a,open,discarded\n206,5,4\n");
    let files = "SELECT zone, count(*) AS files, sum(rows) AS n FROM checkpoints.files GROUP BY ALL ORDER BY ALL";
    assert_eq!(lake.ask(files), "zone,files,n\nbronze,2,6\ndead_letters,3,9\n");
}

/// Fails when all dead letters of a stream are resolved and the view is still made over their files.
#[test]
fn a_stream_whose_dead_letters_are_all_resolved_shows_none() {
    let mut lake = lake();
    let files = [1, 2, 3].map(|batch| lake.committed("events", batch).files[1].key.clone());
    let mut session = lake.session();
    lake.commit_by_hand("events", &id_and_name(), |commit| {
        let all = files.map(|file| ResolvedDeadLetters { file, dead_letters: 3, ids: None });
        (commit.resolved, commit.totals) = (all.to_vec(), resolved(9));
    });
    let count = "SELECT count(*) AS n, count(DISTINCT _dead_letter_id) AS ids FROM dead_letters.events";
    assert_eq!(ask(&mut session, count).unwrap(), "n,ids\n0,0\n");
    assert_eq!(lake.ask(count), "n,ids\n0,0\n");
}

/// Fails when the rule in SQL is not the one in Rust.
#[test]
fn dead_letters_written_before_they_had_ids_have_the_same_ones() {
    let mut lake = TestLake::new();
    lake.with_ids = false;
    let strange = "raw/events/l''été \"日本\" 🎉.json";
    let letters = format!(
        "SELECT '{strange}' AS _source_key, '\"x-1\"' AS _source_etag, range - 1 AS _record_index FROM range(3) \
         UNION ALL SELECT '{strange}', '\"x-1\"', NULL"
    );
    lake.commit(
        "events",
        &closed(serde_json::json!({})),
        "SELECT 1 AS one",
        Some(&letters.replace("range - 1", "range")),
    );
    let ids = DeadLetterIds::of(&strange.replace("''", "'"), "\"x-1\"");
    let expected: Vec<String> = [Some(0), Some(1), Some(2), None].map(|index| ids.id(index).to_string()).to_vec();
    let answer = lake.ask("SELECT _dead_letter_id AS id FROM dead_letters.events ORDER BY _record_index NULLS LAST");
    assert_eq!(answer, format!("id\n{}\n", expected.join("\n")));
    // One that is stored is shown as it is.
    lake.with_ids = true;
    lake.commit(
        "events",
        &closed(serde_json::json!({})),
        "SELECT 1 AS one",
        Some("SELECT 'stored' AS _dead_letter_id"),
    );
    assert_eq!(lake.ask("SELECT count(*) AS n FROM dead_letters.events WHERE _dead_letter_id = 'stored'"), "n\n1\n");
}
