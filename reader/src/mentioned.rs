//! Which streams a statement may read, judged by the words in it.
//!
//! Knows tokens and SQL names, no grammar. Invariant: a stream that a statement can read is among them: what could read
//! any stream, or show the columns of any, is taken to mention all.

use std::collections::BTreeSet;

use lake::ids::StreamName;

use crate::{
    names::{folded, sql_names},
    script::Statement,
    tokens::{Kind, tokens},
};

/// A statement with one of these anywhere in it may read or describe any relation. A backslash: names can be written
/// with escapes.
const REACHING_ALL: &str = "query database checkpoints information_schema duckdb_ pg_ sqlite_ pragma uescape \\";
/// The same for whole words: the relations of the ledger, which may be named without their schema, and statements that
/// list relations.
const NAMING_ALL: &str = "batches objects files resolved raw_objects show describe";
/// The same for the first word. What a transaction will read is not known when it begins, and an attached database may
/// contain views.
const BEGINNING_ALL: &str = "BEGIN START ATTACH DESC";
/// Statements that may store SQL, such as a view, a macro or a prepared statement. Any later statement may run that.
const STORING: &str = "ALTER ATTACH CREATE EXPLAIN PREPARE";

fn holds(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|one| one == word)
}

/// What a statement mentions.
#[derive(Clone, Debug, Default)]
pub struct Mentioned {
    all: bool,
    /// Names, folded.
    names: BTreeSet<String>,
    /// The contents of strings, folded: a string can be a relation's name.
    strings: BTreeSet<String>,
}

impl Mentioned {
    /// Every stream.
    pub fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// What this statement mentions.
    pub fn by(statement: &Statement<'_>) -> Self {
        let text = folded(statement.text);
        let mut mentioned = Self {
            all: REACHING_ALL.split_ascii_whitespace().any(|word| text.contains(word))
                || holds(BEGINNING_ALL, &statement.first_word()),
            ..Self::default()
        };
        for token in tokens(statement.text) {
            match token.kind {
                Kind::Text | Kind::OtherText => drop(mentioned.strings.insert(folded(token.text))),
                _ => mentioned.names.extend(token.name()),
            }
        }
        mentioned.all |= mentioned.names.iter().any(|name| holds(NAMING_ALL, name));
        mentioned
    }

    /// Whether what this statement mentions can be read by a later one that does not mention it.
    pub fn stays(statement: &Statement<'_>) -> bool {
        holds(STORING, &statement.first_word())
    }

    /// Adds what another statement mentions.
    pub fn add(&mut self, other: &Self) {
        self.all |= other.all;
        self.names.extend(other.names.iter().cloned());
        self.strings.extend(other.strings.iter().cloned());
    }

    /// Those of a lake's streams that are mentioned. It takes all streams: SQL names depend on each other.
    pub fn among<'a>(&self, streams: impl IntoIterator<Item = &'a StreamName>) -> BTreeSet<StreamName> {
        let names = sql_names(streams).into_iter();
        names.filter(|(_, name)| self.all || self.has(&folded(name))).map(|(stream, _)| stream).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name) || self.strings.iter().any(|string| string.contains(name))
    }
}
