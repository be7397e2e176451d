//! The ways in which a record is made wrong on purpose, for each format those that can be one record's fault in it.
//!
//! JSON leaves out, mistypes and adds fields, and a record can be no object. A row of CSV has the header's fields, each
//! of them a text unless its column says otherwise: an empty cell leaves a field out, only a cell of JSON has a wrong
//! type, and in place of more fields or no object there are rows of too many or too few cells, and rows that are no CSV.
//!
//! Invariant: a fault is the record's only one, and ends with its record: quotes that it opens it closes.

use lake::{
    dead_letter::{ErrorCode, Reason},
    stream::Format,
};
use serde::{Deserialize, Serialize};

use Fault::{Instead, More, Whole, Without};

/// How a record is made wrong. Stands in truth files: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidKind {
    /// A required field is left out.
    MissingField,
    /// A value has a type that the schema does not allow there.
    WrongType,
    /// There is a field that the schema does not know.
    ExtraField,
    /// The event's type is none of the known ones.
    NotInEnum,
    /// The event's time looks like one and can't be.
    ImpossibleTime,
    /// The record is not an object.
    NotAnObject,
    /// A CSV row has more or fewer cells than there are columns.
    RaggedRow,
    /// A CSV row has text behind the quote that closes a cell.
    BrokenQuotes,
}

impl InvalidKind {
    /// The kinds that there can be in a format; each is as likely as the others.
    pub fn of(format: Format) -> Vec<Self> {
        faults(format).iter().map(|(kind, _)| *kind).collect()
    }

    /// What a record of this kind must be set aside for.
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

/// What to write in place of a valid record. Texts are written as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The record without this field.
    Without(&'static str),
    /// The record with this in place of the field's value.
    Instead(&'static str, &'static str),
    /// The record with this behind its last field.
    More(&'static str),
    /// This and nothing of the record.
    Whole(&'static str),
}

/// A kind, and the faults that are of it.
pub(crate) type Faults = (InvalidKind, &'static [Fault]);

/// The kinds of a format. A seed's meaning follows from their order: it never changes.
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
        // Not the event's type, whose enum a number would break as well.
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
        // All columns but this one are of text, which any cell is.
        InvalidKind::WrongType,
        &[
            Instead("properties", "[]"),
            Instead("properties", r#""{""url"":404}""#),
            Instead("properties", "42"),
            Instead("properties", "null"),
            // No JSON, and so a text.
            Instead("properties", "url=https://shop.example/"),
        ],
    ),
    (
        InvalidKind::NotInEnum,
        &[
            Instead("event_type", "checkout"),
            Instead("event_type", "PAGE_VIEW"),
            // In quotes, it is an empty text and not a missing one.
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
            // Quotes within quotes that were not doubled: what writers of CSV by hand forget most.
            Instead("properties", r#""{"url":"https://shop.example/"}""#),
            Instead("event_type", r#""page_view"s"#),
            Instead("user_id", r#""ada" lovelace"#),
        ],
    ),
];
