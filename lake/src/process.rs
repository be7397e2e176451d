//! What all programs do alike: read `.env`, log to stderr, exit with the code of the error's kind, notice a signal.

use std::{io::IsTerminal, path::Path, process::ExitCode};

use tracing_subscriber::EnvFilter;

use crate::{
    dotenv,
    error::{Error, ErrorKind, describe},
};

/// The exit codes, for `--help`.
pub const EXIT_CODES: &str = "Exit codes: 0 done · 1 another consumer took over · 2 invalid arguments, settings or \
schema · 3 the lake is damaged or a verification failed · 4 the store can't be reached · 5 a bug";

/// Reads `.env` in the working folder, where there is one. What the environment says already stays as it is.
///
/// Call it first, before any thread: it sets environment variables. A file that can't be parsed ends the process with
/// exit code 2: without half of its settings a program could do its work somewhere else.
pub fn read_dotenv() {
    if let Err(what) = dotenv::load(Path::new(".env")) {
        eprintln!("error: .env: {what}");
        std::process::exit(i32::from(ErrorKind::Invalid.exit_code()));
    }
}

/// Logs to stderr, at `level` and above unless `RUST_LOG` says otherwise; in colour on a terminal. A `RUST_LOG` that
/// can't be parsed is told and ignored.
///
/// A panic is reported as a bug and ends the process with exit code 5: a wrong state is never papered over.
pub fn init(level: &str) {
    let said = std::env::var_os("RUST_LOG").filter(|text| !text.is_empty());
    let parsed = said.map(|text| EnvFilter::try_new(text.to_string_lossy()).map_err(|error| error.to_string()));
    let (filter, problem) = match parsed {
        Some(Ok(filter)) => (Some(filter), None),
        Some(Err(problem)) => (None, Some(problem)),
        None => (None, None),
    };
    let filter = filter.unwrap_or_else(|| EnvFilter::new(format!("{level},aws_config=error,aws_smithy_runtime=warn")));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
    if let Err(error) = started {
        eprintln!("warning: logging was set up before: {error}");
    }
    if let Some(problem) = problem {
        tracing::warn!("RUST_LOG can't be parsed and is ignored: {problem}");
    }
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        eprintln!("error: this is a bug: please report it with the lines above");
        std::process::exit(i32::from(ErrorKind::Bug.exit_code()));
    }));
}

/// Prints an error with its causes on stderr and tells its exit code.
pub fn fail(error: &dyn std::error::Error, kind: ErrorKind) -> ExitCode {
    eprintln!("error: {}", describe(error));
    ExitCode::from(kind.exit_code())
}

/// Ends the process on a wrong command line: exit 2, or 0 for `--help` and `--version`.
pub fn exit_on_usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    let failed = error.use_stderr() || printed.is_err();
    ExitCode::from(if failed { ErrorKind::Invalid.exit_code() } else { 0 })
}

/// Waits until the process is asked to stop, by Ctrl-C or SIGTERM.
pub async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Prints a result on stdout. Whoever reads it may stop early: a closed pipe is no error.
///
/// # Errors
/// [`Error::Stdout`] when it can't be written, and so whoever asked for it does not get it.
pub fn print_result(text: &str) -> Result<(), Error> {
    use std::io::{ErrorKind, Write};
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => Err(Error::Stdout { source }),
        _ => Ok(()),
    }
}
