//! The protocol of plans and commits, seen from outside: each record once, whatever happens in between.

use std::{fs, sync::Arc, time::Duration};

use consumer::{
    Error, discover,
    execute::{Executor, LocalExecutor, StageTimes, TaskReport, TaskRequest},
    inspect::{status, verify},
    pipeline::{Pipeline, RunSettings},
};
use lake::{
    ErrorKind,
    clock::{ManualClock, SystemClock, Timestamp},
    keys::Key,
    ledger::{Claimed, Ingest, Outcome, Plan, PlannedTask, Rewrite, SchemaRecord, Work},
    stream::{Format, StreamDefinition},
};
use serde_json::json;
use uuid::Uuid;

use crate::lake_in_a_folder::{FolderLake, definition, events};

/// Plans all that has landed and stores the plan, like a consumer that then died.
async fn abandoned_plan(lake: &FolderLake, definition: &StreamDefinition) -> Plan {
    let ledger = lake.ledger();
    let schema = SchemaRecord::derive(&events(), &definition.schema, None).unwrap();
    ledger.create_schema(&schema).await.unwrap();
    let mut known = discover::KnownInputs::new(ledger.clone(), discover::Mending::Keep);
    let found =
        discover::discover(&lake.lake, &events(), &mut known, None, discover::KnownOnes::PassOver).await.unwrap();
    let plan = Plan {
        stream: events(),
        batch: lake::ids::BatchId::FIRST,
        plan_id: Uuid::from_u128(7),
        planned_at: Timestamp::from_micros(1_795_000_000_000_000).unwrap(),
        work: Work::Ingest(Ingest {
            schema_id: schema.id(),
            read: definition.read.clone(),
            tasks: vec![PlannedTask { objects: found.objects }],
        }),
    };
    assert_eq!(ledger.create_plan(&plan).await.unwrap(), Claimed::Ours);
    plan
}

/// Executes a plan like the process that made it, without a commit.
async fn execute(lake: &FolderLake, plan: &Plan, cores: usize) -> Result<Vec<TaskReport>, Error> {
    let tasks = TaskRequest::of(plan, Duration::from_secs(600)).unwrap();
    LocalExecutor::new(lake.lake.clone(), cores).run(tasks).await
}

fn ids(rows: &[serde_json::Map<String, serde_json::Value>]) -> Vec<i64> {
    let mut ids: Vec<i64> = rows.iter().filter_map(|row| row.get("id")?.as_i64()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn nothing_new_makes_no_batch_and_nothing_is_read_twice() {
    let lake = FolderLake::new().await;
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    assert!(lake.holds().await.commits.is_empty());
    lake.land("b.json", "[{\"id\": 1}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    lake.land("a.json", "[{\"id\": 2}]");
    for _ in 0..3 {
        lake.consume(definition(Format::JsonArray)).await.unwrap();
    }
    let held = lake.holds().await;
    assert_eq!((held.commits.len(), ids(&held.rows)), (2, vec![1, 2]), "a later object with a smaller key is found");
}

#[tokio::test]
async fn other_bytes_under_the_same_key_are_a_new_input() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    fs::remove_file(lake.path("raw/events/a.json")).unwrap();
    lake.land("a.json", "[{\"id\": 22}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    assert_eq!(ids(&lake.holds().await.rows), [1, 22]);
}

/// Fails when the plan does not name the content of earlier versions: each upload is then read.
#[tokio::test]
async fn the_same_bytes_uploaded_again_are_one_input() {
    let lake = FolderLake::new().await;
    let upload = async |body: &str| {
        // A new version each time, however coarse the file system's clock is.
        let moment = std::time::SystemTime::now() + Duration::from_secs(lake.holds().await.commits.len() as u64);
        lake.land("a.json", body);
        fs::File::options().write(true).open(lake.path("raw/events/a.json")).unwrap().set_modified(moment).unwrap();
        lake.consume(definition(Format::JsonArray)).await.unwrap();
    };
    for body in ["[{\"id\": 1}]", "[{\"id\": 1}]", "[{\"id\": 2}]", "[{\"id\": 1}]", "[{\"id\": 2}]"] {
        upload(body).await;
    }
    let held = lake.holds().await;
    let outcomes: Vec<_> = held.commits.iter().map(|commit| commit.inputs[0].outcome).collect();
    let (read, not) = (Outcome::Ingested, Outcome::Unchanged);
    assert_eq!((outcomes, ids(&held.rows)), (vec![read, not, read, not, not], vec![1, 2]));
    assert!(verify(&lake.ledger()).await.unwrap().ok);
}

#[tokio::test]
async fn an_uncommitted_plan_is_executed_as_planned() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    let before = definition(Format::JsonArray);
    let plan = abandoned_plan(&lake, &before).await;
    lake.land("b.json", "[{\"id\": 2}]");
    // The stream now has another schema, which would refuse every record of the plan.
    let mut after = definition(Format::JsonArray);
    after.schema = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}});
    lake.consume(after).await.unwrap();

    let held = lake.holds().await;
    assert_eq!(held.commits.len(), 2);
    assert_eq!((held.commits[0].plan_id, held.commits[0].totals.rows), (plan.plan_id, 1), "under the planned schema");
    assert_eq!((held.commits[1].totals.rows, held.commits[1].totals.dead_letters), (0, 1), "under the new one");
    assert_ne!(held.commits[0].schema_id, held.commits[1].schema_id);
    assert_eq!(held.rows[0].get("_ingested_at"), Some(&json!(plan.planned_at.to_string().replace(".000000", ""))));
}

