//! The shell: runs steps in order, the same way at a prompt and in a script.
//!
//! Knows where results go and in which format. Invariant: results go to stdout or to the file that the user named,
//! everything else to stderr.

pub mod commands;
pub mod prompt;

mod complete;
mod greeting;
mod highlight;
mod history;

use std::{
    fs::File,
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    output::{Format, Layout, Sink},
    script::{Statement, Step, steps},
    session::Session,
};

/// The most rows that a box shows on a screen.
const ROWS_SHOWN: usize = 40;
/// At a prompt, the time of longer statements is shown.
const LONG: Duration = Duration::from_secs(1);

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Run the next step.
    Next,
    /// Leave the shell.
    Leave,
}

/// A session, and how its results are written.
pub struct Shell {
    session: Session,
    format: Option<Format>,
    file: Option<File>,
    tells_time: bool,
    at_prompt: bool,
    /// How deep the running script is nested in others by `.read`.
    depth: usize,
}

impl Shell {
    /// A shell over a session. Without a format, a terminal gets boxes and everything else CSV.
    pub fn new(session: Session, format: Option<Format>) -> Self {
        Self { session, format, file: None, tells_time: false, at_prompt: false, depth: 0 }
    }

    /// Runs the steps of a script until one fails.
    ///
    /// # Errors
    /// As [`Session::run`]; [`Error::Command`] for an unknown or wrong command.
    pub fn run_script(&mut self, script: &str) -> Result<Flow, Error> {
        for step in steps(script) {
            let flow = match step {
                Step::Sql(statement) => self.answer(statement)?,
                Step::Command(line) => commands::run(self, line)?,
            };
            if flow == Flow::Leave {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn answer(&mut self, statement: Statement<'_>) -> Result<Flow, Error> {
        let started = Instant::now();
        let (format, file) = (self.format(), self.file.as_ref());
        let mut sink = sink(format, file)?;
        let done = self.session.run(statement, &mut *sink);
        drop(sink);
        let took = started.elapsed();
        if self.tells_time || self.at_prompt && took >= LONG {
            program::output::note(format_args!("{:.3} s", took.as_secs_f64()));
        }
        done.map(|()| Flow::Next)
    }

    fn format(&self) -> Format {
        let is_seen = self.file.is_none() && io::stdout().is_terminal();
        self.format.unwrap_or(if is_seen { Format::Box } else { Format::Csv })
    }
}

/// Where the next result goes.
fn sink(format: Format, file: Option<&File>) -> Result<Box<dyn Sink>, Error> {
    match file {
        Some(file) => Ok(format.to(io::BufWriter::new(file.try_clone()?), Layout::WHOLE)),
        None => Ok(format.to_stdout(screen())),
    }
}

/// How much of the screen a result may use; unlimited if stdout is not a terminal.
fn screen() -> Layout {
    if !io::stdout().is_terminal() {
        return Layout::WHOLE;
    }
    let width = crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns)).filter(|width| *width > 0);
    Layout { rows_max: ROWS_SHOWN, width, colors: shows_colors() }
}

/// Whether to use colours: see no-color.org.
fn shows_colors() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
