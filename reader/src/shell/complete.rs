//! What the Tab key offers: keywords, schemas, relations, columns, functions, and commands with their arguments.
//!
//! Queries DuckDB's own catalog, over a connection of its own. Knows names and no grammar: after a relation's name or
//! alias and a dot, it offers the columns of that relation; otherwise, the columns of all relations in the statement
//! come first.

use std::collections::BTreeSet;

use duckdb::Connection;
use program::output::is_obeyed;
use reedline::{Completer, Span, Suggestion};

use super::commands::{COMMANDS, format_names};
use crate::{
    quote::identifier,
    tokens::{Kind, Token, tokens},
};

/// The most suggestions: a menu that fills the screen is useless.
const SUGGESTIONS_MAX: usize = 200;

/// Every column of the lake and of the session's own relations.
const COLUMNS: &str = "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() \
    WHERE NOT internal AND schema_name <> 'internal' ORDER BY table_oid, column_index";
const RESERVED: &str =
    "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category IN ('reserved', 'type_function')";
const FUNCTIONS: &str = "SELECT DISTINCT function_name FROM duckdb_functions() \
    WHERE regexp_full_match(function_name, '[a-z][a-z0-9_]*') ORDER BY ALL";

/// Completes SQL and commands.
pub(super) struct Names {
    connection: Connection,
    keywords: BTreeSet<String>,
    /// The keywords that need quotes to be a name.
    reserved: BTreeSet<String>,
    functions: Vec<String>,
}

/// A column, and the relation that it belongs to.
struct Column {
    schema: String,
    relation: String,
    name: String,
    kind: String,
}

impl Names {
    pub(super) fn new(connection: Connection, keywords: BTreeSet<String>) -> Self {
        let functions = texts(&connection, FUNCTIONS);
        let reserved = texts(&connection, RESERVED).into_iter().collect();
        Self { connection, keywords, reserved, functions }
    }

    fn columns(&self) -> Vec<Column> {
        let read = || {
            let mut prepared = self.connection.prepare(COLUMNS)?;
            let row = |row: &duckdb::Row<'_>| {
                Ok(Column { schema: row.get(0)?, relation: row.get(1)?, name: row.get(2)?, kind: row.get(3)? })
            };
            prepared.query_map([], row)?.collect::<duckdb::Result<Vec<_>>>()
        };
        // If this fails, the user can still type the names.
        read().unwrap_or_default()
    }

    /// The suggestions for the end of `typed`, each with a short description.
    fn offers(&self, statement: &str, typed: &Typed) -> Vec<(String, String)> {
        let columns = self.columns();
        let code: Vec<Token<'_>> = tokens(statement).filter(Token::is_code).collect();
        if let Some(owner) = &typed.owner {
            let relation = aliased(&code, owner).unwrap_or_else(|| owner.clone());
            let in_schema = columns.iter().filter(|column| column.schema.eq_ignore_ascii_case(owner));
            let relations = in_schema.map(|column| (column.relation.clone(), "relation".to_owned()));
            let of_relation = columns.iter().filter(|column| column.relation.eq_ignore_ascii_case(&relation));
            let fields = of_relation.map(|column| (column.name.clone(), column.kind.to_lowercase()));
            return relations.chain(fields).collect();
        }
        let named: BTreeSet<String> = code.iter().filter_map(Token::name).collect();
        let is_named = |column: &&Column| named.contains(&column.relation.to_lowercase());
        let fields = columns.iter().filter(is_named).map(|column| (column.name.clone(), column.kind.to_lowercase()));
        let schemas = columns.iter().map(|column| (format!("{}.", column.schema), "schema".to_owned()));
        let relations = columns.iter().filter(|column| column.schema == "main");
        let relations = relations.map(|column| (column.relation.clone(), "relation".to_owned()));
        let is_upper = typed.word.chars().any(char::is_uppercase);
        let cased = |word: &String| if is_upper { word.to_uppercase() } else { word.clone() };
        let keywords = self.keywords.iter().map(|word| (cased(word), String::new()));
        let functions = self.functions.iter().map(|name| (format!("{name}("), "function".to_owned()));
        fields.chain(schemas).chain(relations).chain(keywords).chain(functions).collect()
    }

    fn sql(&self, line: &str, pos: usize) -> Vec<Suggestion> {
        let before = &line[..pos];
        let start = before.rfind(';').map_or(0, |at| at + 1);
        let typed = Typed::at_end(before);
        let mut seen = BTreeSet::new();
        let offers = self.offers(&line[start..], &typed).into_iter();
        // The menu prints names unescaped, and a terminal would act on some.
        let offers = offers.filter(|(name, _)| !name.contains(is_obeyed));
        let fitting = offers.filter(|(name, _)| {
            name.to_lowercase().starts_with(&typed.word.to_lowercase()) && seen.insert(name.clone())
        });
        // Without a letter typed, only the names after an owner's dot are worth a menu.
        let wanted = if typed.word.is_empty() && typed.owner.is_none() { 0 } else { SUGGESTIONS_MAX };
        let needed = |name: &str, about: &str| if about.is_empty() { name.to_owned() } else { self.quoted(name) };
        fitting.take(wanted).map(|(name, about)| suggestion(needed(&name, &about), about, typed.start, pos)).collect()
    }

    /// A name, quoted if SQL needs it.
    fn quoted(&self, name: &str) -> String {
        // A dot or a parenthesis at the end is not part of the name.
        let (stem, rest) = name.split_at(name.trim_end_matches(['.', '(']).len());
        let is_plain = stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !stem.starts_with(|c: char| c.is_ascii_digit())
            && !self.reserved.contains(&stem.to_lowercase());
        if is_plain { name.to_owned() } else { format!("{}{rest}", identifier(stem)) }
    }
}

