//! Keys: every key parses back to itself, and the layout is the documented one.

use lake::{
    ids::{BatchId, Fingerprint, Ordinal, SchemaId, StreamName, VersionId},
    keys::{DataFile, Key, ZoneName},
};
use proptest::prelude::*;

fn streams() -> impl Strategy<Value = StreamName> {
    "[^/\\p{Cc}]{1,30}".prop_filter_map("not a valid stream name", |text| text.parse().ok())
}

fn data_files() -> impl Strategy<Value = DataFile> {
    (streams(), 1970..2200_i32, 1..=12_u32, 1..=28_u32, 1_u64.., 0..Ordinal::LIMIT, any::<[u8; 4]>()).prop_map(
        |(stream, year, month, day, batch, task, salt)| DataFile {
            stream,
            ingested_date: format!("{year:04}-{month:02}-{day:02}"),
            batch: BatchId::new(batch).unwrap(),
            task: Ordinal::new(task).unwrap(),
            fingerprint: Fingerprint::of(&salt),
        },
    )
}

fn keys() -> impl Strategy<Value = Key> {
    let batches = || (streams(), 1_u64..).prop_map(|(stream, batch)| (stream, BatchId::new(batch).unwrap()));
    prop_oneof![
        (streams(), ".{0,200}").prop_map(|(stream, rest)| Key::Raw { stream, rest }),
        (streams(), any::<[u8; 4]>(), ".{0,200}").prop_map(|(stream, etag, rest)| Key::Archived {
            stream,
            version: VersionId::of(&etag),
            rest
        }),
        (batches(), 0..Ordinal::LIMIT).prop_map(|((stream, batch), attempt)| Key::Attempt {
            stream,
            batch,
            attempt: Ordinal::new(attempt).unwrap()
        }),
        (batches(), 0..Ordinal::LIMIT, 0..Ordinal::LIMIT).prop_map(|((stream, batch), attempt, input)| Key::Reading {
            stream,
            batch,
            attempt: Ordinal::new(attempt).unwrap(),
            input: Ordinal::new(input).unwrap()
        }),
        (batches(), 0..Ordinal::LIMIT).prop_map(|((stream, batch), attempt)| Key::AttemptEnd {
            stream,
            batch,
            attempt: Ordinal::new(attempt).unwrap()
        }),
        data_files().prop_map(Key::Bronze),
        data_files().prop_map(Key::DeadLetters),
        (batches(), 0..Ordinal::LIMIT, any::<Option<[u8; 4]>>()).prop_map(|((stream, batch), input, plan)| {
            let plan = plan.map(|salt| Fingerprint::of(&salt));
            Key::ObjectCopy { stream, batch, input: Ordinal::new(input).unwrap(), plan }
        }),
        (streams(), any::<[u8; 4]>()).prop_map(|(stream, salt)| Key::Schema { stream, id: SchemaId::of(&salt) }),
        batches().prop_map(|(stream, batch)| Key::Plan { stream, batch }),
        batches().prop_map(|(stream, batch)| Key::Commit { stream, batch }),
        batches().prop_map(|(stream, batch)| Key::Snapshot { stream, batch }),
        streams().prop_map(|stream| Key::LatestSnapshot { stream }),
        (batches(), 1_u64.., any::<[u8; 4]>()).prop_map(|((stream, first), last, salt)| Key::Segment {
            stream,
            first,
            last: BatchId::new(last).unwrap(),
            fingerprint: Fingerprint::of(&salt),
        }),
        (batches(), 1_u64.., any::<[u8; 4]>()).prop_map(|((stream, first), last, salt)| Key::InputIndex {
            stream,
            first,
            last: BatchId::new(last).unwrap(),
            fingerprint: Fingerprint::of(&salt),
        }),
        Just(Key::Probe),
        Just(Key::DeleteProbe),
    ]
}

proptest! {
    #[test]
    fn every_key_parses_back_to_itself(key in keys()) {
        prop_assert_eq!(Key::parse(&key.to_string()), Ok(key));
    }

    #[test]
    fn what_is_not_a_key_is_refused_without_a_panic(text in ".{0,120}") {
        if let Ok(key) = Key::parse(&text) {
            prop_assert_eq!(key.to_string(), text);
        }
    }
}

#[test]
fn the_layout_is_the_documented_one() {
    let file = DataFile {
        stream: "events".parse().unwrap(),
        ingested_date: "2026-11-20".to_owned(),
        batch: BatchId::new(7).unwrap(),
        task: Ordinal::new(3).unwrap(),
        fingerprint: "0123abcd".parse().unwrap(),
    };
    assert_eq!(
        Key::Bronze(file.clone()).to_string(),
        "bronze/events/ingested_date=2026-11-20/00000000000000000007-00003-0123abcd.parquet"
    );
    assert_eq!(
        Key::DeadLetters(file).to_string(),
        "dead_letters/events/ingested_date=2026-11-20/00000000000000000007-00003-0123abcd.parquet"
    );
    let (stream, batch): (StreamName, _) = ("events".parse().unwrap(), BatchId::new(7).unwrap());
    let plan = Key::Plan { stream: stream.clone(), batch };
    assert_eq!(plan.to_string(), "checkpoints/events/plans/00000000000000000007.json");
    let commit = Key::Commit { stream: stream.clone(), batch };
    assert_eq!(commit.to_string(), "checkpoints/events/commits/00000000000000000007.json");
    let attempt = Key::Attempt { stream: stream.clone(), batch, attempt: Ordinal::new(1).unwrap() };
    assert_eq!(attempt.to_string(), "checkpoints/events/attempts/00000000000000000007/00001.json");
    let end = Key::AttemptEnd { stream: stream.clone(), batch, attempt: Ordinal::new(1).unwrap() };
    assert_eq!(end.to_string(), "checkpoints/events/attempts/00000000000000000007/00001-end.json");
    let (last, fingerprint) = (BatchId::new(8).unwrap(), "0123abcd".parse().unwrap());
    let index = Key::InputIndex { stream: stream.clone(), first: batch, last, fingerprint };
    let name = "00000000000000000007-00000000000000000008-0123abcd.zst";
    assert_eq!(index.to_string(), format!("checkpoints/events/inputs/{name}"));
    let version = "0123456789abcdef".parse().unwrap();
    let archived = Key::Archived { stream: stream.clone(), version, rest: "2026/a.json".to_owned() };
    assert_eq!(archived.to_string(), "raw/_archive/events/2026/0123456789abcdef-a.json");
    let copy = |plan| Key::ObjectCopy { stream: stream.clone(), batch, input: Ordinal::new(12).unwrap(), plan };
    assert_eq!(copy(None).to_string(), "dead_letters/events/objects/00000000000000000007-00012");
    let copy = copy(Some("0123abcd".parse().unwrap()));
    assert_eq!(copy.to_string(), "dead_letters/events/objects/00000000000000000007-00012-0123abcd");
    assert_eq!(copy.zone(), ZoneName::DeadLetters);
}

#[test]
fn a_number_that_is_not_written_as_sluice_writes_it_is_not_a_key() {
    for name in ["7.json", "0000000000000000000x.json", "00000000000000000000.json", "99999999999999999999.json"] {
        assert!(Key::parse(&format!("checkpoints/events/commits/{name}")).is_err(), "{name}");
    }
    assert!(Key::parse("bronze/events/ingested_date=2026-13-45/00000000000000000007-00003-0123abcd.parquet").is_err());
}
