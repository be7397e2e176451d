//! The command line, as typed.
//!
//! Knows flags and their help.
//! Invariant: only syntax is checked here, and no flag takes a secret: every user of the machine can read the process
//! list.

use std::path::PathBuf;

use clap::Parser;

const AFTER_HELP: &str = "\
Environment, or .env in the working folder:
  AWS_ACCESS_KEY_ID      the access key clients sign with (required)
  AWS_SECRET_ACCESS_KEY  its secret (required)
  NOTIFY_TOKEN           sent to --notify as `Authorization: Bearer ...` [default: none]
  RUST_LOG               what is logged to stderr [default: info]

Durability:
  An acknowledged write survives a crash or kill -9 of the server. It survives a power cut or a crash
  of the operating system only with --fsync, which makes each write wait for the disk.

Exit codes:
  0  done (stopped by SIGTERM or Ctrl-C)
  2  invalid arguments, environment or fault plan
  4  the port or the root directory cannot be used
  5  a bug";

/// An S3-compatible server for one machine: path-style requests, one pair of credentials, no TLS.
/// Prints its URL on stdout once it is ready.
#[derive(Debug, Parser)]
#[command(name = "local-s3", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Directory for all data; created if it does not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) root: PathBuf,

    /// Port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 9000)]
    pub(crate) port: u16,

    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: String,

    /// Bucket to create at startup if it does not exist; may be repeated
    #[arg(long = "bucket", value_name = "NAME")]
    pub(crate) buckets: Vec<String>,

    /// Faults to inject, as JSON, to test programs that must handle them
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,

    /// URL to post an event to for each object that is created, as MinIO's webhooks do; http:// only. An event that
    /// the URL does not accept is lost: neither the object nor its client waits
    #[arg(long, value_name = "URL")]
    pub(crate) notify: Option<String>,

    /// Make every write wait until it is on disk
    #[arg(long)]
    pub(crate) fsync: bool,
}
