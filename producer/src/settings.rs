//! Turns raw strings into checked settings and reports all mistakes together.

use std::{fmt::Display, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};

use lake::{
    Error,
    settings::{LakeArgs, LakeUrls, Problems},
    stream::Format,
};
use program::backoff::Patience;

use crate::{batch::Recipe, compression::Compression};

/// The largest batch: at about 350 bytes per event, a consumer still reads it as one object by default.
const BATCH_SIZE_MAX: usize = 1_000_000;

/// The settings as typed.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The stream's name.
    pub stream: Option<String>,
    /// The number of batches.
    pub batches: Option<String>,
    /// Records per batch.
    pub batch_size: String,
    /// Time between batches.
    pub interval: String,
    /// The chance that a batch is corrupt.
    pub corrupt_batches: String,
    /// The chance that a record is invalid.
    pub invalid_records: String,
    /// The chance that a record is a copy.
    pub duplicates: String,
    /// The format of an object.
    pub format: String,
    /// The compression of an object.
    pub compression: String,
    /// The seed of all randomness.
    pub seed: Option<String>,
    /// Where objects go.
    pub sink: String,
    /// Where to write the truth.
    pub truth: Option<PathBuf>,
    /// How long to wait for a store that fails.
    pub store_wait: String,
    /// Where the lake is.
    pub lake: LakeArgs,
}

/// Where objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkSettings {
    /// Into the raw zone of a lake.
    Lake(Box<LakeUrls>),
    /// To stdout, with a line feed after each.
    Stdout,
}

/// The checked settings of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What to make. The seed is random if none was given.
    pub recipe: Recipe,
    /// Whether a seed was given: the times are then fixed too.
    pub is_seeded: bool,
    /// How many batches; `None` means until stopped.
    pub batches: Option<u64>,
    /// Time between batches; zero means as fast as possible.
    pub interval: Duration,
    /// Where objects go.
    pub sink: SinkSettings,
    /// Where to write the truth, if anywhere.
    pub truth: Option<PathBuf>,
    /// How long to wait for a store that fails.
    pub store_wait: Patience,
}

impl Raw {
    /// Checks all settings together; `chance` is the seed if none is given.
    ///
    /// # Errors
    /// [`Error::Settings`] with every mistake, each with its flag or variable.
    pub fn check(self, chance: u64) -> Result<Settings, Error> {
        let mut problems = Problems::default();
        let stream = match &self.stream {
            Some(name) => {
                problems.keep("--stream", name.parse().map_err(|error: lake::ids::IdError| error.to_string()))
            }
            None => problems.keep("--stream", Err("is not set; for example --stream events".to_owned())),
        };
        let batches = self.batches.map(|text| problems.keep("--batches", number(&text, 1..=u64::MAX)));
        let seed = self.seed.map(|text| problems.keep("--seed", number(&text, 0..=u64::MAX)));
        let batch_size = problems.keep("--batch-size", number(&self.batch_size, 1..=BATCH_SIZE_MAX));
        let interval = problems.keep("--interval", duration(&self.interval));
        let store_wait = problems.keep("--store-wait", self.store_wait.parse());
        let mut chance_of = |flag, text: &str| problems.keep(flag, share(text)).unwrap_or_default();
        let corrupt_batches = chance_of("--corrupt-batches", &self.corrupt_batches);
        let invalid_records = chance_of("--invalid-records", &self.invalid_records);
        let duplicates = chance_of("--duplicates", &self.duplicates);
        let format = problems.keep("--format", format(&self.format));
        let to_stdout = self.sink == "stdout";
        let compression = problems.keep("--compression", compression(&self.compression, to_stdout));
        let sink = match self.sink.as_str() {
            "lake" => problems.absorb(self.lake.check())?.map(|urls| SinkSettings::Lake(Box::new(urls))),
            "stdout" => Some(SinkSettings::Stdout),
            other => problems.keep("--sink", Err(format!("{other:?} is not a sink; use lake or stdout"))),
        };
        problems.into_result()?;
        let (Some(stream), Some(batch_size), Some(interval), Some(store_wait)) =
            (stream, batch_size, interval, store_wait)
        else {
            return Err(Error::Bug("a setting was neither checked nor refused".to_owned()));
        };
        let (Some(format), Some(compression), Some(sink)) = (format, compression, sink) else {
            return Err(Error::Bug("a setting was neither checked nor refused".to_owned()));
        };
        let is_seeded = seed.is_some();
        let seed = seed.flatten().unwrap_or(chance);
        let recipe =
            Recipe { stream, format, compression, batch_size, corrupt_batches, invalid_records, duplicates, seed };
        Ok(Settings { recipe, is_seeded, batches: batches.flatten(), interval, sink, truth: self.truth, store_wait })
    }
}

fn number<T: FromStr + PartialOrd + Display>(text: &str, range: RangeInclusive<T>) -> Result<T, String> {
    let parsed = text.parse().ok().filter(|value| range.contains(value));
    parsed.ok_or_else(|| format!("must be a whole number from {} to {}, not {text:?}", range.start(), range.end()))
}

fn share(text: &str) -> Result<f64, String> {
    let parsed = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
    parsed.ok_or_else(|| format!("must be a chance from 0 to 1, not {text:?}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(86_400);
    let parsed = humantime::parse_duration(text).ok().filter(|duration| *duration <= LONGEST);
    parsed.ok_or_else(|| format!("must be a duration such as 1s or 250ms, from 0s to 1day, not {text:?}"))
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "json-array" => Ok(Format::JsonArray),
        "ndjson" => Ok(Format::Ndjson),
        "csv" => Ok(Format::Csv),
        other => Err(format!("{other:?} is not a format; use json-array, ndjson or csv")),
    }
}

fn compression(text: &str, to_stdout: bool) -> Result<Compression, String> {
    match text {
        "none" => Ok(Compression::None),
        "gzip" | "zstd" if to_stdout => {
            // The line feed would be between two compressed objects, and neither tool reads past it.
            Err(format!("{text} does not work with --sink stdout, where a line feed follows each object; use none"))
        }
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        other => Err(format!("{other:?} is not a compression; use none, gzip or zstd")),
    }
}
