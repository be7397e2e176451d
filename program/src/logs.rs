//! Logs on stderr, and panics reported as bugs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::ErrorKind;

/// Logs to stderr by the directives in `default`, such as `info,s3s=off`, unless `RUST_LOG` has others. Colours only on
/// a terminal. A `RUST_LOG` that can't be parsed is reported and ignored.
///
/// A panic is reported as a bug and ends the process with exit code 5: a wrong state is never papered over.
pub fn init(default: &str) {
    let given = std::env::var_os("RUST_LOG").filter(|text| !text.is_empty());
    let parsed = given.map(|text| EnvFilter::try_new(text.to_string_lossy()).map_err(|error| error.to_string()));
    let (filter, problem) = match parsed {
        Some(Ok(filter)) => (Some(filter), None),
        Some(Err(problem)) => (None, Some(problem)),
        None => (None, None),
    };
    // A user who has credentials need not see the AWS SDK's warnings from its search for them.
    let default = format!("{default},aws_config=error,aws_smithy_runtime=warn");
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(default)))
        .with_writer(std::io::stderr)
        // A log whose pipe is closed ends nothing.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
    if let Err(error) = started {
        crate::output::note(format_args!("warning: logging was already set up: {error}"));
    }
    if let Some(problem) = problem {
        tracing::warn!("RUST_LOG can't be parsed and is ignored: {problem}");
    }
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        crate::output::note(format_args!("error: this is a bug: please report it with the lines above"));
        std::process::exit(i32::from(ErrorKind::Bug.exit_code()));
    }));
}
