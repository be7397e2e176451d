//! Converts keys to paths and back, and paths to keys and back.

use proptest::prelude::*;

use super::*;

/// Segments for every rule: usual ones, odd ones, and ones that look encoded.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z0-9=_.-]{0,8}",
        1 => Just(String::new()),
        1 => Just(".".to_owned()),
        1 => Just("..".to_owned()),
        2 => "%~[%.a~0-9A-F\u{1}\n]{0,6}",
        2 => "[ %~+?#&\u{0}-\u{1f}\u{7f}äß😀]{0,6}",
        1 => any::<String>().prop_map(|text| text.replace('/', "")),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop::collection::vec(segment(), 1..6)
        .prop_map(|segments| segments.join("/"))
        .prop_filter("no store has an empty key", |key| !key.is_empty())
}

proptest! {
    #[test]
    fn every_key_comes_back_from_its_path(key in key()) {
        prop_assert_eq!(to_key(&to_path(&key)), key);
    }

    #[test]
    fn every_path_of_a_key_comes_back_from_its_key(key in key()) {
        let path = to_path(&key);
        prop_assert_eq!(to_path(&to_key(&path)), path);
    }

    #[test]
    fn every_path_without_the_mark_comes_back_from_its_key(segments in prop::collection::vec("[a-z%.~ ä]{1,8}", 1..5)) {
        let path = Path::from_iter(segments.iter().map(String::as_str));
        prop_assert_eq!(to_path(&to_key(&path)), path);
    }

    #[test]
    fn different_keys_have_different_paths(one in key(), other in key()) {
        prop_assert_eq!(to_path(&one) == to_path(&other), one == other);
    }
}

#[test]
fn usual_keys_stay_as_they_are() {
    for key in ["raw/events/a.json", "a=1/b c/ä.parquet", "100%/~x/%41", "..a/.hidden"] {
        assert_eq!(to_path(key).as_ref(), key);
    }
}

#[test]
fn odd_segments_are_marked_and_encoded() {
    for (key, path) in [
        ("a//b", "a/%~/b"),
        ("/a", "%~/a"),
        ("a/", "a/%~"),
        ("/", "%~/%~"),
        ("a/../b", "a/%~%2E%2E/b"),
        ("a\nb.json", "%~a%0Ab%2Ejson"),
        ("%~x", "%~%25~x"),
    ] {
        assert_eq!(to_path(key).as_ref(), path);
        assert_eq!(to_key(&to_path(key)), key);
    }
}

#[test]
fn a_marked_path_that_came_from_no_key_is_used_as_it_is() {
    for path in ["%~plain", "%~%FF", "%~%2e"] {
        assert_eq!(to_key(&Path::parse(path).unwrap()), path);
    }
}

#[test]
fn the_root_is_the_empty_key() {
    assert_eq!(to_path(""), Path::ROOT);
    assert_eq!(to_key(&Path::ROOT), "");
}
