//! The dead-letter contract: why a record, or a whole object, did not become a row.
//!
//! Reasons and codes are stored in Parquet and scripted against: add, never rename, never reuse. Messages are ours,
//! never a library's, and contain no control characters.

mod id;

use serde::{Deserialize, Serialize};

pub use id::{DeadLetterId, DeadLetterIds};
use program::output::escape_control;

/// Why something is a dead letter, in few and stable words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The object as a whole can't be read: one dead letter, and the object itself is kept.
    CorruptedBatch,
    /// One record of a readable object can't be read.
    CorruptedRecord,
    /// The record can be read but breaks its schema.
    InvalidSchema,
    /// The record has fields that its schema forbids, and no other fault.
    ExtraFields,
    /// The record or the object is larger than its limit.
    Oversized,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 5] =
        [Self::CorruptedBatch, Self::CorruptedRecord, Self::InvalidSchema, Self::ExtraFields, Self::Oversized];

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CorruptedBatch => "corrupted_batch",
            Self::CorruptedRecord => "corrupted_record",
            Self::InvalidSchema => "invalid_schema",
            Self::ExtraFields => "extra_fields",
            Self::Oversized => "oversized",
        }
    }
}

/// What exactly was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The object has no bytes.
    Empty,
    /// The object or record ends before it is complete.
    Truncated,
    /// It is not JSON.
    NotJson,
    /// It is not CSV.
    NotCsv,
    /// It is JSON, but not an array, which the format requires.
    NotAnArray,
    /// It is not UTF-8.
    BadEncoding,
    /// It is compressed but can't be decompressed.
    BadCompression,
    /// It is nested deeper than the limit.
    TooDeep,
    /// It is larger than the limit.
    TooLarge,
    /// It has more fields than the limit.
    TooManyFields,
    /// The first row of a CSV object can't be its header.
    BadHeader,
    /// A CSV row has more or fewer cells than the first row has fields.
    RaggedRow,
    /// An object has the same key twice, so it is not clear which value counts.
    DuplicateKey,
    /// A required field is missing.
    MissingField,
    /// A value does not have the type that the schema requires.
    WrongType,
    /// A string breaks its `format`.
    BadFormat,
    /// A value is not one of its `enum`, or not its `const`.
    NotInEnum,
    /// A field that the schema forbids.
    ExtraField,
    /// A number is out of its bounds.
    OutOfRange,
    /// A string, array or object is shorter or longer than allowed.
    BadLength,
    /// A string does not match its `pattern`.
    BadPattern,
    /// Some other rule of the schema is broken.
    BadValue,
    /// The value is valid, but its column can't hold it unchanged.
    Unrepresentable,
    /// The object crashed or hung every process that read it.
    Poison,
}

impl ErrorCode {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::NotJson => "not_json",
            Self::NotCsv => "not_csv",
            Self::NotAnArray => "not_an_array",
            Self::BadEncoding => "bad_encoding",
            Self::BadCompression => "bad_compression",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::TooManyFields => "too_many_fields",
            Self::BadHeader => "bad_header",
            Self::RaggedRow => "ragged_row",
            Self::DuplicateKey => "duplicate_key",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::BadFormat => "bad_format",
            Self::NotInEnum => "not_in_enum",
            Self::ExtraField => "extra_field",
            Self::OutOfRange => "out_of_range",
            Self::BadLength => "bad_length",
            Self::BadPattern => "bad_pattern",
            Self::BadValue => "bad_value",
            Self::Unrepresentable => "unrepresentable",
            Self::Poison => "poison",
        }
    }
}

/// What was wrong with a record, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The general class.
    pub reason: Reason,
    /// The exact one.
    pub code: ErrorCode,
    /// A JSON Pointer (RFC 6901) to the value at fault; `None` when the record can't be read.
    pub path: Option<String>,
    /// What was expected and what was found, for people.
    pub message: String,
}

/// One step of a JSON Pointer (RFC 6901) to the field `name`: a slash, then the name with its `~` and `/` escaped.
pub fn pointer_step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The longest stored message, in characters; without a limit, a hostile record could make one as long as itself.
const MESSAGE_CHARS_MAX: usize = 500;

impl Fault {
    /// A fault whose message is made safe to print and cut to a limited length.
    pub fn new(reason: Reason, code: ErrorCode, message: impl AsRef<str>) -> Self {
        let mut message = escape_control(message.as_ref()).replace('\n', "\\u{a}");
        if let Some((at, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
            message.truncate(at);
            message.push('…');
        }
        Self { reason, code, path: None, message }
    }

    /// The same fault, at this JSON Pointer.
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }
}
