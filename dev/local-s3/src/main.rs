//! The `local-s3` program: reads its arguments, and runs a server until a signal stops it.
//!
//! Invariant: only the URL goes to stdout; everything else goes to stderr.

mod args;
mod settings;

use std::error::Error as _;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use local_s3::{Config, Error, Server};
use tracing_subscriber::EnvFilter;

/// s3s logs every refused request as an error; for this server, a refusal is a normal response.
const DEFAULT_LOG: &str = "info,s3s=off";

fn main() -> ExitCode {
    let config = match settings::validate(args::Args::parse(), |name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("error: {problem}"));
            return ExitCode::from(local_s3::ErrorKind::Invalid.exit_code());
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(config)),
        Err(_) => Err(Error::Bug { doing: "starting the runtime" }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            eprintln!("error: {text}");
            ExitCode::from(error.kind().exit_code())
        }
    }
}

async fn run(config: Config) -> Result<(), Error> {
    // Listen for signals before the URL is printed: the process that reads it may send one at once.
    let stop = stop_signal()?;
    let faults = config.faults.faults.len();
    let server = Server::start(config).await?;
    // Keep serving even if the process that reads stdout is gone.
    if let Err(error) = writeln!(std::io::stdout(), "{}", server.endpoint()) {
        tracing::warn!(%error, "cannot print the URL");
    }
    tracing::info!(endpoint = server.endpoint(), faults, "ready");
    stop.await;
    tracing::info!(requests = %server.requests(), faults = %server.faults_injected(), "stopping");
    server.shutdown().await;
    Ok(())
}

#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()>, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|_| Error::Bug { doing: "listening for signals" });
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()>, Error> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
