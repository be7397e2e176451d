//! Runs one statement and passes its rows on as text.
//!
//! DuckDB itself converts every value to text (or JSON), so that every type looks as DuckDB shows it: a query is
//! wrapped in one that casts each column. Statements that can't be part of a query (EXPLAIN, CALL, INSERT … RETURNING)
//! run unchanged. Invariant: a statement is executed once, however its result is shown.

use duckdb::{
    Connection, Statement as Prepared,
    arrow::{
        array::{Array, AsArray, StructArray},
        datatypes::{DataType, Schema},
        error::ArrowError,
        util::display::{ArrayFormatter, FormatOptions},
    },
};

use crate::{
    error::Error,
    output::{Cell, Head, Sink},
    script::Statement,
};

/// Statements that start with these words are queries and can be put in parentheses.
const QUERIES: [&str; 12] =
    ["SELECT", "FROM", "WITH", "VALUES", "TABLE", "PIVOT", "UNPIVOT", "SHOW", "DESCRIBE", "DESC", "SUMMARIZE", "("];
/// Statements that start with these words have a result, even if it is one column named `Count` or `Success`.
const ANSWERS: [&str; 4] = ["EXPLAIN", "PRAGMA", "CALL", "EXECUTE"];
/// The column with a query's plan, drawn over several lines.
const PLAN: &str = "explain_value";
/// DuckDB reports the outcome of a statement without a result in one column with one of these names.
const OUTCOMES: [&str; 2] = ["Count", "Success"];

/// Whether a statement that starts with this word, in upper case, is a query: it sets nothing and stores nothing.
pub(crate) fn is_query(word: &str) -> bool {
    QUERIES.contains(&word)
}

/// Runs `statement` and writes its result, if it has one, to `sink`.
///
/// # Errors
/// [`Error::Sql`] with DuckDB's message; [`Error::Output`] when the sink fails.
pub fn run(connection: &Connection, statement: Statement<'_>, sink: &mut dyn Sink) -> Result<(), Error> {
    let word = statement.first_word();
    if is_query(&word)
        && let Some(heads) = heads(connection, &word, statement.text, sink.wants_json())
    {
        return run_wrapped(connection, statement.text, &heads, sink);
    }
    run_as_it_is(connection, statement.text, ANSWERS.contains(&word.as_str()), sink)
}

/// The columns of a query's result. `None` if it is wrong or not a query: running it unchanged then shows why.
fn heads(connection: &Connection, word: &str, query: &str, json: bool) -> Option<Vec<Head>> {
    let describe = match word {
        "SHOW" | "DESCRIBE" | "DESC" | "SUMMARIZE" => format!("DESCRIBE SELECT * FROM (\n{query}\n)"),
        // Without a query around it, columns with the same name keep that name.
        _ => format!("DESCRIBE {query}"),
    };
    let mut prepared = connection.prepare(&describe).ok()?;
    let rows = prepared.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).ok()?;
    rows.map(|row| row.ok().map(|(name, kind)| head(name, kind, json))).collect()
}

fn head(name: String, sql_type: String, json: bool) -> Head {
    const NUMBERS: [&str; 14] = [
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "UHUGEINT",
        "FLOAT",
        "DOUBLE",
        "BIGNUM",
        "DECIMAL",
    ];
    let is_number =
        NUMBERS.contains(&sql_type.as_str()) || sql_type.starts_with("DECIMAL(") && !sql_type.ends_with(']');
    let cell = match (is_number, json) {
        (true, _) => Cell::Number,
        (false, true) => Cell::Json,
        (false, false) => Cell::Text,
    };
    Head { name, sql_type, cell }
}

