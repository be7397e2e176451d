//! Reads a TOML file key by key, and collects every mistake instead of stopping at the first.

use std::{ops::RangeInclusive, time::Duration};

/// A TOML document whose keys are taken out one by one; keys that are left at the end are unknown.
pub(super) struct Table {
    values: Vec<(String, toml::Value)>,
    known: Vec<&'static str>,
    problems: Vec<(String, String)>,
}

impl Table {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let document: toml::Table = toml::from_str(text).map_err(|error| format!("is not TOML: {error}"))?;
        let mut values = Vec::new();
        for (name, value) in document {
            match value {
                toml::Value::Table(section) => {
                    values.extend(section.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
                }
                value => values.push((name, value)),
            }
        }
        Ok(Self { values, known: Vec::new(), problems: Vec::new() })
    }

    pub(super) fn wrong(&mut self, key: &str, what: impl Into<String>) {
        self.problems.push((key.to_owned(), what.into()));
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            toml::Value::String(text) => Some(text),
            other => {
                self.wrong(key, format!("must be a string, not {other}"));
                None
            }
        }
    }

    /// A list of strings; empty if it is not given.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<String> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let texts = value.as_array().and_then(|list| list.iter().map(|one| one.as_str().map(str::to_owned)).collect());
        texts.unwrap_or_else(|| {
            self.wrong(key, format!("must be a list of strings such as [\"*.tmp\"], not {value}"));
            Vec::new()
        })
    }

    pub(super) fn count(&mut self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.take(key) else { return default };
        match value.as_integer().and_then(|number| u64::try_from(number).ok()).filter(|n| range.contains(n)) {
            Some(number) => number,
            None => {
                self.wrong(
                    key,
                    format!("must be a whole number from {} to {}, not {value}", range.start(), range.end()),
                );
                default
            }
        }
    }

    pub(super) fn bytes(&mut self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.take(key) else { return default };
        let size = match &value {
            toml::Value::Integer(number) => u64::try_from(*number).ok(),
            toml::Value::String(text) => text.parse::<bytesize::ByteSize>().ok().map(|size| size.as_u64()),
            _ => None,
        };
        match size.filter(|size| range.contains(size)) {
            Some(size) => size,
            None => {
                let most = bytesize::ByteSize::b(*range.end()).display().iec();
                self.wrong(key, format!("must be a size such as \"16MiB\", at most {most}, not {value}"));
                default
            }
        }
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        self.optional_duration(key, range).unwrap_or(default)
    }

    pub(super) fn optional_duration(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let value = self.take(key)?;
        let parsed = value.as_str().and_then(|text| humantime::parse_duration(text).ok());
        let parsed = parsed.filter(|duration| range.contains(duration));
        if parsed.is_none() {
            let [least, most] = [range.start(), range.end()].map(|bound| humantime::format_duration(*bound));
            self.wrong(
                key,
                format!("must be a duration such as \"1s\" or \"30days\", from {least} to {most}, not {value}"),
            );
        }
        parsed
    }

    /// Every mistake, including unknown keys.
    pub(super) fn finish(mut self) -> Vec<(String, String)> {
        let known = self.known.join(", ");
        for (key, _) in &self.values {
            self.problems.push((key.clone(), format!("is not a stream setting; the settings are {known}")));
        }
        self.problems
    }

    fn take(&mut self, key: &'static str) -> Option<toml::Value> {
        self.known.push(key);
        let at = self.values.iter().position(|(name, _)| name == key)?;
        Some(self.values.swap_remove(at).1)
    }
}