#[tokio::test]
async fn an_object_that_is_gone_or_overwritten_is_recorded_and_the_batch_goes_on() {
    let lake = FolderLake::new().await;
    for name in ["gone", "kept", "overwritten"] {
        lake.land(&format!("{name}.json"), "[{\"id\": 1}]");
    }
    let definition = definition(Format::JsonArray);
    abandoned_plan(&lake, &definition).await;
    fs::remove_file(lake.path("raw/events/gone.json")).unwrap();
    lake.land("overwritten.json", "[{\"id\": 222}]");
    lake.consume(definition).await.unwrap();

    let held = lake.holds().await;
    let outcomes: Vec<_> = held.commits[0].inputs.iter().map(|input| input.outcome).collect();
    assert_eq!(outcomes, [Outcome::Missing, Outcome::Ingested, Outcome::Changed]);
    assert_eq!(ids(&held.rows), [1, 222], "the new version is read as its own input");
}

#[tokio::test]
async fn a_clock_that_jumps_loses_and_duplicates_nothing() {
    let lake = FolderLake::new().await;
    let hours = [1, -1, 0, -300_000, 300_000];
    for (id, hours) in hours.into_iter().enumerate() {
        lake.land(&format!("{}.json", 9 - id), format!("[{{\"id\": {id}}}]"));
        let moment = Timestamp::from_micros(1_795_000_000_000_000 + hours * 3_600_000_000).unwrap();
        let settings = RunSettings::in_process(true, 1);
        let clock = Arc::new(ManualClock::new(moment));
        let pipeline = Pipeline::open(lake.lake.clone(), definition(Format::JsonArray), clock, settings).await.unwrap();
        pipeline.run(std::future::pending()).await.unwrap();
    }
    let held = lake.holds().await;
    assert_eq!((held.commits.len(), ids(&held.rows)), (5, vec![0, 1, 2, 3, 4]));
    assert!(verify(&lake.ledger()).await.unwrap().ok);
}

