//! Reads `.env`: what the environment does not say already.
//!
//! Knows what dotenvy accepts. Invariant: a file counts whole or not at all, and nothing that stands in it is ever
//! repeated, since it may be a secret.

use std::{
    cell::Cell,
    collections::HashSet,
    io::{self, Read},
    path::Path,
};

/// Sets the variables that the file names and the environment does not. A file that is not there names none.
///
/// # Errors
/// What is wrong with the file, and in which line.
pub(crate) fn load(path: &Path) -> Result<(), String> {
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
            let how = "write NAME=value, and quotes around a value that holds spaces";
            return Err(format!("line {number} can't be parsed; {how}"));
        };
        if refers_to_unknown(&lines[skipped..].join("\n"), &defined) {
            let how = "set it before that line, or write \\$ for a plain dollar sign";
            return Err(format!("line {number} refers to a variable that is not set; {how}"));
        }
        defined.insert(name);
    }
}

/// Whether a `$` in the entry stands for something that nobody has set, which dotenvy would leave out in silence.
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

/// The name after a `$`, as dotenvy reads it: in braces anything, and else letters and digits.
fn referred(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    if characters.next_if_eq(&'{').is_some() {
        return characters.take_while(|character| *character != '}').collect();
    }
    std::iter::from_fn(|| characters.next_if(|character| character.is_alphanumeric())).collect()
}

/// Hands out one line at a time, so that it is known which lines an entry was read from.
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
