//! The command line and the stream's definition, checked together.

use std::path::Path;

use lake::{
    Error,
    error::describe,
    ids::StreamName,
    settings::{LakeUrls, Problems},
    store::Transfers,
    stream::{InputNames, StreamDefinition},
};

use crate::args::{Command, ConsumerArgs, StatusArgs, TRANSFERS};

/// A checked command.
#[derive(Debug)]
pub struct Settings {
    /// Where the lake is.
    pub urls: LakeUrls,
    /// What to do.
    pub action: Action,
}

/// What to do, with everything it needs.
#[derive(Debug)]
pub enum Action {
    /// Consume the stream.
    Run {
        /// The stream.
        definition: Box<StreamDefinition>,
        /// Whether to return when nothing new is found.
        once: bool,
        /// How many objects are read, written and copied at a time.
        transfers: Transfers,
    },
    /// Show how far the stream is.
    Status {
        /// The stream.
        stream: StreamName,
        /// Which of its objects are inputs.
        inputs: Box<InputNames>,
        /// Whether to print JSON.
        json: bool,
    },
    /// Run one task for a parent process.
    Task,
    /// Compare the ledger with the store.
    Verify {
        /// The stream.
        stream: StreamName,
        /// Whether to print JSON.
        json: bool,
    },
}

/// Checks everything the user typed.
///
/// # Errors
/// [`Error::Settings`] with every mistake.
pub fn check(args: &ConsumerArgs) -> Result<Settings, Error> {
    let mut problems = Problems::default();
    let urls = problems.absorb(args.lake.check())?;
    let name = match &args.command {
        Command::Run(run) => Some(&run.stream),
        Command::Status(StatusArgs { look, .. }) | Command::Verify(look) => Some(&look.stream),
        Command::Task => None,
    };
    let parsed = name.map(|name| name.parse::<StreamName>().map_err(|error| error.to_string()));
    let stream = parsed.and_then(|parsed| problems.keep("--stream", parsed));
    let action = match (&args.command, stream) {
        (Command::Task, _) => Some(Action::Task),
        (Command::Run(run), Some(stream)) => {
            let definition = problems.absorb(StreamDefinition::load(&run.streams_dir, &stream))?;
            let transfers = problems.keep(TRANSFERS, transfers(run.transfers));
            definition.map(Box::new).zip(transfers).map(|(definition, transfers)| Action::Run {
                definition,
                once: run.once,
                transfers,
            })
        }
        (Command::Status(status), Some(stream)) => {
            let inputs = Box::new(inputs(&status.streams_dir, &stream));
            Some(Action::Status { stream, inputs, json: status.look.json })
        }
        (Command::Verify(look), Some(stream)) => Some(Action::Verify { stream, json: look.json }),
        (_, None) => None,
    };
    match (urls, action) {
        (Some(urls), Some(action)) if problems.is_empty() => Ok(Settings { urls, action }),
        _ => Err(Error::Settings(problems)),
    }
}

/// How many objects are read, written and copied at a time.
fn transfers(most: u64) -> Result<Transfers, String> {
    let limit = Transfers::LIMIT;
    let fits = usize::try_from(most).ok().filter(|most| (1..=limit).contains(most));
    fits.map(Transfers::new).ok_or_else(|| format!("{most} is not from 1 to {limit}"))
}

/// Which of a stream's objects are inputs. A status needs no definition of its stream: without one, or with one that can't
/// be read, it is as without settings.
fn inputs(streams_dir: &Path, stream: &StreamName) -> InputNames {
    if !streams_dir.join(format!("{stream}.toml")).is_file() {
        return InputNames::default();
    }
    match StreamDefinition::load(streams_dir, stream) {
        Ok(definition) => definition.inputs,
        Err(error) => {
            tracing::warn!("source.ignore and source.include are not known: {}", describe(&error));
            InputNames::default()
        }
    }
}