fn run_wrapped(connection: &Connection, query: &str, heads: &[Head], sink: &mut dyn Sink) -> Result<(), Error> {
    let column = |(index, head): (usize, &Head)| match head.cell {
        Cell::Json => format!("CAST(to_json(#{}) AS VARCHAR)", index + 1),
        Cell::Text | Cell::Number => format!("CAST(#{} AS VARCHAR)", index + 1),
    };
    let columns = heads.iter().enumerate().map(column).collect::<Vec<_>>().join(", ");
    // The query gets lines of its own: a comment at its end hides nothing, and its line numbers can be corrected.
    let wrapped = format!("SELECT {columns} FROM (\n{query}\n)");
    let own_lines = |error| match Error::sql(error) {
        Error::Sql(words) => Error::Sql(count_lines_from_query(&words)),
        other => other,
    };
    let mut prepared = connection.prepare(&wrapped).map_err(own_lines)?;
    drop(prepared.stream_arrow([]).map_err(own_lines)?);
    sink.begin(heads)?;
    while let Some(batch) = prepared.step().map_err(own_lines)? {
        write_texts(&batch, sink)?;
    }
    Ok(sink.end()?)
}

/// Corrects the line number in an error: DuckDB also counts the wrapper's line before the query.
fn count_lines_from_query(words: &str) -> String {
    let Some((before, after)) = words.split_once("\nLINE ") else { return words.to_owned() };
    let Some((number, after)) = after.split_once(':') else { return words.to_owned() };
    match number.parse::<usize>() {
        // From 10 to 9, the caret would need one space less: such a number is left as it is.
        Ok(number) if number > 1 && number != 10 => format!("{before}\nLINE {}:{after}", number - 1),
        _ => words.to_owned(),
    }
}

fn write_texts(batch: &StructArray, sink: &mut dyn Sink) -> Result<(), Error> {
    let texts = batch.columns().iter().map(|column| column.as_string_opt::<i32>()).collect::<Option<Vec<_>>>();
    let texts = texts.ok_or_else(|| Error::Bug { doing: "read a result", words: "a column is not text".to_owned() })?;
    let mut row = Vec::with_capacity(texts.len());
    for index in 0..batch.len() {
        row.clear();
        row.extend(texts.iter().map(|column| column.is_valid(index).then(|| column.value(index))));
        sink.row(&row)?;
    }
    Ok(())
}

fn run_as_it_is(connection: &Connection, text: &str, answers: bool, sink: &mut dyn Sink) -> Result<(), Error> {
    let mut prepared = connection.prepare(text).map_err(Error::sql)?;
    drop(prepared.stream_arrow([]).map_err(Error::sql)?);
    let schema = prepared.schema();
    let is_outcome = matches!(schema.fields().as_ref(), [only] if OUTCOMES.contains(&only.name().as_str()));
    if schema.fields().is_empty() || (is_outcome && !answers) {
        while prepared.step().map_err(Error::sql)?.is_some() {}
        return Ok(());
    }
    write_values(&prepared, &schema, sink)
}

fn write_values(prepared: &Prepared<'_>, schema: &Schema, sink: &mut dyn Sink) -> Result<(), Error> {
    let heads: Vec<Head> = schema.fields().iter().map(|field| head_of(field.name(), field.data_type())).collect();
    let plan = heads.iter().position(|head| head.name == PLAN).filter(|_| sink.draws());
    if plan.is_none() {
        sink.begin(&heads)?;
    }
    while let Some(batch) = prepared.step().map_err(Error::sql)? {
        for row in values(&batch).map_err(|error| Error::Sql(format!("can't show this result: {error}")))? {
            let row: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
            match plan {
                Some(plan) => sink.drawing(row[plan].unwrap_or_default())?,
                None => sink.row(&row)?,
            }
        }
    }
    match plan {
        Some(_) => Ok(()),
        None => Ok(sink.end()?),
    }
}

fn values(batch: &StructArray) -> Result<Vec<Vec<Option<String>>>, ArrowError> {
    let options = FormatOptions::new()
        .with_null("NULL")
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%#z"));
    let columns = batch.columns();
    let formatters = columns.iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
    let cell = |index: usize, column: usize| {
        columns[column].is_valid(index).then(|| formatters[column].value(index).try_to_string()).transpose()
    };
    (0..batch.len()).map(|index| (0..columns.len()).map(|column| cell(index, column)).collect()).collect()
}

fn head_of(name: &str, kind: &DataType) -> Head {
    let is_number = kind.is_numeric() && !matches!(kind, DataType::Duration(_));
    let cell = if is_number { Cell::Number } else { Cell::Text };
    Head { name: name.to_owned(), sql_type: String::new(), cell }
}
