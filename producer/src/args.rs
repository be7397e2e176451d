//! The command line, as typed.
//!
//! Values are texts here: `settings` checks them, so that all that is wrong is told at once.

use std::path::PathBuf;

use clap::Parser;
use lake::{process::EXIT_CODES, settings::LakeArgs};
use producer::settings::Raw;

const AFTER_HELP: &str = "\
The truth: --truth FILE tells what must become of every object and record, as NDJSON. An object has two lines: \
\"sending\", with all its records, is written before the object is sent, and \"stored\", with its ETag, after the \
store has it. After a crash, the objects with the first line alone may be in the store or not. A file that is there \
already is continued.";

/// Emits batches of synthetic events, some corrupt on purpose, until --batches are sent or it is stopped
#[derive(Debug, Parser)]
#[command(name = "producer", version, after_help = format!("{AFTER_HELP}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// The stream that the objects land in, as raw/STREAM/…
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// How many batches to send; endless if not given
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    batches: Option<String>,
    /// Records per batch
    #[arg(long, value_name = "N", default_value = "100", allow_negative_numbers = true)]
    batch_size: String,
    /// Time from one batch to the next, such as 250ms; 0s is as fast as it can
    #[arg(long, value_name = "DURATION", default_value = "1s", allow_negative_numbers = true)]
    interval: String,
    /// Chance of a batch to be corrupt, from 0 to 1
    #[arg(long, value_name = "CHANCE", default_value = "0.1", allow_negative_numbers = true)]
    corrupt_batches: String,
    /// Chance of a record to be wrong: to break its schema, or to be no row of CSV; from 0 to 1
    #[arg(long, value_name = "CHANCE", default_value = "0.1", allow_negative_numbers = true)]
    invalid_records: String,
    /// Chance of a record to be an exact copy of one of the last 1000, from 0 to 1
    #[arg(long, value_name = "CHANCE", default_value = "0", allow_negative_numbers = true)]
    duplicates: String,
    /// How records lie in an object: json-array, ndjson, or csv with a first row of names
    #[arg(long, value_name = "FORMAT", default_value = "json-array")]
    format: String,
    /// How objects are compressed: none, gzip or zstd; their keys end in .gz or .zst then. Not for stdout
    #[arg(long, value_name = "COMPRESSION", default_value = "none")]
    compression: String,
    /// Make the same keys and bytes each time, at the same times from 2026-01-01 on; if not given, by chance and now
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
    /// Where to send objects: lake, or stdout, where a line feed follows each
    #[arg(long, value_name = "SINK", default_value = "lake")]
    sink: String,
    /// Tell in this file what must become of each object and record
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
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
            lake: args.lake,
        }
    }
}
