//! Reads the text of a schema file, and refuses what JSON leaves open: a name that occurs twice in an object.
//!
//! Knows JSON, and nothing about schemas.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The value of a text.
///
/// # Errors
/// What is wrong and where, in words: the text is not JSON, or an object has a name twice.
pub fn parse(text: &str) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = serde_json::Deserializer::from_str(text);
    let value = At { pointer: "" }.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    value.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => error.to_string(),
        _ => format!("is not JSON: {error}"),
    })
}

/// The value at a place.
#[derive(Clone, Copy)]
struct At<'p> {
    pointer: &'p str,
}

/// How `serde_json` passes on a number with all its digits: as an object of this one name.
const NUMBER: &str = "$serde_json::private::Number";

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let pointer = format!("{}/{}", self.pointer, values.len());
            match elements.next_element_seed(At { pointer: &pointer })? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if name == NUMBER && fields.is_empty() {
                let digits: String = entries.next_value()?;
                return Ok(Value::Number(Number::from_string_unchecked(digits)));
            }
            if fields.contains_key(&name) {
                let place =
                    if self.pointer.is_empty() { "at the top".to_owned() } else { format!("in {:?}", self.pointer) };
                return Err(A::Error::custom(format!("has the name {name:?} twice {place}: remove one of the two")));
            }
            let pointer = format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"));
            let value = entries.next_value_seed(At { pointer: &pointer })?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}
