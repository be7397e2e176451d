//! The command line and the stream's definition, checked together.

use lake::{
    Error,
    ids::StreamName,
    settings::{LakeUrls, Problems},
    stream::StreamDefinition,
};

use crate::args::{Command, ConsumerArgs};

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
    },
    /// Show how far the stream is.
    Status {
        /// The stream.
        stream: StreamName,
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
        Command::Status(look) | Command::Verify(look) => Some(&look.stream),
        Command::Task => None,
    };
    let parsed = name.map(|name| name.parse::<StreamName>().map_err(|error| error.to_string()));
    let stream = parsed.and_then(|parsed| problems.keep("--stream", parsed));
    let action = match (&args.command, stream) {
        (Command::Task, _) => Some(Action::Task),
        (Command::Run(run), Some(stream)) => {
            let definition = problems.absorb(StreamDefinition::load(&run.streams_dir, &stream))?;
            definition.map(|definition| Action::Run { definition: Box::new(definition), once: run.once })
        }
        (Command::Status(look), Some(stream)) => Some(Action::Status { stream, json: look.json }),
        (Command::Verify(look), Some(stream)) => Some(Action::Verify { stream, json: look.json }),
        (_, None) => None,
    };
    match (urls, action) {
        (Some(urls), Some(action)) if problems.is_empty() => Ok(Settings { urls, action }),
        _ => Err(Error::Settings(problems)),
    }
}
