//! Text for people: results on stdout, errors with their causes on one line, nothing that controls a terminal.

use std::{error::Error, fmt, io};

/// Prints a result on stdout. A reader may stop early: a closed pipe is not an error.
///
/// # Errors
/// The system's error when the result can't be written.
pub fn print_result(text: &str) -> io::Result<()> {
    use io::Write;
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Writes a line on stderr, as `note(format_args!("…"))`. If it can't be written, for example since its pipe is closed, it
/// is lost: that must not end the program, or change its exit code.
pub fn note(line: fmt::Arguments<'_>) {
    use io::Write;
    let _lost = writeln!(io::stderr().lock(), "{line}").is_err();
}

/// An error and its causes on one line, each once, without characters that a terminal would act on.
pub fn describe(error: &(dyn Error + 'static)) -> String {
    describe_with(error, |_| None)
}

/// Like [`describe`]; if `words` returns a text for a cause, that text replaces the cause and all below it.
pub fn describe_with(
    error: &(dyn Error + 'static),
    words: impl Fn(&(dyn Error + 'static)) -> Option<String>,
) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let known = words(error);
        let is_last = known.is_some();
        let words = known.unwrap_or_else(|| error.to_string());
        // Some libraries print their cause as part of their own text.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = if is_last { None } else { error.source() };
    }
    escape_control(&text)
}

/// The text with every character except the line feed escaped that a terminal would act on.
pub fn escape_control(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) && c != '\n' {
            escaped.extend(c.escape_unicode());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether a terminal acts on a character instead of showing it: control characters, and those that change the text
/// direction (Unicode Standard Annex 9, section 2).
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
