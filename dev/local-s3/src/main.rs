//! The `local-s3` program: reads its arguments, and runs a server until a signal stops it.
//!
//! Invariant: only the URL goes to stdout; everything else goes to stderr.

mod args;
mod settings;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use local_s3::{Config, Error, Server};
use program::{ErrorKind, exit, logs, output, signals};

/// s3s logs every refused request as an error; for this server, a refusal is a normal response.
const DEFAULT_LOG: &str = "info,s3s=off";

fn main() -> ExitCode {
    program::read_dotenv();
    let config = match settings::validate(args::Args::parse(), |name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(problems) => {
            problems.iter().for_each(|problem| output::note(format_args!("error: {problem}")));
            return ErrorKind::Invalid.into();
        }
    };
    logs::init(DEFAULT_LOG);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(config)),
        Err(_) => Err(Error::Bug { doing: "starting the runtime" }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::fail(&output::describe(&error), error.kind()),
    }
}

async fn run(config: Config) -> Result<(), Error> {
    // Listen for signals before the URL is printed: the process that reads it may send one at once.
    let stop = signals::stop_token();
    let faults = config.faults.faults.len();
    let server = Server::start(config).await?;
    // Keep serving even if the process that reads stdout is gone.
    if let Err(error) = writeln!(std::io::stdout(), "{}", server.endpoint()) {
        tracing::warn!(%error, "cannot print the URL");
    }
    tracing::info!(endpoint = server.endpoint(), faults, "ready");
    stop.cancelled().await;
    let notifications_lost = server.notifications_lost();
    tracing::info!(requests = %server.requests(), faults = %server.faults_injected(), notifications_lost, "stopping");
    server.shutdown().await;
    Ok(())
}
