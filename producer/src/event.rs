//! The text of one event, valid or with exactly one fault.
//!
//! Knows the fields of the events stream. Knows nothing about batches or stores.
//! Invariant: the text is ASCII without a line feed, and has no fault other than the one asked for.

mod faults;
mod record;

use chrono::Timelike;
use lake::{clock::Timestamp, stream::Format};
use uuid::{Builder, Uuid};

use crate::{
    dice::Dice,
    names::{CURRENCIES, PRODUCTS, URLS, USER_AGENTS, USERS},
};
pub use faults::InvalidKind;
pub(crate) use faults::{Fault, faults};
use record::Record;

/// The fields of an event in the order they are written; in CSV, the columns.
pub(crate) const FIELDS: [&str; 6] =
    ["user_id", "event_id", "event_timestamp", "event_type", "product_id", "properties"];

/// How long before its batch an event may have happened, in seconds.
const AGE_SECONDS: usize = 60;
const MICROS: usize = 1_000_000;

/// Writes the events of one batch.
pub(crate) struct EventWriter {
    format: Format,
    /// The text of each second in which an event of this batch can happen. Formatting a date for each event would take
    /// longer than everything else.
    seconds: Vec<String>,
}

impl EventWriter {
    /// Writes events from the minute before `at`.
    pub(crate) fn new(format: Format, at: Timestamp) -> Self {
        let whole = at.datetime().with_nanosecond(0).unwrap_or_else(|| at.datetime());
        let second = |age| (whole - chrono::TimeDelta::seconds(age)).format("%Y-%m-%dT%H:%M:%S").to_string();
        Self { format, seconds: (1..=AGE_SECONDS as i64).map(second).collect() }
    }

    /// Appends one event to `out`, with one of `faults` if any are given. Returns its id, which is in the text unless
    /// the fault removed it.
    pub(crate) fn write(&self, out: &mut Vec<u8>, faults: Option<&[Fault]>, dice: &mut Dice) -> Uuid {
        let event_id = Builder::from_random_bytes(dice.bytes()).into_uuid();
        let fault = faults.map(|faults| dice.pick(faults));
        if let Some(Fault::Whole(text)) = fault {
            out.extend_from_slice(text.as_bytes());
        } else {
            self.write_fields(Record::new(out, self.format, fault), event_id, dice);
        }
        event_id
    }

    fn write_fields(&self, mut record: Record<'_>, event_id: Uuid, dice: &mut Dice) {
        let [user_id, id, timestamp, event_type, product_id, properties] = FIELDS;
        let is_purchase = dice.below(5) == 0;
        let user = dice.pick(&USERS).1;
        record.text(user_id, |out| out.extend_from_slice(user.as_bytes()));
        let mut buffer = Uuid::encode_buffer();
        record.text(id, |out| out.extend_from_slice(event_id.hyphenated().encode_lower(&mut buffer).as_bytes()));
        record.text(timestamp, |out| self.write_time(out, dice));
        let kind: &[u8] = if is_purchase { b"purchase" } else { b"page_view" };
        record.text(event_type, |out| out.extend_from_slice(kind));
        if is_purchase {
            let product = dice.pick(&PRODUCTS);
            record.text(product_id, |out| out.extend_from_slice(product.as_bytes()));
            record.json(properties, |out| write_purchase(out, dice));
        } else {
            record.nothing(product_id);
            record.json(properties, |out| write_page_view(out, dice));
        }
        record.end();
    }

    fn write_time(&self, out: &mut Vec<u8>, dice: &mut Dice) {
        out.extend_from_slice(self.seconds[dice.below(self.seconds.len())].as_bytes());
        out.push(b'.');
        write_digits::<6>(out, dice.below(MICROS));
        out.push(b'Z');
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

/// Appends the last `N` decimal digits of `number`.
fn write_digits<const N: usize>(out: &mut Vec<u8>, mut number: usize) {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits);
}
