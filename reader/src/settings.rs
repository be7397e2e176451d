//! From the command line to checked settings.

use std::{
    io::{self, IsTerminal, Read},
    path::PathBuf,
};

use lake::{
    keys::ZoneName,
    settings::{LakeUrls, Problems, StoreUrl},
};

use crate::{args::ReaderArgs, error::Error, output::Format};

/// The default folder of the stream definitions; it need not exist.
const STREAMS_DIR_DEFAULT: &str = "streams";

/// What to run, on which lake, in which output format.
#[derive(Debug)]
pub struct Settings {
    /// The zones of the lake.
    pub urls: LakeUrls,
    /// Everything below this URL also belongs to the lake; `None` if each zone has a place of its own.
    pub lake_url: Option<StoreUrl>,
    /// The folder of the stream definitions.
    pub streams_dir: PathBuf,
    /// Where the SQL comes from.
    pub source: Source,
    /// The output format, if one was given.
    pub format: Option<Format>,
}

/// Where the SQL comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From `-c`, in order.
    Commands(Vec<String>),
    /// From a file.
    File(PathBuf),
    /// From stdin, to its end.
    Stdin,
    /// From a user at a terminal.
    Prompt,
}

impl Settings {
    /// Checks the arguments.
    ///
    /// # Errors
    /// [`Error::Lake`] with all invalid settings.
    pub fn check(args: ReaderArgs) -> Result<Self, Error> {
        let mut problems = Problems::default();
        let urls = problems.absorb(args.lake.check())?;
        let streams_dir = args.streams_dir.filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = streams_dir.as_ref().filter(|folder| !folder.is_dir()) {
            problems.add("STREAMS_DIR", format!("{} is not a folder", folder.display()));
        }
        let Some(urls) = urls.filter(|_| problems.is_empty()) else {
            return Err(lake::Error::Settings(problems).into());
        };
        let lake_url = args.lake.lake_url.as_deref().and_then(|text| StoreUrl::parse(text).ok());
        let source = match args.file {
            Some(file) if file.as_os_str() == "-" => Source::Stdin,
            Some(file) => Source::File(file),
            None if !args.commands.is_empty() => Source::Commands(args.commands),
            None if io::stdin().is_terminal() => Source::Prompt,
            None => Source::Stdin,
        };
        let streams_dir = streams_dir.unwrap_or_else(|| PathBuf::from(STREAMS_DIR_DEFAULT));
        Ok(Self { urls, lake_url, streams_dir, source, format: args.format })
    }
}

impl Settings {
    /// Where the lake is, for display.
    pub fn place(&self) -> String {
        self.lake_url.as_ref().unwrap_or(&self.urls.zone(ZoneName::Bronze).1).to_string()
    }
}

impl Source {
    /// The scripts to run, in order; empty for a prompt.
    ///
    /// # Errors
    /// [`Error::Script`] when the file or stdin can't be read or is not UTF-8.
    pub fn scripts(&self) -> Result<Vec<String>, Error> {
        let failed = |name: String| move |source| Error::Script { name, source };
        match self {
            Self::Commands(commands) => Ok(commands.clone()),
            Self::File(file) => Ok(vec![std::fs::read_to_string(file).map_err(failed(file.display().to_string()))?]),
            Self::Stdin => {
                let mut script = String::new();
                io::stdin().read_to_string(&mut script).map_err(failed("stdin".to_owned()))?;
                Ok(vec![script])
            }
            Self::Prompt => Ok(Vec::new()),
        }
    }
}