#[tokio::test]
async fn two_executions_of_one_plan_write_the_same_files_and_one_commit() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}, {\"id\": \"x\"}]");
    lake.land("b.json", "[{\"id\"");
    let plan = abandoned_plan(&lake, &definition(Format::JsonArray)).await;
    let mut executions = Vec::new();
    for cores in [1, 2] {
        let mut reports = execute(&lake, &plan, cores).await.unwrap();
        reports.iter_mut().for_each(|report| report.times = StageTimes::default());
        executions.push(reports);
    }
    assert_eq!(executions[0], executions[1]);
    // The consumer is the third, and finds the files of the other two.
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let held = lake.holds().await;
    let [commit] = held.commits.as_slice() else { panic!("{:?}", held.commits) };
    assert_eq!((&commit.files, &commit.inputs), (&executions[0][0].files, &executions[0][0].inputs));
}

#[tokio::test]
async fn a_file_of_other_bytes_in_the_way_stops_the_batch_and_is_not_overwritten() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    let plan = abandoned_plan(&lake, &definition(Format::JsonArray)).await;
    let reports = execute(&lake, &plan, 1).await.unwrap();
    let file = lake.path(&reports[0].files[0].key.to_string());
    fs::write(&file, "not mine").unwrap();
    let error = execute(&lake, &plan, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("bronze/events/"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"not mine");
}

