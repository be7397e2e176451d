//! The command line arguments, before they are checked.

use std::path::PathBuf;

use lake::settings::LakeArgs;

use crate::output::Format;

const AFTER_HELP: &str = "\
Without -c, -f or SQL on stdin, a prompt opens. Commands that start with a dot work everywhere: -c .help lists them.

Relations: bronze.<stream>, dead_letters.<stream>, checkpoints.batches, checkpoints.objects, checkpoints.files.
Each statement sees the newest commit; between BEGIN and COMMIT, all see the same one. Times are in UTC (SET TimeZone).

S3 is read with the credentials, region and endpoint from the AWS_* variables and profiles.

Exit codes: 0 done · 2 invalid arguments or settings, or SQL that failed · 3 the lake is damaged · 4 the store can't be \
reached · 5 a bug";

/// SQL over the committed rows and dead letters of a lake
#[derive(Debug, clap::Parser)]
#[command(version, about, after_help = AFTER_HELP)]
pub struct ReaderArgs {
    /// Run this SQL or command, then exit; can be repeated
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    pub commands: Vec<String>,
    /// Run the SQL in this file, then exit; "-" is stdin
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with = "commands")]
    pub file: Option<PathBuf>,
    /// Before a statement runs, check the bytes of every file that it may read: each is read whole once
    #[arg(long)]
    pub verify: bool,
    /// Output format [default: box on a terminal, csv otherwise]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Folder of the stream definitions, for streams without a batch yet [default: streams, if it exists]
    #[arg(long, env = "STREAMS_DIR", value_name = "FOLDER")]
    pub streams_dir: Option<PathBuf>,
    /// Where the lake is
    #[command(flatten)]
    pub lake: LakeArgs,
}
