//! The commands that start with a dot.
//!
//! A command that shows something of the lake is a statement that the user could have typed. Invariant: an unknown
//! command, or one with wrong arguments, fails like a wrong statement.

use std::{fs::File, io::Write};

use clap::ValueEnum;

use super::{Flow, Shell};
use crate::{error::Error, listing, output::Format, script::Statement};

/// How deep scripts may be nested, so that one that reads itself ends.
const DEPTH_MAX: usize = 16;

/// The commands, their arguments, and what they do.
pub const COMMANDS: [(&str, &str, &str); 11] = [
    (".tables", "", "the relations of the lake"),
    (".schema", "[RELATION]", "the columns of all relations, or of one"),
    (".dead", "[STREAM]", "dead letters by reason and code, with an example of each"),
    (".lag", "", "what has landed and is not committed, by stream"),
    (".mode", "[FORMAT]", "show or set the output format: box, csv, tsv, json, jsonlines, markdown or line"),
    (".output", "[FILE]", "write results to a file from now on; without one, to stdout again"),
    (".read", "FILE", "run the SQL in a file"),
    (".timer", "on|off", "show how long each statement takes"),
    (".help", "", "this text"),
    (".quit", "", "leave; so does Ctrl-D"),
    (".exit", "", "the same"),
];

const ABOUT_SQL: &str = "\
Statements end with a semicolon and may span lines.
Each sees the newest commit; between BEGIN and COMMIT, all see the same one.

  FROM bronze.<stream>        the rows that passed
  FROM dead_letters.<stream>  records and objects that did not, with the reason and the source
  FROM checkpoints.batches    what was committed; also checkpoints.files and checkpoints.objects

The shell never writes to the lake. COPY (…) TO 'file' writes elsewhere. Ctrl-C stops only the running statement.
";

/// Runs a command.
///
/// # Errors
/// [`Error::Command`] if it is unknown or has wrong arguments; otherwise as [`crate::session::Session::run`].
pub fn run(shell: &mut Shell, line: &str) -> Result<Flow, Error> {
    let line = line.trim_end().trim_end_matches(';');
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match (name, argument(rest).as_deref()) {
        (".quit" | ".exit", None) => return Ok(Flow::Leave),
        (".help", None) => shell.print(&help())?,
        (".tables", None) => shell.show(listing::TABLES)?,
        (".schema", relation) => shell.show(&listing::schema(relation))?,
        (".dead", stream) => shell.show_dead_letters(stream)?,
        (".lag", None) => shell.show_lag()?,
        (".mode", None) => shell.print(&format!("{}\n", name_of(shell.format())))?,
        (".mode", Some(format)) => shell.format = Some(format_of(format)?),
        (".output", None) => shell.file = None,
        (".output", Some(file)) => shell.write_to(file)?,
        (".read", Some(file)) => return shell.read(file),
        (".timer", Some(word @ ("on" | "off"))) => shell.tells_time = word == "on",
        _ => return Err(wrong(name)),
    }
    Ok(Flow::Next)
}

fn wrong(name: &str) -> Error {
    Error::Command(match COMMANDS.iter().find(|(command, ..)| *command == name) {
        Some((name, "", _)) => format!("{name} takes no argument"),
        Some((name, takes, _)) => format!("{name} takes {takes}"),
        None => format!("{name:?} is not a command; .help lists them"),
    })
}

/// The text after a command's name, without the quotes around it.
fn argument(rest: &str) -> Option<String> {
    let text = rest.trim();
    let unquoted = ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    Some(unquoted.unwrap_or(text).to_owned()).filter(|text| !text.is_empty())
}

fn help() -> String {
    let line = |(name, takes, does): &(&str, &str, &str)| format!("  {:<20}  {does}\n", format!("{name} {takes}"));
    format!("{ABOUT_SQL}\n{}", COMMANDS.iter().map(line).collect::<String>())
}

fn format_of(name: &str) -> Result<Format, Error> {
    Format::from_str(name, true)
        .map_err(|_| Error::Command(format!("{name:?} is not a format; .mode takes {}", format_names().join(", "))))
}

/// The names of the formats.
pub(super) fn format_names() -> Vec<String> {
    Format::value_variants().iter().map(|format| name_of(*format)).collect()
}

fn name_of(format: Format) -> String {
    format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl Shell {
    /// Writes a text that is not a table to where results go.
    fn print(&mut self, text: &str) -> Result<(), Error> {
        match &mut self.file {
            Some(file) => file.write_all(text.as_bytes())?,
            None => std::io::stdout().write_all(text.as_bytes())?,
        }
        Ok(())
    }

    fn show(&mut self, sql: &str) -> Result<(), Error> {
        self.answer(Statement { text: sql }).map(drop)
    }

    /// Shows a statement's result, and at a prompt also the statement, so that the user can change it.
    fn show_with_sql(&mut self, sql: &str) -> Result<(), Error> {
        if self.at_prompt {
            program::output::note(format_args!("{sql};"));
        }
        self.show(sql)
    }

    fn show_dead_letters(&mut self, stream: Option<&str>) -> Result<(), Error> {
        let all = self.session.streams()?;
        let is_chosen = |name: &str, dead: i64| stream.map_or(dead > 0, |wanted| wanted == name);
        let chosen = all.into_iter().filter(|stream| is_chosen(&stream.name, stream.dead_letters));
        let chosen: Vec<String> = chosen.map(|stream| stream.name).collect();
        if chosen.is_empty() {
            if let Some(stream) = stream {
                return Err(Error::Command(format!("stream {stream:?} does not exist; .tables lists them")));
            }
            self.session.check_complete()?;
            program::output::note(format_args!("No dead letters."));
            return Ok(());
        }
        self.show_with_sql(&listing::dead_letters(&chosen))?;
        // The others are shown first.
        if stream.is_none() { self.session.check_complete() } else { Ok(()) }
    }

    fn show_lag(&mut self) -> Result<(), Error> {
        self.session.list_raw_objects()?;
        self.show_with_sql(listing::LAG)?;
        self.session.check_complete()
    }

    fn write_to(&mut self, file: &str) -> Result<(), Error> {
        self.session.check_target(file)?;
        let failed = |source| Error::Write { name: file.to_owned(), source };
        self.file = Some(File::create(file).map_err(failed)?);
        Ok(())
    }

    fn read(&mut self, file: &str) -> Result<Flow, Error> {
        if self.depth >= DEPTH_MAX {
            return Err(Error::Command(format!(".read {file}: scripts are nested {DEPTH_MAX} deep")));
        }
        let failed = |source| Error::Script { name: file.to_owned(), source };
        let script = std::fs::read_to_string(file).map_err(failed)?;
        self.depth += 1;
        let flow = self.run_script(&script);
        self.depth -= 1;
        flow
    }
}
