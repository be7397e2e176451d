//! Reads `.env`: variables that the environment does not have.
//!
//! Knows what dotenvy accepts. Invariant: a file counts completely or not at all, and its text is never repeated, since
//! it may be a secret.

use std::{
    cell::Cell,
    collections::HashSet,
    io::{self, Read},
    path::Path,
};

use crate::ErrorKind;

/// Reads `.env` in the working folder, if there is one. Variables that the environment already has stay as they are.
///
/// Call it first, before any thread: it sets environment variables. A file that can't be parsed ends the process with
/// exit code 2: without half of its settings a program could work on the wrong lake.
pub fn read_dotenv() {
    if let Err(what) = load(Path::new(".env")) {
        crate::output::note(format_args!("error: .env: {what}"));
        std::process::exit(i32::from(ErrorKind::Invalid.exit_code()));
    }
}

/// Sets the variables that the file has and the environment does not. A missing file has none.
///
/// # Errors
/// What is wrong with the file, and in which line.
fn load(path: &Path) -> Result<(), String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("can't be read: {error}")),
    };
    check(text.strip_prefix('\u{feff}').unwrap_or(&text))?;
    dotenvy::from_read(text.as_bytes()).map_err(|_| "can't be parsed".to_owned())
}

fn check(text: &str) -> Result<(), String> {
    let read = Cell::new(0);
    let mut entries = dotenvy::from_read_iter(LineByLine { text: text.as_bytes(), read: &read });
    let mut defined = HashSet::new();
    loop {
        let before = read.get();
        let Some(entry) = entries.next() else { return Ok(()) };
        let is_entry = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let lines: Vec<&str> = text[before..read.get()].lines().collect();
        let skipped = lines.iter().take_while(|line| !is_entry(line)).count();
        let number = text[..before].lines().count() + skipped + 1;
        let Ok((name, _)) = entry else {
            let how = "write NAME=value, and quotes around a value with spaces";
            return Err(format!("line {number} can't be parsed; {how}"));
        };
        if refers_to_unknown(&lines[skipped..].join("\n"), &defined) {
            let how = "set it before that line, or write \\$ for a plain dollar sign";
            return Err(format!("line {number} refers to a variable that is not set; {how}"));
        }
        defined.insert(name);
    }
}

/// Whether a `$` in the entry refers to a variable that is not set, which dotenvy would silently leave out.
fn refers_to_unknown(entry: &str, defined: &HashSet<String>) -> bool {
    let mut quote = None;
    let mut after_space = false;
    let mut characters = entry.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => drop(characters.next()),
            (None, '\'' | '"') => quote = Some(character),
            (None, '#') if after_space => return false,
            (_, '$') => {
                let name = referred(&mut characters);
                if std::env::var(&name).is_err() && !defined.contains(&name) {
                    return true;
                }
            }
            _ => {}
        }
        after_space = character.is_whitespace();
    }
    false
}

/// The name after a `$`, as dotenvy reads it: anything in braces, and otherwise letters and digits.
fn referred(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    if characters.next_if_eq(&'{').is_some() {
        return characters.take_while(|character| *character != '}').collect();
    }
    std::iter::from_fn(|| characters.next_if(|character| character.is_alphanumeric())).collect()
}

/// Reads one line at a time, so that the lines of each entry are known.
struct LineByLine<'a> {
    text: &'a [u8],
    read: &'a Cell<usize>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = &self.text[self.read.get()..];
        let line = left.iter().position(|byte| *byte == b'\n').map_or(left.len(), |end| end + 1);
        let length = line.min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.read.set(self.read.get() + length);
        Ok(length)
    }
}
