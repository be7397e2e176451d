//! Parses one record's JSON text (RFC 8259), strictly: no key twice, no nesting beyond the limit, no number changed.
//!
//! Own code, since general parsers let the last of two equal keys win, and some read certain objects as numbers.
//! Invariant: what comes out says the same as what went in, or nothing comes out.

use lake::dead_letter::{ErrorCode, Fault, Reason, pointer_step};
use serde_json::{Map, Number, Value};

/// What a value may be at the most.
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
    let mut parser = Parser { text, at: 0, depth_left, fields_left, limits, path: Vec::new() };
    parser.skip_space();
    let value = parser.value()?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.not_json("the end of the record"));
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
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
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Value, Fault> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.not_json("a value")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Fault>) -> Result<Value, Fault> {
        if self.depth_left == 0 {
            let message = format!("the record is nested deeper than {} levels (limits.depth)", self.limits.depth);
            return Err(corrupted(ErrorCode::TooDeep, message));
        }
        self.depth_left -= 1;
        self.at += 1;
        self.skip_space();
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, Fault> {
        let mut fields = Map::new();
        if self.take(b'}') {
            return Ok(Value::Object(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.not_json("a key in quotes"));
            }
            let Some(fields_left) = self.fields_left.checked_sub(1) else {
                let message = format!("the record has more than {} fields (limits.fields)", self.limits.fields);
                return Err(corrupted(ErrorCode::TooManyFields, message));
            };
            self.fields_left = fields_left;
            let key = self.string()?;
            self.skip_space();
            self.expect(b':', "\":\" after a key")?;
            self.skip_space();
            self.path.push(Step::Key(key.clone()));
            let value = self.value()?;
            if fields.contains_key(&key) {
                let message = format!("the object has the key {key:?} twice");
                return Err(corrupted(ErrorCode::DuplicateKey, message).at(self.pointer()));
            }
            self.path.pop();
            fields.insert(key, value);
            self.skip_space();
            if self.take(b'}') {
                return Ok(Value::Object(fields));
            }
            self.expect(b',', "\",\" or \"}\" after a value")?;
            self.skip_space();
        }
    }

    fn array(&mut self) -> Result<Value, Fault> {
        let mut elements = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            self.path.push(Step::Index(elements.len()));
            elements.push(self.value()?);
            self.path.pop();
            self.skip_space();
            if self.take(b']') {
                return Ok(Value::Array(elements));
            }
            self.expect(b',', "\",\" or \"]\" after a value")?;
            self.skip_space();
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte != b'"' && byte != b'\\' && byte >= 0x20) {
                self.at += 1;
            }
            out.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(self.not_json("a printable character or a quote within a text")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let escaped = match self.peek() {
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
        self.at += 1;
        Ok(escaped)
    }

    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let first = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            self.at += 1;
            match self.hex4()? {
                second @ 0xdc00..0xe000 => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                _ => first,
            }
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| {
            let message = "a text holds half of a surrogate pair, which no column can hold";
            corrupted(ErrorCode::Unrepresentable, message).at(self.pointer())
        })
    }

    /// Reads `uXXXX` and stands behind it.
    fn hex4(&mut self) -> Result<u32, Fault> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match code {
            Some(code) => {
                self.at += 5;
                Ok(code)
            }
            None => {
                let ends = self.at + 5 > self.text.len();
                self.at = if ends { self.text.len() } else { self.at };
                Err(self.not_json("four hex digits after \\u"))
            }
        }
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        // The text itself is kept, so that no digit is lost.
        Ok(Value::Number(Number::from_string_unchecked(self.text[start..self.at].to_owned())))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.not_json("a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Fault> {
        for byte in word.bytes() {
            self.expect(byte, "true, false or null")?;
        }
        Ok(value)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, expected: &str) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err(self.not_json(expected)) }
    }

    fn not_json(&self, expected: &str) -> Fault {
        if self.at >= self.text.len() {
            return corrupted(ErrorCode::Truncated, format!("the record ends where {expected} should follow"));
        }
        corrupted(ErrorCode::NotJson, format!("at its byte {} the record has something else than {expected}", self.at))
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