impl Completer for Names {
    fn complete(&mut self, line: &str, pos: usize) -> Vec<Suggestion> {
        let Some(before) = line.get(..pos) else { return Vec::new() };
        if before.starts_with('.') { self.command(before) } else { self.sql(line, pos) }
    }
}

impl Names {
    fn command(&self, before: &str) -> Vec<Suggestion> {
        let end = before.len();
        let Some((command, argument)) = before.split_once(' ') else {
            let fitting = COMMANDS.iter().filter(|(name, ..)| name.starts_with(before));
            return fitting.map(|(name, _, does)| suggestion((*name).to_owned(), (*does).to_owned(), 0, end)).collect();
        };
        let offers: Vec<String> = match command {
            ".mode" => format_names(),
            ".timer" => vec!["on".to_owned(), "off".to_owned()],
            ".dead" => {
                self.relations().into_iter().filter_map(|name| Some(name.strip_prefix("bronze.")?.to_owned())).collect()
            }
            ".schema" => self.relations(),
            _ => Vec::new(),
        };
        let is_offered = |offer: &String| offer.starts_with(argument) && !offer.contains(is_obeyed);
        let fitting = offers.into_iter().filter(is_offered);
        fitting.map(|offer| suggestion(offer, String::new(), command.len() + 1, end)).collect()
    }

    fn relations(&self) -> Vec<String> {
        let names = self.columns().into_iter().map(|column| format!("{}.{}", column.schema, column.relation));
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// The name that is being typed.
struct Typed {
    start: usize,
    word: String,
    /// The name before its dot.
    owner: Option<String>,
}

impl Typed {
    fn at_end(before: &str) -> Self {
        let all: Vec<Token<'_>> = tokens(before).collect();
        let (word, rest) = match all.split_last() {
            Some((last, rest)) if matches!(last.kind, Kind::Word | Kind::Name) => (Some(last), rest),
            _ => (None, all.as_slice()),
        };
        let owner = match rest {
            [.., owner, dot] if dot.is_symbol(".") => owner.name(),
            _ => None,
        };
        let text = word.map_or("", |word| word.text.trim_start_matches('"'));
        Self { start: word.map_or(before.len(), |word| word.start), word: text.to_owned(), owner }
    }
}

/// The relation that an alias stands for: `FROM schema.relation [AS] alias`.
fn aliased(code: &[Token<'_>], alias: &str) -> Option<String> {
    let at = (1..code.len()).find(|at| {
        let before = &code[at - 1];
        let is_relation = before.is_word("AS") || before.kind == Kind::Name || before.kind == Kind::Word;
        code[*at].name().as_deref() == Some(alias)
            && is_relation
            && !code.get(at + 1).is_some_and(|next| next.is_symbol("."))
    })?;
    let relation = if code[at - 1].is_word("AS") { at.checked_sub(2)? } else { at - 1 };
    code[relation].name()
}

fn suggestion(value: String, about: String, start: usize, end: usize) -> Suggestion {
    let append_whitespace = about.is_empty() || about == "relation";
    Suggestion {
        value,
        description: Some(about).filter(|about| !about.is_empty()),
        span: Span::new(start, end),
        append_whitespace,
        ..Suggestion::default()
    }
}

/// The first column of a query's result; empty if the query fails.
pub(super) fn texts(connection: &Connection, query: &str) -> Vec<String> {
    let read = || connection.prepare(query)?.query_map([], |row| row.get(0))?.collect::<duckdb::Result<Vec<String>>>();
    read().unwrap_or_default()
}
