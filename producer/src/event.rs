//! The text of one event, valid or with exactly one fault.
//!
//! Knows the events stream's fields. Knows nothing of batches, formats or stores.
//! Invariant: the text is ASCII without a line feed, and breaks the stream's schema in the one way it is said to.

use chrono::Timelike;
use lake::{
    clock::Timestamp,
    dead_letter::{ErrorCode, Reason},
};
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::{
    dice::Dice,
    names::{CURRENCIES, PRODUCTS, URLS, USER_AGENTS, USERS},
};

/// How a record breaks its schema. Stands in truth files: add, never rename.
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
}

impl InvalidKind {
    /// All kinds; each is as likely as the others.
    pub const ALL: [Self; 6] = [
        Self::MissingField,
        Self::WrongType,
        Self::ExtraField,
        Self::NotInEnum,
        Self::ImpossibleTime,
        Self::NotAnObject,
    ];

    /// What a record of this kind must be set aside for.
    pub fn expected(self) -> (Reason, ErrorCode) {
        match self {
            Self::MissingField => (Reason::InvalidSchema, ErrorCode::MissingField),
            Self::WrongType | Self::NotAnObject => (Reason::InvalidSchema, ErrorCode::WrongType),
            Self::ExtraField => (Reason::ExtraFields, ErrorCode::ExtraField),
            Self::NotInEnum => (Reason::InvalidSchema, ErrorCode::NotInEnum),
            Self::ImpossibleTime => (Reason::InvalidSchema, ErrorCode::BadFormat),
        }
    }

    fn fault(self, dice: &mut Dice) -> Fault {
        use Fault::{Instead, More, NoObject, Without};
        dice.pick(match self {
            Self::MissingField => &[
                Without("user_id"),
                Without("event_id"),
                Without("event_timestamp"),
                Without("event_type"),
                Without("properties"),
            ],
            // Not the event's type, whose enum a number would break as well.
            Self::WrongType => &[
                Instead("user_id", "48151623"),
                Instead("event_id", "null"),
                Instead("event_timestamp", "1767225600"),
                Instead("properties", "[]"),
                Instead("properties", r#"{"url":404}"#),
            ],
            Self::ExtraField => &[
                More(r#""session_id":"b7c1""#),
                More(r#""Event_Type":"page_view""#),
                More(r#""debug":{"trace":[1,2,3]}"#),
            ],
            Self::NotInEnum => &[
                Instead("event_type", r#""checkout""#),
                Instead("event_type", r#""PAGE_VIEW""#),
                Instead("event_type", r#""""#),
            ],
            Self::ImpossibleTime => &[
                Instead("event_timestamp", r#""2026-13-01T08:00:00.000000Z""#),
                Instead("event_timestamp", r#""2026-02-30T08:00:00.000000Z""#),
                Instead("event_timestamp", r#""2026-01-01T25:00:00.000000Z""#),
            ],
            Self::NotAnObject => {
                &[NoObject("42"), NoObject("-0.5"), NoObject(r#""page_view""#), NoObject("true"), NoObject("[]")]
            }
        })
    }
}

/// What to write in place of a valid event.
#[derive(Clone, Copy)]
enum Fault {
    Without(&'static str),
    Instead(&'static str, &'static str),
    More(&'static str),
    NoObject(&'static str),
}

/// How long before its batch an event may have happened, in seconds.
const AGE_SECONDS: usize = 60;
const MICROS: usize = 1_000_000;

/// Writes the events of one batch.
pub(crate) struct EventWriter {
    /// The text of each second that an event of this batch can lie in: formatting a date per event would take longer
    /// than all the rest of it.
    seconds: Vec<String>,
}

impl EventWriter {
    /// Writes events of the minute before `at`.
    pub(crate) fn new(at: Timestamp) -> Self {
        let whole = at.datetime().with_nanosecond(0).unwrap_or_else(|| at.datetime());
        let second = |age| (whole - chrono::TimeDelta::seconds(age)).format("%Y-%m-%dT%H:%M:%S").to_string();
        Self { seconds: (1..=AGE_SECONDS as i64).map(second).collect() }
    }

    /// Appends one event to `out` and tells its id, which stands in the text unless the fault took it away.
    pub(crate) fn write(&self, out: &mut Vec<u8>, invalid: Option<InvalidKind>, dice: &mut Dice) -> Uuid {
        let event_id = Builder::from_random_bytes(dice.bytes()).into_uuid();
        let fault = invalid.map(|kind| kind.fault(dice));
        if let Some(Fault::NoObject(text)) = fault {
            out.extend_from_slice(text.as_bytes());
            return event_id;
        }
        let is_purchase = dice.below(5) == 0;
        let mut fields = Fields { out, fault, is_first: true };
        fields.text("user_id", dice.pick(&USERS).1);
        fields.text("event_id", event_id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        fields.field("event_timestamp", |out| self.write_time(out, dice));
        fields.text("event_type", if is_purchase { "purchase" } else { "page_view" });
        if is_purchase {
            fields.text("product_id", dice.pick(&PRODUCTS));
            fields.field("properties", |out| write_purchase(out, dice));
        } else {
            fields.field("properties", |out| write_page_view(out, dice));
        }
        if let Some(Fault::More(text)) = fault {
            out.push(b',');
            out.extend_from_slice(text.as_bytes());
        }
        out.push(b'}');
        event_id
    }

    fn write_time(&self, out: &mut Vec<u8>, dice: &mut Dice) {
        out.push(b'"');
        out.extend_from_slice(self.seconds[dice.below(self.seconds.len())].as_bytes());
        out.push(b'.');
        write_digits::<6>(out, dice.below(MICROS));
        out.extend_from_slice(b"Z\"");
    }
}

/// The fields of one event, written in order, with the fault put in where it belongs.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    fault: Option<Fault>,
    is_first: bool,
}

impl Fields<'_> {
    fn text(&mut self, name: &'static str, value: &str) {
        self.field(name, |out| {
            out.push(b'"');
            out.extend_from_slice(value.as_bytes());
            out.push(b'"');
        });
    }

    fn field(&mut self, name: &'static str, write_value: impl FnOnce(&mut Vec<u8>)) {
        let other = match self.fault {
            Some(Fault::Without(missing)) if missing == name => return,
            Some(Fault::Instead(at, text)) if at == name => Some(text),
            _ => None,
        };
        self.out.extend_from_slice(if self.is_first { b"{\"" } else { b",\"" });
        self.is_first = false;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        match other {
            Some(text) => self.out.extend_from_slice(text.as_bytes()),
            None => write_value(self.out),
        }
    }
}

fn write_page_view(out: &mut Vec<u8>, dice: &mut Dice) {
    out.extend_from_slice(b"{\"url\":\"");
    out.extend_from_slice(dice.pick(&URLS).as_bytes());
    out.extend_from_slice(b"\",\"user_agent\":\"");
    out.extend_from_slice(dice.pick(&USER_AGENTS).as_bytes());
    out.extend_from_slice(b"\"}");
}

fn write_purchase(out: &mut Vec<u8>, dice: &mut Dice) {
    out.extend_from_slice(b"{\"amount\":\"");
    out.push(b'1' + dice.below(9) as u8);
    write_digits::<2>(out, dice.below(100));
    out.push(b'.');
    write_digits::<2>(out, dice.below(100));
    out.extend_from_slice(b"\",\"currency\":\"");
    out.extend_from_slice(dice.pick(&CURRENCIES).as_bytes());
    out.extend_from_slice(b"\"}");
}

/// The last `N` decimal digits of `number`.
fn write_digits<const N: usize>(out: &mut Vec<u8>, mut number: usize) {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits);
}
