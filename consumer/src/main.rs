//! The `consumer` program: arguments in, exit code out.

use std::{process::ExitCode, sync::Arc, thread::available_parallelism};

use clap::Parser;
use consumer::{
    Error,
    args::ConsumerArgs,
    pipeline::{Pipeline, RunSettings},
    settings::{self, Action, Settings},
    status, verify,
};
use lake::{ErrorKind, clock::SystemClock, ledger::Ledger, process, store::Lake};

fn main() -> ExitCode {
    process::read_dotenv();
    let args = match ConsumerArgs::try_parse() {
        Ok(args) => args,
        Err(error) => return process::exit_on_usage(&error),
    };
    process::init("info");
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return process::fail(&error, ErrorKind::Bug),
    };
    let ended = runtime.block_on(run(&args));
    // Work that was abandoned must not hold the exit up: the next start does it again.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(error) => process::fail(&error, error.kind()),
    }
}

async fn run(args: &ConsumerArgs) -> Result<ExitCode, Error> {
    let Settings { urls, action } = settings::check(args)?;
    let lake = match action {
        Action::Run { .. } => Lake::open(&urls).await?,
        Action::Status { .. } | Action::Verify { .. } => Lake::open_to_look(&urls).await?,
    };
    match action {
        Action::Run { definition, once } => {
            let workers = available_parallelism().map_or(1, usize::from);
            let settings = RunSettings { once, workers };
            let pipeline = Pipeline::open(lake, *definition, Arc::new(SystemClock), settings);
            let stop = process::stop_signal();
            tokio::pin!(stop);
            let pipeline = tokio::select! {
                opened = pipeline => opened?,
                () = &mut stop => return Ok(ExitCode::SUCCESS),
            };
            pipeline.run(stop).await?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Status { stream, json } => {
            let status = status::status(&Ledger::new(lake, stream), &SystemClock).await?;
            print(json, &status, status.text())
        }
        Action::Verify { stream, json } => {
            let found = verify::verify(&Ledger::new(lake, stream)).await?;
            print(json, &found, found.text())?;
            let kind = if found.ok { 0 } else { ErrorKind::Corrupt.exit_code() };
            Ok(ExitCode::from(kind))
        }
    }
}

fn print(json: bool, value: &impl serde::Serialize, text: String) -> Result<ExitCode, Error> {
    let text = if json {
        serde_json::to_string_pretty(value).map_err(|error| Error::Bug(error.to_string()))?
    } else {
        lake::error::escape_control(&text)
    };
    process::print_result(&text)?;
    Ok(ExitCode::SUCCESS)
}
