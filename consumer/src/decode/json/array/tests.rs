//! The cursor and a JSON library must agree on what an array is, and on where its elements are.

use proptest::prelude::*;

use super::*;

/// Collects records; reads nothing straight from the cursor.
#[derive(Default)]
struct Collected(Vec<(u64, u64, String)>);

impl RecordSink for Collected {
    fn record(&mut self, record: &Record<'_>) -> Result<(), Error> {
        assert_eq!(record.length, record.raw.len() as u64);
        self.0.push((record.index, record.offset, String::from_utf8_lossy(record.raw).into_owned()));
        Ok(())
    }

    fn record_at(&mut self, _: &mut Cursor<'_>, _: u64) -> Result<bool, Error> {
        Ok(false)
    }

    fn header(&mut self, _: &[String]) {}

    fn hold(&mut self) {}

    fn take_back(&mut self) {
        self.0.clear();
    }

    fn release(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// JSON values of every kind as text, among them those that are easily misread.
fn values() -> impl Strategy<Value = String> {
    let flat = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-0".to_owned()),
        Just("1e400".to_owned()),
        Just("\"\\ud800\"".to_owned()),
        Just("\"a\\\"]b\\u005d\\\\\"".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| format!("{number:e}")),
        "[ -~é€]{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    flat.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(" ,"))),
            prop::collection::vec(inner, 0..4).prop_map(|values| {
                let fields = values.iter().enumerate().map(|(at, value)| format!("\"k{at}\" : {value}"));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(",\n"))
            }),
        ]
    })
}

/// An array, with a few bytes changed.
fn texts() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), prop::sample::select(&b"[]{},:\"\\0.eE+-tfn x\x01\x0c"[..]), 0..3_u8);
    let array = prop::collection::vec(values(), 0..5).prop_map(|values| format!(" [{}]\n", values.join(", ")));
    (array, prop::collection::vec(edit, 0..3)).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                _ if at < bytes.len() => drop(bytes.remove(at)),
                _ => {}
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn the_cursor_finds_the_elements_that_a_json_library_finds_or_none(text in texts()) {
        let mut collected = Collected::default();
        let whole = elements(&text, 100, &mut collected).unwrap();
        let by_library = serde_json::from_str::<Vec<&RawValue>>(&text);
        prop_assert_eq!(whole, by_library.is_ok(), "{}: {:?}", text, by_library);
        prop_assert_eq!(is_array(&text), whole, "{}", text);
        if let Ok(elements) = by_library {
            let place = |element: &&RawValue| element.get().as_ptr() as u64 - text.as_ptr() as u64 + 100;
            let expected: Vec<_> = elements.iter().zip(0..).map(|(element, index)| {
                (index, place(element), element.get().to_owned())
            }).collect();
            prop_assert_eq!(collected.0, expected);
        }
    }
}