/// Fails when a consumer treats other work as an ingest, or skips it.
#[tokio::test]
async fn a_plan_with_work_that_this_program_can_not_execute_stops_it_with_a_message() {
    let lake = FolderLake::new().await;
    let mut plan = abandoned_plan(&lake, &definition(Format::JsonArray)).await;
    fs::remove_file(lake.path(&format!("checkpoints/events/plans/{}.json", plan.batch))).unwrap();
    plan.work = Work::Rewrite(Rewrite { files: Vec::new() });
    assert_eq!(lake.ledger().create_plan(&plan).await.unwrap(), Claimed::Ours);
    let error = lake.consume(definition(Format::JsonArray)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("is a rewrite, which this program can't execute"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_of_one_stream_commit_every_record_once() {
    let lake = Arc::new(FolderLake::new().await);
    for index in 0..60 {
        lake.land(&format!("{index:02}.json"), format!("[{{\"id\": {index}}}]"));
    }
    let mut rivals = Vec::new();
    for _ in 0..5 {
        let lake = Arc::clone(&lake);
        let mut definition = definition(Format::JsonArray);
        definition.batch.objects_max = 4;
        rivals.push(tokio::spawn(async move { lake.consume(definition).await }));
    }
    for rival in rivals {
        rival.await.unwrap().unwrap();
    }
    let held = lake.holds().await;
    assert_eq!(ids(&held.rows), (0..60).collect::<Vec<_>>());
    assert!(verify(&lake.ledger()).await.unwrap().ok);
}

#[tokio::test]
async fn a_batch_that_another_consumer_left_is_taken_over_once_it_is_overdue() {
    let lake = FolderLake::new().await;
    let settings = RunSettings::in_process(false, 1);
    let pipeline = Pipeline::open(lake.lake.clone(), definition(Format::JsonArray), Arc::new(SystemClock), settings);
    let pipeline = pipeline.await.unwrap();
    lake.land("a.json", "[{\"id\": 1}]");
    // Claimed while the consumer runs, by another one that then disappears.
    let plan = abandoned_plan(&lake, &definition(Format::JsonArray)).await;
    let ledger = lake.ledger();
    let committed = async {
        while ledger.commit(plan.batch).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    pipeline.run(committed).await.unwrap();
    let held = lake.holds().await;
    assert_eq!((held.commits[0].plan_id, ids(&held.rows)), (plan.plan_id, vec![1]));
}

/// Fails when the look after a batch that was left uncommitted shows what a start found before that batch.
#[tokio::test]
async fn what_lands_during_a_batch_that_an_earlier_process_left_is_drained_too() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    abandoned_plan(&lake, &definition(Format::JsonArray)).await;
    let settings = RunSettings::in_process(true, 1);
    let pipeline = Pipeline::open(lake.lake.clone(), definition(Format::JsonArray), Arc::new(SystemClock), settings);
    let pipeline = pipeline.await.unwrap();
    lake.land("b.json", "[{\"id\": 2}]");
    pipeline.run(std::future::pending()).await.unwrap();
    assert_eq!(ids(&lake.holds().await.rows), [1, 2]);
}

#[tokio::test]
async fn a_damaged_ledger_stops_the_consumer_with_the_files_name() {
    let lake = FolderLake::new().await;
    for index in 0..3 {
        lake.land(&format!("{index}.json"), "[{\"id\": 1}]");
        lake.consume(definition(Format::JsonArray)).await.unwrap();
    }
    let commit = |batch: u64| lake.path(&format!("checkpoints/events/commits/{batch:020}.json"));
    let whole = fs::read(commit(2)).unwrap();
    let newer = String::from_utf8(whole.clone()).unwrap().replacen("\"version\":1", "\"version\":9", 1);
    for damage in [&whole[..whole.len() / 2], b"", newer.as_bytes(), b"{}"] {
        fs::write(commit(2), damage).unwrap();
        let error = lake.consume(definition(Format::JsonArray)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("commits/00000000000000000002.json"), "{error}");
    }
    fs::remove_file(commit(2)).unwrap();
    let gap = lake.consume(definition(Format::JsonArray)).await.unwrap_err();
    assert!(
        gap.to_string().contains("commits/00000000000000000002.json is missing")
            || gap.to_string().contains("is missing"),
        "{gap}"
    );
    fs::write(commit(2), whole).unwrap();
    lake.consume(definition(Format::JsonArray)).await.unwrap();
}

/// Fails when the consumer does not check this at startup: it reads all objects again, and every row is there twice.
#[tokio::test]
async fn a_ledger_that_names_versions_as_this_store_does_not_is_refused_with_a_message() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    // Earlier builds named a file's version by inode, time and size.
    let inode_time_size = "99a05a-660c7a4b4e6d5-c";
    let etag = lake.holds().await.commits[0].inputs[0].etag.clone();
    for folder in ["plans", "commits"] {
        let file = lake.path(&format!("checkpoints/events/{folder}/{:020}.json", 1));
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace(&etag, inode_time_size)).unwrap();
    }
    let error = lake.consume(definition(Format::JsonArray)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let words = error.to_string();
    assert!(words.contains(inode_time_size) && words.contains("an earlier program wrote it"), "{words}");
}

/// A ledger without the fields that were added later is continued as it is.
#[tokio::test]
async fn a_ledger_without_the_fields_that_were_added_since_is_read() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let file = lake.path(&format!("checkpoints/events/commits/{:020}.json", 1));
    let mut commit: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(commit["inputs"][0].as_object_mut().unwrap().remove("content").is_some());
    fs::write(&file, format!("{commit}\n")).unwrap();
    lake.land("b.json", "[{\"id\": 2}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    assert_eq!(ids(&lake.holds().await.rows), [1, 2]);
}

#[tokio::test]
async fn a_lost_ledger_is_noticed_and_no_new_one_is_begun() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}]");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    fs::remove_dir_all(lake.path("checkpoints/events")).unwrap();
    let error = lake.consume(definition(Format::JsonArray)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("restore checkpoints/events"), "{error}");
}

#[tokio::test]
async fn status_adds_up_and_shows_what_is_pending() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}, {\"id\": \"x\"}]");
    lake.land("b.json", "");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    lake.land("c.json", "[]");
    lake.land("_SUCCESS", "");
    let status = status(&lake.ledger(), &SystemClock).await.unwrap();
    assert_eq!((status.objects_ingested, status.objects_dead_lettered), (1, 1));
    assert_eq!((status.objects_pending, status.objects_ignored), (1, 1));
    assert_eq!((status.records_read, status.rows, status.dead_letters), (3, 1, 2));
    assert!(status.last_commit_at.is_some() && status.lag_seconds >= 0.0);
}

