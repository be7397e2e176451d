//! The `reader` program: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use lake::{ErrorKind, error::describe};
use program::{exit, logs};
use reader::{
    Error,
    args::ReaderArgs,
    session::Session,
    settings::{Settings, Source},
    shell::{Flow, Shell, prompt},
};
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    program::read_dotenv();
    let args = match ReaderArgs::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::on_usage(&error),
    };
    logs::init("warn");
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::fail(&describe(&error), ErrorKind::Bug),
    };
    match run(args, &runtime) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => exit::fail(&describe(&error), error.kind()),
    }
}

fn run(args: ReaderArgs, runtime: &Runtime) -> Result<(), Error> {
    let verify = args.verify;
    let settings = Settings::check(args)?;
    let mut session = Session::open(&settings, runtime.handle().clone())?;
    if verify {
        session.verify_files();
    }
    if settings.source == Source::Prompt {
        return prompt::run(Shell::new(session, settings.format), &settings.place(), runtime.handle());
    }
    let mut shell = Shell::new(session, settings.format);
    for script in settings.source.scripts()? {
        if shell.run_script(&script)? == Flow::Leave {
            break;
        }
    }
    Ok(())
}
