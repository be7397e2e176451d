//! The command line as it is typed; nothing is checked here.

use std::path::PathBuf;

use lake::settings::LakeArgs;

use crate::output::Format;

const AFTER_HELP: &str = "\
Without -c, -f or SQL on stdin, a prompt opens. Commands that open with a dot work in all of them: -c .help lists them.

Relations: bronze.<stream>, dead_letters.<stream>, checkpoints.batches, checkpoints.objects, checkpoints.files.
Each statement sees the newest commit; between BEGIN and COMMIT all see one. Times are shown in UTC (SET TimeZone).

S3 is read with the credentials, region and endpoint that the AWS_* variables and profiles give.

Exit codes: 0 done · 2 invalid arguments or settings, or SQL that failed · 3 the lake is damaged · 4 the store can't be \
reached · 5 a bug";

/// SQL over the committed rows and dead letters of a lake
#[derive(Debug, clap::Parser)]
#[command(version, about, after_help = AFTER_HELP)]
pub struct ReaderArgs {
    /// Run this SQL, or this command, then exit; may be repeated
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    pub commands: Vec<String>,
    /// Run the SQL in this file, then exit; "-" is stdin
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with = "commands")]
    pub file: Option<PathBuf>,
    /// How results are written [default: box on a terminal, csv otherwise]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Where the streams are defined, for those without a batch yet [default: streams, where it is there]
    #[arg(long, env = "STREAMS_DIR", value_name = "FOLDER")]
    pub streams_dir: Option<PathBuf>,
    /// Where the lake is
    #[command(flatten)]
    pub lake: LakeArgs,
}
