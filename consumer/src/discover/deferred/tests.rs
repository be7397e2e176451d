//! What is kept aside while another consumer reads it.

use lake::{
    ids::{BatchId, ContentId, SchemaId, StreamName},
    keys::Key,
    ledger::{CommittedInput, CommittedInputs, Ledger, Outcome},
};

use super::*;
use crate::discover::Mending;

/// Fails when a process ends, or waits, before it has tried all that may have become readable; or tries an object again
/// and again whose permissions allow everything but to read it.
#[tokio::test(start_paused = true)]
async fn each_is_tried_once_at_once_and_then_on_the_beat() {
    let (lake, stream): (_, StreamName) = (Lake::in_memory(), "events".parse().unwrap());
    let mut known = KnownInputs::new(Ledger::new(lake.clone(), stream.clone()), Mending::Keep);
    let since = Timestamp::from_micros(1_795_000_000_000_000).unwrap();
    let found = |number: usize| {
        let key = Key::Raw { stream: stream.clone(), rest: format!("{number:03}.json") };
        let object = PlannedObject { key, etag: "1".to_owned(), size: 1, earlier: Vec::new(), last_try: false };
        DeferredObject { object, since }
    };
    let count = TRIED_MAX + 10;
    let all = || Discovered { deferred: (0..count).map(found).collect(), ..Discovered::default() };
    let mut deferred = DeferredObjects::new();
    deferred.take_in(&mut all());
    for (expected, are_tried) in [(TRIED_MAX, false), (10, true), (0, true)] {
        assert_eq!(deferred.due(&lake, &mut known, since).await.unwrap().len(), expected);
        assert_eq!(deferred.are_tried(), are_tried);
    }
    // The next batch has deferred them again.
    deferred.take_in(&mut all());
    assert!(deferred.are_tried());
    assert_eq!(deferred.due(&lake, &mut known, since).await.unwrap(), []);
    tokio::time::advance(BEAT).await;
    assert_eq!(deferred.due(&lake, &mut known, since).await.unwrap().len(), TRIED_MAX);
}

/// Fails when what another consumer has read is planned again, or another version of it without what was read.
#[tokio::test(start_paused = true)]
async fn what_another_consumer_has_committed_is_not_due_any_more() {
    let (lake, stream): (_, StreamName) = (Lake::in_memory(), "events".parse().unwrap());
    let key = Key::Raw { stream: stream.clone(), rest: "a.json".to_owned() };
    let mut known = KnownInputs::new(Ledger::new(lake.clone(), stream), Mending::Keep);
    let since = Timestamp::from_micros(1_795_000_000_000_000).unwrap();
    let found = |etag: &str| {
        let object =
            PlannedObject { key: key.clone(), etag: etag.to_owned(), size: 1, earlier: Vec::new(), last_try: false };
        DeferredObject { object, since }
    };
    let mut deferred = DeferredObjects::new();
    let mut discovered = Discovered { deferred: vec![found("1"), found("2")], ..Discovered::default() };
    deferred.take_in(&mut discovered);
    let content = ContentId::of(b"[]");
    let input = CommittedInput {
        key: key.to_string().into(),
        etag: "1".into(),
        batch: BatchId::FIRST,
        outcome: Outcome::Ingested,
        content: Some(content),
        committed_at: None,
    };
    known.add(CommittedInputs { batch: BatchId::FIRST, schema_id: SchemaId::of(b"schema"), inputs: vec![input] });
    let due = deferred.due(&lake, &mut known, since).await.unwrap();
    let due: Vec<_> = due.into_iter().map(|object| (object.etag, object.earlier)).collect();
    assert_eq!(due, [("2".to_owned(), vec![content])]);
    tokio::time::advance(BEAT).await;
    assert_eq!(deferred.due(&lake, &mut known, since).await.unwrap(), []);
}
