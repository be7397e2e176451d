//! Objects that the store refuses to let be read cost the others nothing.

use std::sync::Arc;

use consumer::{
    inspect::{Status, status, verify},
    pipeline::{Pipeline, RunSettings},
};
use futures::TryStreamExt;
use lake::{
    clock::{Clock, ManualClock, SystemClock, Timestamp},
    keys::Prefix,
    ledger::Outcome,
    stream::{AfterCommit, Format, StreamDefinition},
};
use local_s3::{Answer, Fault, FaultKind, Moment};

use crate::{
    lake_in_a_folder::{definition, events},
    lake_on_s3::{S3Lake, ids},
};

fn refuses(answer: Answer, rest: &str) -> Fault {
    let refusal = FaultKind::Error { answer, moment: Moment::Before };
    Fault::new(refusal).on("GetObject").prefix(format!("raw/events/{rest}"))
}

/// Five objects, of which the store refuses two for different reasons.
async fn lake() -> S3Lake {
    let lake = S3Lake::new().await;
    lake.land_ids(5, |id| format!("{id}.json")).await;
    lake.faults(1, [refuses(Answer::AccessDenied, "1.json"), refuses(Answer::InvalidObjectState, "3.json")]);
    lake
}

async fn how(lake: &S3Lake) -> Status {
    status(&lake.ledger(), &SystemClock).await.unwrap()
}

/// Drains the stream by this clock.
async fn consume_at(lake: &S3Lake, definition: StreamDefinition, now: Timestamp) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now));
    let settings = RunSettings::in_process(true, 2);
    let pipeline = Pipeline::open(lake.lake.clone(), definition, clock, settings).await.unwrap();
    pipeline.run(std::future::pending()).await.unwrap();
}

async fn assert_sound(lake: &S3Lake) {
    assert_eq!(verify(&lake.ledger()).await.unwrap().violations, Vec::<String>::new());
}

/// Fails when one refusal ends the run, or when a deferred object counts as read.
#[tokio::test(flavor = "multi_thread")]
async fn objects_that_may_not_be_read_stay_pending_and_the_others_go_on() {
    let lake = lake().await;
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    assert_eq!(ids(&lake.holds().await), [0, 2, 4].into());
    let now = how(&lake).await;
    assert_eq!((now.objects_pending, now.objects_deferred, now.objects_unreadable), (2, 2, 0));
    assert!(now.text().contains("2 of them may not be read"), "{}", now.text());
    // A start that still may not read them makes no further batch.
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    assert_eq!(lake.holds().await.commits.len(), 1);
    lake.faults(1, []);
    lake.consume(definition(Format::JsonArray)).await.unwrap();
    let held = lake.holds().await;
    assert_eq!((ids(&held), held.commits.len()), ((0..5).collect(), 2));
    let now = how(&lake).await;
    assert_eq!((now.objects_pending, now.objects_deferred), (0, 0));
    assert_sound(&lake).await;
}

/// Fails when the refusal of a long object, which shows only while it is read, ends the run.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_object_that_may_not_be_read_stays_pending_too() {
    let lake = S3Lake::new().await;
    lake.land("short.json", "{\"id\": 1}\n{\"id\": 2}\n").await;
    let long = format!("{{\"id\": 7, \"text\": \"{}\"}}\n", "x".repeat(1_000)).repeat(20_000);
    lake.land("long.json", &long).await;
    lake.faults(1, [refuses(Answer::AccessDenied, "long.json")]);
    lake.consume(definition(Format::Ndjson)).await.unwrap();
    assert_eq!(how(&lake).await.objects_deferred, 1);
    lake.faults(1, []);
    lake.consume(definition(Format::Ndjson)).await.unwrap();
    assert_eq!((lake.holds().await.rows.len(), how(&lake).await.objects_pending), (20_002, 0));
    assert_sound(&lake).await;
}

/// Fails when an object is given up early, never, or again; or when what was given up is removed.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_may_not_be_read_for_too_long_is_recorded_as_unreadable_and_left_alone() {
    let lake = lake().await;
    let definition = || StreamDefinition { after_commit: AfterCommit::Delete, ..definition(Format::JsonArray) };
    let at = |seconds: i64| Timestamp::from_micros(1_795_000_000_000_000 + seconds * 1_000_000).unwrap();
    let hour = 3_600;
    consume_at(&lake, definition(), at(0)).await;
    consume_at(&lake, definition(), at(hour - 1)).await;
    assert_eq!(how(&lake).await.objects_deferred, 2);
    for moment in [hour, 2 * hour] {
        consume_at(&lake, definition(), at(moment)).await;
        let now = how(&lake).await;
        assert_eq!((now.objects_pending, now.objects_deferred, now.objects_unreadable), (0, 0, 2));
    }
    let held = lake.holds().await;
    let given_up = held.commits.iter().flat_map(|commit| &commit.inputs);
    assert_eq!(given_up.filter(|input| input.outcome == Outcome::Unreadable).count(), 2);
    assert_eq!((held.commits.len(), held.faults()), (2, Vec::new()));
    let left: Vec<_> = lake.lake.list(&Prefix::Raw(&events()), None).try_collect().await.unwrap();
    let left: Vec<_> = left.iter().map(|listed| listed.key.as_str()).collect();
    assert_eq!(left, ["raw/events/1.json", "raw/events/3.json"]);
    assert_sound(&lake).await;
}
