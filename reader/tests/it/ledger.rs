//! The ledger as SQL.

use crate::support::{TestLake, ask, id_and_name};

fn two_batches() -> TestLake {
    let mut lake = TestLake::new();
    lake.commit("events", &id_and_name(), "SELECT 1 AS id, 'one' AS name", Some("SELECT unnest([1, 2])"));
    lake.commit("events", &id_and_name(), "SELECT 2 AS id, 'two' AS name", None);
    lake
}

#[test]
fn batches_show_what_was_committed_and_when() {
    let query = "SELECT stream, batch, committed_at, objects, files, records_read, rows, dead_letters, \
                 dead_letters_by_reason FROM checkpoints.batches ORDER BY batch";
    assert_eq!(
        two_batches().ask(query),
        "stream,batch,committed_at,objects,files,records_read,rows,dead_letters,dead_letters_by_reason\n\
         events,1,2026-11-20 08:00:01.5+00,1,2,3,1,2,{invalid_schema=2}\n\
         events,2,2026-11-20 08:00:01.5+00,1,1,1,1,0,{}\n"
    );
}

#[test]
fn objects_show_the_outcome_of_each_input() {
    assert_eq!(
        two_batches().ask("FROM checkpoints.objects ORDER BY batch LIMIT 1"),
        "stream,batch,key,etag,size,outcome,records_read,rows,dead_letters,copy\n\
         events,1,raw/events/1.json,\"\"\"e\"\"\",10,ingested,3,1,2,\n"
    );
}

#[test]
fn files_show_where_they_are() {
    let lake = two_batches();
    let answer = lake.ask("SELECT zone, rows, location FROM checkpoints.files ORDER BY batch, zone LIMIT 1");
    let location = format!("{}/bronze/events/ingested_date=2026-11-20/", lake.url);
    assert!(answer.starts_with(&format!("zone,rows,location\nbronze,1,{location}")), "{answer}");
}

#[test]
fn times_are_the_same_in_every_time_zone() {
    let lake = two_batches();
    let script = "SET TimeZone = 'America/New_York'; SELECT epoch_us(min(committed_at)) AS t FROM checkpoints.batches";
    assert_eq!(lake.ask(script), "t\n1795161601500000\n");
}

#[test]
fn the_ledger_can_be_read_and_not_written() {
    let lake = two_batches();
    let failed = ask(&mut lake.session(), "DELETE FROM checkpoints.batches").unwrap_err();
    assert_eq!(failed.kind(), lake::ErrorKind::Invalid);
}

#[test]
fn objects_are_found_under_any_spelling_and_stay_up_to_date() {
    let mut lake = two_batches();
    let mut session = lake.session();
    let count = "SELECT count(*) AS n FROM mine";
    ask(&mut session, "BEGIN; SELECT count(*) FROM checkpoints.objects; ROLLBACK").unwrap();
    ask(&mut session, "CREATE VIEW mine AS FROM query('FROM checkpoints.Objects')").unwrap();
    assert_eq!(ask(&mut session, count).unwrap(), "n\n2\n");
    lake.commit("events", &id_and_name(), "SELECT 3 AS id, 'three' AS name", None);
    lake.commit("orders", &id_and_name(), "SELECT 3 AS id, 'three' AS name", None);
    assert_eq!(ask(&mut session, count).unwrap(), "n\n4\n");
}

#[test]
fn a_transaction_that_reads_objects_late_still_sees_its_own_state() {
    let mut lake = two_batches();
    let mut session = lake.session();
    ask(&mut session, "BEGIN").unwrap();
    lake.commit("events", &id_and_name(), "SELECT 3 AS id, 'three' AS name", None);
    assert_eq!(ask(&mut session, "SELECT count(*) AS n FROM checkpoints.objects").unwrap(), "n\n2\n");
    assert_eq!(ask(&mut session, "COMMIT; SELECT count(*) AS n FROM checkpoints.objects").unwrap(), "n\n3\n");
}
