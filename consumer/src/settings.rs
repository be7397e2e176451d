//! What the command line and the stream's definition come to, checked together.

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

/// What to do, with all that it takes.
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
    /// Hold the ledger to the store.
    Verify {
        /// The stream.
        stream: StreamName,
        /// Whether to print JSON.
        json: bool,
    },
}

/// Checks everything the user said.
///
/// # Errors
/// [`Error::Settings`] with every mistake.
pub fn check(args: &ConsumerArgs) -> Result<Settings, Error> {
    let mut problems = Problems::default();
    let urls = problems.absorb(args.lake.check())?;
    let name = match &args.command {
        Command::Run(run) => &run.stream,
        Command::Status(look) | Command::Verify(look) => &look.stream,
    };
    let stream = problems.keep("--stream", name.parse::<StreamName>().map_err(|error| error.to_string()));
    let action = match (&args.command, stream) {
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
