//! The command line, as typed.
//!
//! Values are strings here: `settings` checks them, so that all mistakes are reported at once.

use std::path::PathBuf;

use clap::Parser;
use lake::settings::LakeArgs;
use producer::settings::Raw;
use program::EXIT_CODES;

const AFTER_HELP: &str = "\
The truth: --truth FILE records the expected result of every object and record, as NDJSON. An object has two lines: \
\"sending\", with all its records, is written before the object is sent, and \"stored\", with its ETag, after the \
store has it. After a crash, an object with only the first line may or may not be in the store. An existing file is \
continued.";

/// Emits batches of synthetic events, some corrupt on purpose, until --batches are sent or it is stopped
#[derive(Debug, Parser)]
#[command(name = "producer", version, after_help = format!("{AFTER_HELP}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// The stream to send to; objects land in raw/STREAM/…
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// How many batches to send; if not given, runs until stopped
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    batches: Option<String>,
    /// Records per batch
    #[arg(long, value_name = "N", default_value = "100", allow_negative_numbers = true)]
    batch_size: String,
    /// Time between batches, for example 250ms; 0s means as fast as possible
    #[arg(long, value_name = "DURATION", default_value = "1s", allow_negative_numbers = true)]
    interval: String,
    /// Chance that a batch is corrupt, from 0 to 1
    #[arg(long, value_name = "CHANCE", default_value = "0.1", allow_negative_numbers = true)]
    corrupt_batches: String,
    /// Chance that a record is invalid: it breaks its schema or is not a valid CSV row; from 0 to 1
    #[arg(long, value_name = "CHANCE", default_value = "0.1", allow_negative_numbers = true)]
    invalid_records: String,
    /// Chance that a record is an exact copy of one of the last 1000, from 0 to 1
    #[arg(long, value_name = "CHANCE", default_value = "0", allow_negative_numbers = true)]
    duplicates: String,
    /// Format of an object: json-array, ndjson, or csv with a header row
    #[arg(long, value_name = "FORMAT", default_value = "json-array")]
    format: String,
    /// Compression of objects: none, gzip or zstd, with keys that end in .gz or .zst. Not for stdout
    #[arg(long, value_name = "COMPRESSION", default_value = "none")]
    compression: String,
    /// Same keys and bytes on every run, with times from 2026-01-01 on; if not given, a random seed and current times
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
    /// Where to send objects: lake or stdout; on stdout, a line feed follows each object
    #[arg(long, value_name = "SINK", default_value = "lake")]
    sink: String,
    /// Write the expected result of each object and record to this file
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// How long to wait for a store that fails, at the start and later, before exit 4: a duration, or forever
    #[arg(long, env = "STORE_WAIT", value_name = "DURATION", default_value = "60s", allow_negative_numbers = true)]
    store_wait: String,
    #[command(flatten)]
    lake: LakeArgs,
}

impl From<Args> for Raw {
    fn from(args: Args) -> Self {
        Self {
            stream: args.stream,
            batches: args.batches,
            batch_size: args.batch_size,
            interval: args.interval,
            corrupt_batches: args.corrupt_batches,
            invalid_records: args.invalid_records,
            duplicates: args.duplicates,
            format: args.format,
            compression: args.compression,
            seed: args.seed,
            sink: args.sink,
            truth: args.truth,
            store_wait: args.store_wait,
            lake: args.lake,
        }
    }
}
