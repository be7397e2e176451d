//! The `producer` program: arguments in, batches of events out, until it is stopped.

mod args;

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use lake::{clock::SystemClock, error::describe};
use producer::{
    Error, run,
    settings::{Raw, Settings},
};
use program::{exit, logs, signals};

fn main() -> ExitCode {
    program::read_dotenv();
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::on_usage(&error),
    };
    logs::init("info");
    // A version 4 UUID takes its randomness from the system.
    let (chance, _) = uuid::Uuid::new_v4().as_u64_pair();
    let settings = match Raw::from(args).check(chance) {
        Ok(settings) => settings,
        Err(error) => return exit::fail(&describe(&error), error.kind()),
    };
    match produce(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::fail(&describe(&error), error.kind()),
    }
}

fn produce(settings: Settings) -> Result<(), Error> {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Err(lake::Error::Bug(format!("cannot start the runtime: {error}")).into()),
    };
    let stop = {
        let _in_runtime = runtime.enter();
        signals::stop_token()
    };
    let outcome = runtime.block_on(run::run(settings, Arc::new(SystemClock), stop.cancelled_owned()));
    // Unfinished work, such as a write to a pipe that is not being read, must not keep the process alive.
    runtime.shutdown_background();
    outcome
}
