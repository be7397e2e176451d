use proptest::prelude::*;

use super::{HEAD_BYTES, KeyFilter, KeyHash, hash_of};

fn hashes(keys: &[String]) -> Vec<KeyHash> {
    keys.iter().map(|key| KeyHash::of(key)).collect()
}

fn some_keys() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![prop::collection::vec("[a-z]{0,6}", 1..400), (1..40usize).prop_map(|n| vec!["same".to_owned(); n])]
}

proptest! {
    #[test]
    fn a_filter_never_denies_a_key_that_it_was_made_of(keys in some_keys()) {
        let filter = KeyFilter::of(hashes(&keys)).unwrap();
        let again = KeyFilter::of_frame(&filter.frame()).unwrap();
        for key in hashes(&keys) {
            prop_assert!(filter.may_have(key) && again.may_have(key));
        }
    }

    #[test]
    fn a_changed_or_cut_off_frame_is_not_a_filter(keys in some_keys(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let frame = KeyFilter::of(hashes(&keys)).unwrap().frame();
        let mut changed = frame.clone();
        changed[at.index(frame.len())] ^= 1u8 << bit;
        prop_assert!(KeyFilter::of_frame(&changed).is_none());
        prop_assert!(KeyFilter::of_frame(&frame[..at.index(frame.len())]).is_none());
    }

    /// Nothing stored makes a lookup read beyond the fingerprints, not even with the right hash.
    #[test]
    fn any_numbers_are_refused_or_harmless(
        numbers in prop::collection::vec(prop_oneof![Just(0), Just(4), Just(3), Just(8), any::<u32>()], 5),
        fingerprints in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let body: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).chain(fingerprints).collect();
        let mut frame = KeyFilter::of(vec![KeyHash::of("one")]).unwrap().frame();
        frame.truncate(HEAD_BYTES);
        frame[4..8].copy_from_slice(&u32::try_from(8 + body.len()).unwrap().to_le_bytes());
        frame[8..16].copy_from_slice(&hash_of(&body));
        if let Some(filter) = KeyFilter::of_frame(&[frame, body].concat()) {
            (0..100).map(|key| KeyHash::of(&key.to_string())).for_each(|key| _ = filter.may_have(key));
        }
    }
}

#[test]
fn few_other_keys_pass() {
    let keys = |range: std::ops::Range<u32>| range.map(|key| KeyHash::of(&format!("raw/events/{key}")));
    let filter = KeyFilter::of(keys(0..50_000).collect()).unwrap();
    let passed = keys(50_000..250_000).filter(|key| filter.may_have(*key)).count();
    assert!(passed < 20, "{passed} of 200,000 pass; one in 65,000 is expected");
    assert!(filter.frame().len() < 50_000 * 20 / 8, "{} bytes", filter.frame().len());
}

#[test]
fn no_key_needs_no_filter() {
    assert!(KeyFilter::of(Vec::new()).is_none());
}