/// Changes a plan that is committed already, each time in one place.
#[tokio::test]
async fn verify_names_everything_in_which_a_commit_differs_from_its_plan() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1, \"at\": \"2026-01-01T00:00:00Z\"}]");
    lake.land("b.json", "[{\"id\": 2}]");
    let mut definition = definition(Format::JsonArray);
    definition.schema["properties"]["at"] = json!({"type": "string", "format": "date-time"});
    definition.read.event_time = Some("at".to_owned());
    lake.consume(definition).await.unwrap();
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());

    let path = lake.path("checkpoints/events/plans/00000000000000000001.json");
    let whole: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let object = |at: usize, field: &str| format!("/tasks/0/objects/{at}/{field}");
    for (pointer, other, words) in [
        ("/plan_id".to_owned(), json!(Uuid::from_u128(1)), "is of another plan: "),
        ("/schema_id".to_owned(), json!("0123456789abcdef"), "and its plan schema 0123456789abcdef"),
        (object(1, "key"), json!("raw/events/c.json"), "raw/events/b.json where its plan names raw/events/c.json"),
        (object(1, "etag"), json!("1-2"), "names raw/events/b.json in version "),
        (object(1, "size"), json!(7), "says that raw/events/b.json has 11 bytes, and its plan 7"),
        ("/tasks/0/objects/1".to_owned(), json!(null), "names 2 inputs, and its plan 1"),
        ("/planned_at".to_owned(), json!("2020-02-02T00:00:00Z"), "which its plan of 2020-02-02 does not write"),
        ("/read/event_time".to_owned(), json!(null), "though its plan names no event time"),
        ("/read/object_bytes_max".to_owned(), json!(20), "though its plan allows 20 (limits.object_bytes)"),
    ] {
        let mut altered = whole.clone();
        match altered.pointer_mut(&pointer) {
            Some(value) if pointer.ends_with("/1") => {
                value.take();
                altered["tasks"][0]["objects"].as_array_mut().unwrap().pop();
            }
            Some(value) => *value = other,
            None => panic!("{pointer} is not in {whole}"),
        }
        fs::write(&path, altered.to_string()).unwrap();
        let found = verify(&lake.ledger()).await.unwrap().violations;
        assert!(found.iter().all(|text| text.starts_with("the commit of batch 1 ")), "{pointer}: {found:?}");
        assert!(found.iter().any(|text| text.contains(words)), "{pointer}: {found:?}");
    }
}

#[tokio::test]
async fn verify_names_every_file_that_does_not_agree() {
    let lake = FolderLake::new().await;
    lake.land("a.json", "[{\"id\": 1}, {\"id\": \"x\"}]");
    lake.land("b.json", "");
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());

    let held = lake.holds().await;
    let [bronze, dead_letters] = held.commits[0].files.as_slice() else { panic!("{:?}", held.commits[0].files) };
    let mut bytes = fs::read(lake.path(&bronze.key.to_string())).unwrap();
    bytes[10] ^= 1;
    fs::write(lake.path(&bronze.key.to_string()), bytes).unwrap();
    fs::remove_file(lake.path(&dead_letters.key.to_string())).unwrap();
    let copy: Key = held.commits[0].inputs[1].copy.clone().unwrap();
    fs::remove_file(lake.path(&copy.to_string())).unwrap();
    fs::remove_file(lake.path("checkpoints/events/plans/00000000000000000001.json")).unwrap();

    let found = verify(&lake.ledger()).await.unwrap();
    assert!(!found.ok);
    for (name, word) in [
        (bronze.key.to_string(), "other bytes"),
        (dead_letters.key.to_string(), "missing"),
        (copy.to_string(), "missing"),
        ("batch 1".to_owned(), "no plan"),
    ] {
        assert!(
            found.violations.iter().any(|text| text.contains(&name) && text.contains(word)),
            "{name}: {:?}",
            found.violations
        );
    }
}
