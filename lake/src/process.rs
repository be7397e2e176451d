//! What all programs do alike: read `.env`, log to stderr, exit with the code of the error's kind, notice a signal.

use std::{io::IsTerminal, path::Path, process::ExitCode};

use tracing_subscriber::EnvFilter;

use crate::error::{ErrorKind, describe};

/// The exit codes, for `--help`.
pub const EXIT_CODES: &str = "Exit codes: 0 done · 1 another consumer took over · 2 invalid arguments, settings or \
schema · 3 the lake is damaged or a verification failed · 4 the store can't be reached · 5 a bug";

/// Reads `.env` in the working folder, where there is one. What the environment says already stays as it is.
///
/// Call it first, before any thread: it sets environment variables. A file that can't be parsed is told on stderr.
pub fn read_dotenv() {
    match dotenvy::from_path(Path::new(".env")) {
        Ok(()) => {}
        Err(error) if error.not_found() => {}
        // The cause may quote the line, which may hold a secret.
        Err(_) => eprintln!("warning: .env can't be parsed from some line on; the lines after it are ignored"),
    }
}

/// Logs to stderr, at `level` and above unless `RUST_LOG` says otherwise; in colour on a terminal.
///
/// A panic is reported as a bug and ends the process with exit code 5: a wrong state is never papered over.
pub fn init(level: &str) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{level},aws_config=error,aws_smithy_runtime=warn")));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
    if let Err(error) = started {
        eprintln!("warning: logging was set up before: {error}");
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
pub fn print_result(text: &str) {
    use std::io::Write;
    let printed = writeln!(std::io::stdout().lock(), "{text}");
    if let Err(error) = printed
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        eprintln!("error: cannot write to stdout: {error}");
    }
}
