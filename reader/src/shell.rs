//! The prompt: lines in, results out, until the person leaves.
//!
//! Knows the terminal. Statements end with `;` and may span lines; commands open with a dot and are one line.

use std::{borrow::Cow, fs, path::PathBuf};

use reedline::{
    FileBackedHistory, Prompt, PromptEditMode, PromptHistorySearch, Reedline, Signal, ValidationResult, Validator,
};
use tokio::runtime::Handle;

use crate::{
    error::Error,
    listing::TABLES,
    output::Format,
    script::{is_complete, statements},
    session::Session,
};

/// The most rows that a box shows at the prompt.
const ROWS_SHOWN: usize = 1_000;
const HISTORY_LINES: usize = 10_000;

const HELP: &str = "\
Statements end with a semicolon and may span lines. Each sees the newest commit; between BEGIN and COMMIT all see one.

  SELECT * FROM bronze.<stream>        the rows that passed
  SELECT * FROM dead_letters.<stream>  what did not, with the reason and the place it came from
  FROM checkpoints.batches             what was committed; also checkpoints.objects and checkpoints.files

  .tables        the relations of the lake
  .help          this text
  .quit, .exit   leave; Ctrl-D does too
Ctrl-C clears the line, or stops a statement that runs.";

/// Asks for statements and runs them until the person leaves.
///
/// # Errors
/// [`Error::Terminal`] when the terminal can't be used; [`Error::Output`] when nobody reads the results.
pub fn run(mut session: Session, format: Format, runtime: &Handle) -> Result<(), Error> {
    let interrupt = session.interrupt_handle();
    runtime.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            interrupt.interrupt();
        }
    });
    let mut editor = editor();
    eprintln!("Statements end with \";\"; .help tells more.");
    loop {
        match editor.read_line(&LakePrompt).map_err(Error::Terminal)? {
            Signal::Success(typed) => match typed.trim() {
                ".quit" | ".exit" => return Ok(()),
                ".help" => eprintln!("{HELP}"),
                ".tables" => answer(&mut session, TABLES, format)?,
                other if other.starts_with('.') => eprintln!("error: {other:?} is no command; .help tells which are"),
                _ => answer(&mut session, &typed, format)?,
            },
            Signal::CtrlD => return Ok(()),
            _ => {}
        }
    }
}

/// Runs what was typed, up to the first statement that fails; only a lost terminal ends the session.
fn answer(session: &mut Session, typed: &str, format: Format) -> Result<(), Error> {
    for statement in statements(typed) {
        match session.run(statement, &mut *format.to_stdout(ROWS_SHOWN)) {
            Ok(()) => {}
            Err(error @ Error::Output(_)) => return Err(error),
            Err(error) => {
                eprintln!("error: {}", lake::error::describe(&error));
                break;
            }
        }
    }
    Ok(())
}

fn editor() -> Reedline {
    let editor = Reedline::create().with_validator(Box::new(UntilSemicolon));
    match history_file().and_then(|file| FileBackedHistory::with_file(HISTORY_LINES, file).ok()) {
        Some(history) => editor.with_history(Box::new(history)),
        None => {
            eprintln!("warning: there is no place for the history; it ends with this session");
            editor
        }
    }
}

/// The history's file, made so that nobody else can read it: what is typed may hold secrets.
fn history_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    let folder = state.join("sluice");
    fs::create_dir_all(&folder).ok()?;
    let file = folder.join("history");
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(&file).ok()?;
    #[cfg(unix)]
    opened.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).ok()?;
    Some(file)
}

struct UntilSemicolon;

impl Validator for UntilSemicolon {
    fn validate(&self, typed: &str) -> ValidationResult {
        if typed.trim_start().starts_with('.') || is_complete(typed) {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}

struct LakePrompt;

impl Prompt for LakePrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("lake")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("  ... ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(search: {}) ", search.term))
    }
}
