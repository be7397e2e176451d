//! Reads RFC 3339 times and dates without changing them.

use chrono::{DateTime, NaiveDate, Timelike};

/// Microseconds since 1970 of a `date-time`; `None` if a microsecond is too coarse, or for a leap second.
pub(crate) fn micros(text: &str) -> Option<i64> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    let nanos = moment.nanosecond();
    // Chrono reads a leap second as a second of up to two billion nanoseconds.
    let exact = nanos < 1_000_000_000 && nanos % 1_000 == 0 && !beyond_nanoseconds(text);
    exact.then(|| moment.timestamp_micros())
}

/// Microseconds since 1970 of a `date-time` as most programs write it: `2026-11-20T08:00:00.123456Z`, with at most six
/// decimals, and `Z` or an offset. `None` for any other form, and for text that is not a time.
pub fn plain_micros(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let days = days_of(bytes.get(..10)?)?;
    let [b'T', h1, h0, b':', m1, m0, b':', s1, s0] = *bytes.get(10..19)? else { return None };
    let [hour, minute, second] = [[h1, h0], [m1, m0], [s1, s0]].map(|digits| number_of(&digits));
    let (hour, minute, second) = (hour?, minute?, second?);
    let (fraction, zone) = match bytes.get(19)? {
        b'.' => {
            let digits = bytes[20..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let scale = 10_i64.pow(u32::try_from(6_usize.checked_sub(digits)?).ok()?);
            (
                i64::from(number_of(bytes.get(20..20 + digits).filter(|digits| !digits.is_empty())?)?) * scale,
                20 + digits,
            )
        }
        _ => (0, 19),
    };
    let offset = match bytes.get(zone..)? {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] => {
            let (hours, minutes) = (number_of(&[*h1, *h0])?, number_of(&[*m1, *m0])?);
            let seconds = i64::from(hours * 60 + minutes) * 60;
            let valid = hours < 24 && minutes < 60;
            valid.then_some(if *sign == b'+' { seconds } else { -seconds })?
        }
        _ => return None,
    };
    let valid = hour < 24 && minute < 60 && second < 60;
    let seconds = i64::from(days) * 86_400 + i64::from((hour * 60 + minute) * 60 + second) - offset;
    valid.then_some(seconds * 1_000_000 + fraction)
}

/// Days since 1970 of a `date` such as `2026-11-20`.
pub fn plain_days(text: &str) -> Option<i32> {
    days_of(text.as_bytes())
}

fn days_of(date: &[u8]) -> Option<i32> {
    let [y3, y2, y1, y0, b'-', m1, m0, b'-', d1, d0] = *date else { return None };
    let (year, month, day) = (number_of(&[y3, y2, y1, y0])?, number_of(&[m1, m0])?, number_of(&[d1, d0])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let in_month = match month {
        2 => 28 + i32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1 || day < 1 || day > in_month {
        return None;
    }
    // Days from the civil date, counting years from March (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let (era, of_era) = (year / 400, year % 400);
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468)
}

/// The number of these digits, at most nine of them.
fn number_of(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0_i32, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i32::from(digit - b'0')))
}

/// Whether the fraction of a second has digits after the ninth, which chrono drops.
fn beyond_nanoseconds(text: &str) -> bool {
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    fraction.bytes().take_while(u8::is_ascii_digit).skip(9).any(|digit| digit != b'0')
}

/// Days since 1970 of a `date`.
pub(crate) fn days(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    i32::try_from(date.signed_duration_since(epoch).num_days()).ok()
}
