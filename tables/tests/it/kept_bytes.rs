//! Which bytes a dead letter keeps: the first ones, however many it is given.

use arrow::array::AsArray;
use lake::{
    clock::Timestamp,
    dead_letter::{ErrorCode, Fault, Reason},
    ids::{BatchId, SchemaId},
};
use proptest::prelude::*;
use tables::{
    BatchOrigin,
    dead_letters::{DeadLetter, DeadLetterBuilder},
};

/// The text and bytes that are kept, and whether they are truncated.
fn kept(raw: &[u8], length: usize, bytes_max: u64) -> (Option<String>, Option<Vec<u8>>, bool) {
    let origin = BatchOrigin {
        batch: BatchId::FIRST,
        ingested_at: Timestamp::from_micros(0).unwrap(),
        schema_id: SchemaId::of(b"schema"),
    };
    let mut letters = DeadLetterBuilder::new(origin, bytes_max);
    let fault = Fault::new(Reason::CorruptedBatch, ErrorCode::NotJson, "a test");
    let (key, etag, index, length) = ("raw/s/a", "e", None, length as u64);
    letters.append(&DeadLetter { fault: &fault, raw, key, etag, index, offset: 0, length });
    let batch = letters.take();
    let text = batch.column_by_name("_raw_record").unwrap().as_string::<i32>().iter().next().flatten();
    let bytes = batch.column_by_name("_raw_bytes").unwrap().as_binary::<i32>().iter().next().flatten();
    let truncated = batch.column_by_name("_raw_truncated").unwrap().as_boolean().value(0);
    (text.map(str::to_owned), bytes.map(<[u8]>::to_vec), truncated)
}

#[test]
fn a_character_cut_by_the_limit_leaves_text_and_one_cut_by_the_object_does_not() {
    assert_eq!(kept("aé".as_bytes(), 3, 2), (Some("a".to_owned()), None, true));
    assert_eq!(kept("aé".as_bytes(), 3, 3), (Some("aé".to_owned()), None, false));
    assert_eq!(kept(b"a\xc3", 2, 2), (None, Some(b"a\xc3".to_vec()), false));
    assert_eq!(kept(b"a\xffb", 3, 2), (None, Some(b"a\xff".to_vec()), true));
    assert_eq!(kept(b"ab\xff", 3, 2), (Some("ab".to_owned()), None, true));
    assert_eq!(kept(b"", 0, 5), (Some(String::new()), None, false));
}

proptest! {
    /// Fails when what is kept depends on how much of the object is given: all of it, or only the first bytes.
    #[test]
    fn the_first_bytes_alone_decide(object in prop::collection::vec(prop_oneof![
        Just(b"a".to_vec()), Just("é".as_bytes().to_vec()), Just("🎉".as_bytes().to_vec()), Just(vec![0xff]), Just(vec![0xc3]),
    ], 0..8), bytes_max in 0..20_u64) {
        let object = object.concat();
        let whole = kept(&object, object.len(), bytes_max);
        for at_hand in (bytes_max as usize).min(object.len())..=object.len() {
            prop_assert_eq!(&kept(&object[..at_hand], object.len(), bytes_max), &whole);
        }
    }
}
