//! The command line as typed. `settings` checks it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use lake::{settings::LakeArgs, store::Transfers};
use program::EXIT_CODES;

/// The variable that says how many objects are read, written and copied at a time.
pub const TRANSFERS: &str = "TRANSFERS";

/// Validates every record that lands against a JSON Schema; commits rows and dead letters together.
#[derive(Debug, Parser)]
#[command(name = "consumer", version, after_help = EXIT_CODES, max_term_width = 110)]
pub struct ConsumerArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Where the lake is.
    #[command(flatten)]
    pub lake: LakeArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Consume a stream until stopped by Ctrl-C or SIGTERM
    #[command(after_help = EXIT_CODES)]
    Run(RunArgs),
    /// Show how far a stream is
    #[command(after_help = EXIT_CODES)]
    Status(StatusArgs),
    /// Compare a stream's ledger with its store: exit 0 when they agree, 3 when not
    #[command(after_help = EXIT_CODES)]
    Verify(LookArgs),
    /// Run one task for a parent process, which speaks through stdin and stdout
    #[command(hide = true)]
    Task,
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The stream to consume
    #[arg(long, value_name = "NAME")]
    pub stream: String,
    /// Drain what is there, then exit
    #[arg(long)]
    pub once: bool,
    /// How many objects are read, written and copied at a time, from 1 to 1000
    #[arg(long, env = TRANSFERS, value_name = "NUMBER", default_value_t = Transfers::DEFAULT as u64)]
    pub transfers: u64,
    /// How long to wait for a store that fails, at the start and later, before exit 4: a duration, or forever
    #[arg(long, env = "STORE_WAIT", value_name = "DURATION", default_value = "60s", allow_negative_numbers = true)]
    pub store_wait: String,
    /// The folder that defines the streams
    #[arg(long, env = "STREAMS_DIR", value_name = "FOLDER", default_value = "streams")]
    pub streams_dir: PathBuf,
    /// Where hints come from.
    #[command(flatten)]
    pub hints: HintArgs,
}

/// Where hints come from.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Hints")]
pub struct HintArgs {
    /// Listen here for the bucket's notifications (webhooks of MinIO, SeaweedFS and others), so that new objects are
    /// read at once; HINTS_TOKEN in the environment is the token that they must send
    #[arg(long = "hints", env = "HINTS_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Take the bucket's notifications from this SQS queue, which no other stream may use
    #[arg(long = "hints-queue", env = "HINTS_QUEUE", value_name = "URL")]
    pub queue: Option<String>,
}

/// Flags of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// What to look at.
    #[command(flatten)]
    pub look: LookArgs,
    /// The folder that defines the streams; used only to know which objects are inputs
    #[arg(long, env = "STREAMS_DIR", value_name = "FOLDER", default_value = "streams")]
    pub streams_dir: PathBuf,
}

/// Flags of `status` and `verify`.
#[derive(Debug, Args)]
pub struct LookArgs {
    /// The stream to look at
    #[arg(long, value_name = "NAME")]
    pub stream: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
