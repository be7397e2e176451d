//! The ways to make a record invalid on purpose: for each format, the faults that a single record can have.
//!
//! In JSON, a field can be missing, extra or of the wrong type, and a record may not be an object. A CSV row has the
//! header's fields, all strings unless the column says otherwise. So an empty cell is a missing field, and only a JSON
//! cell can have a wrong type. Instead of extra fields and non-objects, there are rows with too many or too few cells
//! and rows that are not valid CSV.
//!
//! Invariant: a record has only one fault, which ends with the record: it closes every quote that it opens.

use lake::{
    dead_letter::{ErrorCode, Reason},
    stream::Format,
};
use serde::{Deserialize, Serialize};

use Fault::{Instead, More, Whole, Without};

/// How a record is made invalid. Stored in truth files: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidKind {
    /// A required field is left out.
    MissingField,
    /// A value has a type that the schema does not allow.
    WrongType,
    /// There is a field that the schema does not have.
    ExtraField,
    /// The event's type is not one of the known ones.
    NotInEnum,
    /// The event's time looks like a time but does not exist.
    ImpossibleTime,
    /// The record is not an object.
    NotAnObject,
    /// A CSV row has more or fewer cells than there are columns.
    RaggedRow,
    /// A CSV row has text after the quote that closes a cell.
    BrokenQuotes,
}

impl InvalidKind {
    /// The kinds that a format can have, all equally likely.
    pub fn of(format: Format) -> Vec<Self> {
        faults(format).iter().map(|(kind, _)| *kind).collect()
    }

    /// The reason and code that the dead letter of such a record must have.
    pub fn expected(self) -> (Reason, ErrorCode) {
        match self {
            Self::MissingField => (Reason::InvalidSchema, ErrorCode::MissingField),
            Self::WrongType | Self::NotAnObject => (Reason::InvalidSchema, ErrorCode::WrongType),
            Self::ExtraField => (Reason::ExtraFields, ErrorCode::ExtraField),
            Self::NotInEnum => (Reason::InvalidSchema, ErrorCode::NotInEnum),
            Self::ImpossibleTime => (Reason::InvalidSchema, ErrorCode::BadFormat),
            Self::RaggedRow => (Reason::CorruptedRecord, ErrorCode::RaggedRow),
            Self::BrokenQuotes => (Reason::CorruptedRecord, ErrorCode::NotCsv),
        }
    }
}

/// What to write instead of a valid record. Texts are written as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The record without this field.
    Without(&'static str),
    /// The record with this instead of the field's value.
    Instead(&'static str, &'static str),
    /// The record with this after its last field.
    More(&'static str),
    /// Only this, without the record.
    Whole(&'static str),
}

/// A kind and its faults.
pub(crate) type Faults = (InvalidKind, &'static [Fault]);

/// The kinds of a format. What a seed produces depends on their order: never change it.
pub(crate) fn faults(format: Format) -> &'static [Faults] {
    match format {
        Format::JsonArray | Format::Ndjson => &JSON,
        Format::Csv => &CSV,
    }
}

const REQUIRED: &[Fault] = &[
    Without("user_id"),
    Without("event_id"),
    Without("event_timestamp"),
    Without("event_type"),
    Without("properties"),
];

const JSON: [Faults; 6] = [
    (InvalidKind::MissingField, REQUIRED),
    (
        // Not `event_type`: a number would also break its enum.
        InvalidKind::WrongType,
        &[
            Instead("user_id", "48151623"),
            Instead("event_id", "null"),
            Instead("event_timestamp", "1767225600"),
            Instead("properties", "[]"),
            Instead("properties", r#"{"url":404}"#),
        ],
    ),
    (
        InvalidKind::ExtraField,
        &[More(r#""session_id":"b7c1""#), More(r#""Event_Type":"page_view""#), More(r#""debug":{"trace":[1,2,3]}"#)],
    ),
    (
        InvalidKind::NotInEnum,
        &[
            Instead("event_type", r#""checkout""#),
            Instead("event_type", r#""PAGE_VIEW""#),
            Instead("event_type", r#""""#),
        ],
    ),
    (
        InvalidKind::ImpossibleTime,
        &[
            Instead("event_timestamp", r#""2026-13-01T08:00:00.000000Z""#),
            Instead("event_timestamp", r#""2026-02-30T08:00:00.000000Z""#),
            Instead("event_timestamp", r#""2026-01-01T25:00:00.000000Z""#),
        ],
    ),
    (InvalidKind::NotAnObject, &[Whole("42"), Whole("-0.5"), Whole(r#""page_view""#), Whole("true"), Whole("[]")]),
];

const CSV: [Faults; 6] = [
    (InvalidKind::MissingField, REQUIRED),
    (
        // All other columns are strings, and any cell is a valid string.
        InvalidKind::WrongType,
        &[
            Instead("properties", "[]"),
            Instead("properties", r#""{""url"":404}""#),
            Instead("properties", "42"),
            Instead("properties", "null"),
            // Not JSON, so it is read as a string.
            Instead("properties", "url=https://shop.example/"),
        ],
    ),
    (
        InvalidKind::NotInEnum,
        &[
            Instead("event_type", "checkout"),
            Instead("event_type", "PAGE_VIEW"),
            // In quotes, it is an empty string, not a missing value.
            Instead("event_type", r#""""#),
        ],
    ),
    (
        InvalidKind::ImpossibleTime,
        &[
            Instead("event_timestamp", "2026-13-01T08:00:00.000000Z"),
            Instead("event_timestamp", "2026-02-30T08:00:00.000000Z"),
            Instead("event_timestamp", "2026-01-01T25:00:00.000000Z"),
        ],
    ),
    (InvalidKind::RaggedRow, &[More("b7c1"), More(""), Whole("42"), Whole("page_view,https://shop.example/")]),
    (
        InvalidKind::BrokenQuotes,
        &[
            // Inner quotes that are not doubled: the most common mistake in manually written CSV.
            Instead("properties", r#""{"url":"https://shop.example/"}""#),
            Instead("event_type", r#""page_view"s"#),
            Instead("user_id", r#""ada" lovelace"#),
        ],
    ),
];
