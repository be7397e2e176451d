//! Reads RFC 3339 times and dates without changing them.

use chrono::{DateTime, NaiveDate, Timelike};

/// Microseconds since 1970 of a `date-time`; `None` where a microsecond is too coarse, or for a leap second.
pub(super) fn micros(text: &str) -> Option<i64> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    let nanos = moment.nanosecond();
    // Chrono reads a leap second as a second of up to two billion nanoseconds.
    let exact = nanos < 1_000_000_000 && nanos % 1_000 == 0 && !beyond_nanoseconds(text);
    exact.then(|| moment.timestamp_micros())
}

/// Whether the fraction of a second has digits beyond the ninth, which chrono drops.
fn beyond_nanoseconds(text: &str) -> bool {
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    fraction.bytes().take_while(u8::is_ascii_digit).skip(9).any(|digit| digit != b'0')
}

/// Days since 1970 of a `date`.
pub(super) fn days(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    i32::try_from(date.signed_duration_since(epoch).num_days()).ok()
}
