//! What is kept aside while another consumer reads it.

use lake::{
    ids::{BatchId, ContentId, SchemaId, StreamName},
    keys::Key,
    ledger::{CommittedInput, CommittedInputs, Ledger, Outcome},
};

use super::*;
use crate::discover::Mending;

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
