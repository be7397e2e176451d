//! The `consumer` program: arguments in, exit code out.

use std::{io, net::SocketAddr, process::ExitCode, sync::Arc, thread::available_parallelism};

use clap::Parser;
use consumer::{
    Error,
    args::ConsumerArgs,
    execute::{ChildProcesses, Isolation, answer_parent},
    hints::{Hints, Intake, Listener, Queue},
    inspect::{StatusFollower, verify},
    owner::Owner,
    pipeline::{Pipeline, RunSettings},
    settings::{self, Action, HintSources},
};
use lake::{
    ErrorKind,
    clock::{Clock, SystemClock},
    error::describe,
    ledger::Ledger,
    settings::Problems,
    store::Lake,
};
use program::{exit, logs, output, signals};

fn main() -> ExitCode {
    program::memory::limit_arenas();
    program::read_dotenv();
    let args = match ConsumerArgs::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::on_usage(&error),
    };
    logs::init("info");
    let ended =
        settings::check(&args, |name| std::env::var(name).ok()).map_err(Error::from).and_then(
            |settings| match settings.action {
                Action::Task => {
                    answer_parent(async || Ok(Lake::open(&settings.urls).await?)).map(|()| ExitCode::SUCCESS)
                }
                action => run(settings.urls, action),
            },
        );
    ended.unwrap_or_else(|error| exit::fail(&describe(&error), error.kind()))
}

fn run(urls: lake::settings::LakeUrls, action: Action) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Bug(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(act(urls, action));
    // Abandoned work must not delay the exit: the next start does it again.
    runtime.shutdown_background();
    ended
}

async fn act(urls: lake::settings::LakeUrls, action: Action) -> Result<ExitCode, Error> {
    match action {
        Action::Run { definition, once, transfers, hints: sources, store_wait } => {
            let lake = Lake::open(&urls).await?.with_transfers(transfers);
            let hints = Hints::default();
            // Draining never waits, so there is nothing to wake.
            if !once {
                let intake = Intake::new(lake.clone(), definition.name.clone(), hints.clone());
                take_hints(sources, intake).await?;
            }
            let workers = available_parallelism().map_or(1, usize::from);
            let isolation: Arc<dyn Isolation> = Arc::new(ChildProcesses::new(lake.clone(), workers)?);
            let owner = Owner::this_process();
            let settings = RunSettings { once, workers, isolation: Some(isolation), owner, hints, store_wait };
            let stop = signals::stop_token();
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let pipeline = Pipeline::open_patiently(&lake, &definition, &clock, &settings);
            let pipeline = tokio::select! {
                opened = pipeline => opened?,
                () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
            };
            pipeline.run(stop.cancelled()).await?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Status { stream, inputs, json } => {
            let ledger = Ledger::new(Lake::open_to_look(&urls).await?, stream);
            let status = StatusFollower::of_inputs(ledger, *inputs).look(&SystemClock).await?;
            print(json, &status, status.text())
        }
        Action::Verify { stream, json } => {
            let found = verify(&Ledger::new(Lake::open_to_look(&urls).await?, stream)).await?;
            print(json, &found, found.text())?;
            Ok(if found.ok { ExitCode::SUCCESS } else { ErrorKind::Corrupt.into() })
        }
        Action::Task => Err(Error::Bug("a task runs without this runtime".to_owned())),
    }
}

/// Starts to take hints, in the background.
async fn take_hints(sources: HintSources, intake: Intake) -> Result<(), Error> {
    if let Some(address) = sources.listen {
        if sources.token.is_none() && !address.ip().is_loopback() {
            tracing::warn!(%address, "anyone who reaches this address can give hints; HINTS_TOKEN restricts it");
        }
        let listener = Listener::bind(address, sources.token).await.map_err(|error| cannot_listen(address, &error))?;
        tracing::info!(%address, "listening for hints");
        tokio::spawn(listener.serve(intake.clone()));
    }
    if let Some(url) = sources.queue {
        tracing::info!(queue = %url, "reading hints from the queue");
        tokio::spawn(Queue::open(url).await.follow(intake));
    }
    Ok(())
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Error {
    let mut problems = Problems::default();
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{address} is taken by another program; each stream's consumer needs a port of its own")
        }
        _ => format!("cannot listen on {address}: {error}"),
    };
    problems.add(settings::HINTS_LISTEN, why);
    Error::Lake(lake::Error::Settings(problems))
}

fn print(json: bool, value: &impl serde::Serialize, text: String) -> Result<ExitCode, Error> {
    let text = if json {
        serde_json::to_string_pretty(value).map_err(|error| Error::Bug(error.to_string()))?
    } else {
        output::escape_control(&text)
    };
    output::print_result(&text).map_err(|source| lake::Error::Stdout { source })?;
    Ok(ExitCode::SUCCESS)
}
