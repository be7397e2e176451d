//! The one place where this workspace asks what time it is.
//!
//! Time decides nothing that must be right: it gives partition names and ages, but never an input's identity or the
//! order of batches. Stages never see a clock; they get the time at which their plan was made.

use std::{fmt, sync::Mutex};

use chrono::{DateTime, NaiveDateTime, SecondsFormat, SubsecRound, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in UTC, to the microsecond, as in a bronze column, so that nothing is rounded on the way.
///
/// Written everywhere as RFC 3339 with six digits, for example `2026-11-20T08:00:00.000000Z`. A year beyond four digits has
/// a sign, as in ISO 8601: `9999-12-31T23:59:59-05:00` is a valid RFC 3339 time, and in UTC it is in the year `+10000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The moment, truncated to whole microseconds.
    pub fn new(moment: DateTime<Utc>) -> Self {
        Self(moment.trunc_subsecs(6))
    }

    /// The moment this many microseconds after 1970-01-01T00:00:00Z; `None` beyond chrono's range.
    pub fn from_micros(micros: i64) -> Option<Self> {
        DateTime::from_timestamp_micros(micros).map(Self)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// The calendar day in UTC, for example `2026-11-20`, as in the names of partitions.
    pub fn date(self) -> String {
        self.0.format("%Y-%m-%d").to_string()
    }

    /// The moment this long before; the earliest possible moment if that is out of range.
    #[must_use]
    pub fn earlier_by(self, duration: std::time::Duration) -> Self {
        let duration = chrono::TimeDelta::from_std(duration).unwrap_or(chrono::TimeDelta::MAX);
        Self(self.0.checked_sub_signed(duration).unwrap_or(DateTime::<Utc>::MIN_UTC))
    }

    /// The same moment for callers that compute with chrono.
    pub fn datetime(self) -> DateTime<Utc> {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| de::Error::custom("not an RFC 3339 time"))
    }
}

/// Every text that [`Timestamp`]'s `Display` writes, and every RFC 3339 time.
fn parse(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(Timestamp::new(moment.with_timezone(&Utc)));
    }
    // RFC 3339 has no years beyond four digits.
    let signed = text.strip_suffix('Z').filter(|text| text.starts_with(['+', '-']))?;
    let moment = NaiveDateTime::parse_from_str(signed, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
    Some(Timestamp::new(moment.and_utc()))
}

/// Says what time it is. Passed in, so that a test can set the time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::new(Utc::now())
    }
}

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows `moment`.
    pub fn new(moment: Timestamp) -> Self {
        Self(Mutex::new(moment))
    }

    /// From now on the clock shows `moment`, earlier or later than before.
    pub fn set(&self, moment: Timestamp) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = moment;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
