//! The prompt: reads lines and shows results until the user leaves.
//!
//! Knows the terminal. Statements end with `;` and may span lines; commands start with a dot and are one line.

use std::{borrow::Cow, collections::BTreeSet, io::IsTerminal};

use reedline::{
    ColumnarMenu, DefaultHinter, Emacs, KeyCode, KeyModifiers, MenuBuilder, Prompt, PromptEditMode,
    PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal, ValidationResult, Validator,
    default_emacs_keybindings,
};
use tokio::runtime::Handle;

use super::{
    Flow, Shell,
    complete::{Names, texts},
    greeting::greeting,
    highlight::Colors,
    history::history,
    shows_colors,
};
use crate::{error::Error, script::is_complete};

const MENU: &str = "completions";
/// DuckDB draws a bar for statements that take longer than two seconds.
const PROGRESS_BAR: &str = "SET enable_progress_bar = true";
const KEYWORDS: &str = "SELECT keyword_name FROM duckdb_keywords()";

/// Asks for statements and runs them until the user leaves.
///
/// # Errors
/// [`Error::Terminal`] when the terminal can't be used; [`Error::Output`] when the results can't be written.
pub fn run(mut shell: Shell, place: &str, runtime: &Handle) -> Result<(), Error> {
    shell.at_prompt = true;
    let interrupt = shell.session.interrupt_handle();
    runtime.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            interrupt.interrupt();
        }
    });
    match shell.session.streams() {
        Ok(streams) => program::output::note(format_args!("{}", greeting(place, &streams)?)),
        // The lake may become readable later; until then, each statement reports the error.
        Err(error) => tell(&error),
    }
    let mut editor = editor(&shell)?;
    loop {
        match editor.read_line(&LakePrompt).map_err(Error::Terminal)? {
            Signal::Success(typed) => match shell.run_script(&typed) {
                Ok(Flow::Next) => {}
                Ok(Flow::Leave) => return Ok(()),
                Err(error @ Error::Output(_)) => return Err(error),
                Err(error) => tell(&error),
            },
            Signal::CtrlD => return Ok(()),
            _ => {}
        }
    }
}

fn tell(error: &Error) {
    program::output::note(format_args!("error: {}", lake::error::describe(error)));
}

fn editor(shell: &Shell) -> Result<Reedline, Error> {
    let connection = shell.session.second_connection()?;
    // The bar is drawn on stdout, among the results.
    if std::io::stdout().is_terminal() {
        shell.session.set(PROGRESS_BAR)?;
    }
    let keywords: BTreeSet<String> = texts(&connection, KEYWORDS).into_iter().collect();
    let mut keys = default_emacs_keybindings();
    let next = vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(next));
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    let menu = ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name(MENU)));
    let editor = Reedline::create()
        .with_validator(Box::new(UntilSemicolon))
        .with_history(history())
        .with_completer(Box::new(Names::new(connection, keywords.clone())))
        .with_menu(menu)
        .with_partial_completions(true)
        .with_quick_completions(true)
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .use_bracketed_paste(true)
        .with_ansi_colors(shows_colors());
    if !shows_colors() {
        return Ok(editor);
    }
    let hint = nu_ansi_term::Style::new().dimmed();
    Ok(editor
        .with_highlighter(Box::new(Colors { keywords }))
        .with_hinter(Box::new(DefaultHinter::default().with_style(hint))))
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
