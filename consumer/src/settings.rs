//! The command line and the stream's definition, checked together.

use std::{net::SocketAddr, path::Path};

use lake::{
    Error,
    error::describe,
    ids::StreamName,
    settings::{LakeUrls, Problems},
    store::Transfers,
    stream::{InputNames, StreamDefinition},
};

use program::{Secret, backoff::Patience};

use crate::{
    args::{Command, ConsumerArgs, HintArgs, StatusArgs, TRANSFERS},
    hints::QueueUrl,
};

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
        /// Where hints come from.
        hints: HintSources,
        /// How long to wait for a store that fails.
        store_wait: Patience,
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

/// Where hints come from, if from anywhere.
#[derive(Debug, Default)]
pub struct HintSources {
    /// Where to listen for notifications.
    pub listen: Option<SocketAddr>,
    /// What a notification must be sent with.
    pub token: Option<Secret>,
    /// The queue that gets notifications.
    pub queue: Option<QueueUrl>,
}

/// The variable that says where to listen for hints.
pub const HINTS_LISTEN: &str = "HINTS_LISTEN";

/// Checks everything the user typed, and the variables that `variable` looks up.
///
/// # Errors
/// [`Error::Settings`] with every mistake.
pub fn check(args: &ConsumerArgs, variable: impl Fn(&str) -> Option<String>) -> Result<Settings, Error> {
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
            let store_wait = problems.keep("--store-wait", run.store_wait.parse());
            let definition = problems.absorb(StreamDefinition::load(&run.streams_dir, &stream))?;
            let transfers = problems.keep(TRANSFERS, transfers(run.transfers));
            let hints = hint_sources(&mut problems, &run.hints, variable("HINTS_TOKEN"));
            definition.map(Box::new).zip(transfers).zip(store_wait).map(|((definition, transfers), store_wait)| {
                Action::Run { definition, once: run.once, transfers, hints, store_wait }
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

fn hint_sources(problems: &mut Problems, args: &HintArgs, token: Option<String>) -> HintSources {
    let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let listen = set(&args.listen).and_then(|text| problems.keep(HINTS_LISTEN, listen_address(&text)));
    let queue = set(&args.queue).and_then(|text| problems.keep("HINTS_QUEUE", QueueUrl::parse(&text)));
    let token = token.as_deref().map(str::trim).filter(|token| !token.is_empty()).map(Secret::new);
    HintSources { listen, token, queue }
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    text.parse().map_err(|_| format!("{text:?} is not an IP address and a port; write it as 127.0.0.1:4041"))
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
