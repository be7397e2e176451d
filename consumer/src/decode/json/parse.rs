//! Parses one record's JSON text (RFC 8259) strictly: no duplicate key, no nesting beyond the limit, no number changed.
//!
//! Our own code, since general parsers let the last of two equal keys win, and some read certain objects as numbers.
//! Invariant: the value says the same as the text, or the text gives none.

use lake::dead_letter::{ErrorCode, Fault, Reason, pointer_step};
use serde_json::{Map, Number, Value};

use super::{
    cursor::{Cursor, Doubt},
    mistakes::mistake,
};

/// The limits of a value.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How deeply nested.
    pub depth: u64,
    /// How many fields all of its objects may have together.
    pub fields: u64,
}

/// Reads a text as one JSON value and nothing after it.
///
/// # Errors
/// The record's fault (`corrupted_record`): `truncated`, `not_json`, `too_deep`, `too_many_fields`, `duplicate_key`, or
/// `unrepresentable` for a text with half of a surrogate pair.
pub fn parse(text: &str, limits: Limits) -> Result<Value, Fault> {
    let (depth_left, fields_left) = (limits.depth, limits.fields);
    let mut parser = Parser { text: Cursor::new(text), depth_left, fields_left, limits, path: Vec::new() };
    parser.text.skip_space();
    let value = parser.value()?;
    parser.text.skip_space();
    if !parser.text.is_at_end() {
        return Err(parser.mistaken("the end of the record"));
    }
    Ok(value)
}

struct Parser<'a> {
    text: Cursor<'a>,
    depth_left: u64,
    fields_left: u64,
    limits: Limits,
    path: Vec<Step>,
}

enum Step {
    Key(String),
    Index(usize),
}

impl Parser<'_> {
    fn value(&mut self) -> Result<Value, Fault> {
        match self.text.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.mistaken("a value")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Fault>) -> Result<Value, Fault> {
        if self.depth_left == 0 {
            let message = format!("the record is nested deeper than {} levels (limits.depth)", self.limits.depth);
            return Err(corrupted(ErrorCode::TooDeep, message));
        }
        self.depth_left -= 1;
        self.text.at += 1;
        self.text.skip_space();
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, Fault> {
        let mut fields = Map::new();
        if self.text.take(b'}') {
            return Ok(Value::Object(fields));
        }
        loop {
            if self.text.peek() != Some(b'"') {
                return Err(self.mistaken("a key in quotes"));
            }
            let Some(fields_left) = self.fields_left.checked_sub(1) else {
                let message = format!("the record has more than {} fields (limits.fields)", self.limits.fields);
                return Err(corrupted(ErrorCode::TooManyFields, message));
            };
            self.fields_left = fields_left;
            let key = self.string()?;
            self.text.skip_space();
            self.expect(b':', "\":\" after a key")?;
            self.text.skip_space();
            self.path.push(Step::Key(key.clone()));
            let value = self.value()?;
            if fields.contains_key(&key) {
                let message = format!("the object has the key {key:?} twice");
                return Err(corrupted(ErrorCode::DuplicateKey, message).at(self.pointer()));
            }
            self.path.pop();
            fields.insert(key, value);
            self.text.skip_space();
            if self.text.take(b'}') {
                return Ok(Value::Object(fields));
            }
            self.expect(b',', "\",\" or \"}\" after a value")?;
            self.text.skip_space();
        }
    }

    fn array(&mut self) -> Result<Value, Fault> {
        let mut elements = Vec::new();
        if self.text.take(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            self.path.push(Step::Index(elements.len()));
            elements.push(self.value()?);
            self.path.pop();
            self.text.skip_space();
            if self.text.take(b']') {
                return Ok(Value::Array(elements));
            }
            self.expect(b',', "\",\" or \"]\" after a value")?;
            self.text.skip_space();
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.text.at += 1;
        let mut out = String::new();
        loop {
            let start = self.text.at;
            self.text.skip_plain();
            out.push_str(self.text.since(start));
            match self.text.peek() {
                Some(b'"') => {
                    self.text.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(self.not_json("a printable character or a quote within a text")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        self.text.at += 1;
        let escaped = match self.text.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.not_json("an escape such as \\n or \\u0041")),
        };
        self.text.at += 1;
        Ok(escaped)
    }

    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let first = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.text.rest().starts_with("\\u") {
            self.text.at += 1;
            match self.hex4()? {
                second @ 0xdc00..0xe000 => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                _ => first,
            }
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| {
            let message = "a text has half of a surrogate pair, which no column can store";
            corrupted(ErrorCode::Unrepresentable, message).at(self.pointer())
        })
    }

    /// Reads `uXXXX`.
    fn hex4(&mut self) -> Result<u32, Fault> {
        let digits = self.text.rest().as_bytes().get(1..5);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match code {
            Some(code) => {
                self.text.at += 5;
                Ok(code)
            }
            None => {
                if self.text.rest().len() < 5 {
                    self.text.skip_rest();
                }
                Err(self.not_json("four hex digits after \\u"))
            }
        }
    }

    fn number(&mut self) -> Result<Value, Fault> {
        match self.text.number() {
            // Kept as text, so that no digit is lost.
            Ok(text) => Ok(Value::Number(Number::from_string_unchecked(text.to_owned()))),
            Err(Doubt) => Err(self.mistaken("a digit")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Fault> {
        for byte in word.bytes() {
            self.expect(byte, "true, false or null")?;
        }
        Ok(value)
    }

    fn expect(&mut self, byte: u8, expected: &str) -> Result<(), Fault> {
        if self.text.take(byte) { Ok(()) } else { Err(self.mistaken(expected)) }
    }

    /// The fault of a place between texts, which may be a well-known mistake.
    fn mistaken(&self, expected: &str) -> Fault {
        match mistake(self.text.text(), self.text.at) {
            Some(what) if !self.text.is_at_end() => {
                corrupted(ErrorCode::NotJson, format!("at byte {} of the record, {what}", self.text.at))
            }
            _ => self.not_json(expected),
        }
    }

    fn not_json(&self, expected: &str) -> Fault {
        if self.text.is_at_end() {
            return corrupted(ErrorCode::Truncated, format!("the record ends where {expected} should follow"));
        }
        corrupted(ErrorCode::NotJson, format!("at byte {} of the record, expected {expected}", self.text.at))
    }

    fn pointer(&self) -> String {
        let steps = self.path.iter().map(|step| match step {
            Step::Key(key) => pointer_step(key),
            Step::Index(index) => format!("/{index}"),
        });
        steps.collect()
    }
}

fn corrupted(code: ErrorCode, message: impl AsRef<str>) -> Fault {
    Fault::new(Reason::CorruptedRecord, code, message)
}
