//! The shell's own queries: relations, columns, dead letters and lag.
//!
//! Plain SQL that a user can copy and change.

use duckdb::Connection;

use crate::{
    quote::{identifier, literal},
    tokens::tokens,
};

/// The relations of the lake, for `.tables`.
pub const TABLES: &str = "SELECT schema_name AS schema, view_name AS name FROM duckdb_views() \
    WHERE schema_name IN ('bronze', 'dead_letters', 'checkpoints') ORDER BY ALL";

/// A table for the landed objects, filled by the shell.
pub const RAW_OBJECTS: &str = "DELETE FROM memory.internal.raw_objects; CREATE OR REPLACE TEMPORARY VIEW raw_objects AS \
    SELECT * REPLACE (make_timestamptz(last_modified) AS last_modified) FROM memory.internal.raw_objects";

/// What has landed and is not committed. Leftovers of other tools' jobs are not inputs.
pub const LAG: &str = "\
WITH landed AS (
    FROM raw_objects WHERE is_input
), pending AS (
    FROM landed ANTI JOIN checkpoints.objects USING (stream, key, etag)
)
SELECT stream, count(pending.key) AS objects_pending, coalesce(sum(pending.size), 0)::BIGINT AS bytes_pending,
    min(pending.last_modified) AS oldest, date_trunc('second', now() - min(pending.last_modified)) AS waiting
FROM (SELECT stream FROM checkpoints.batches UNION SELECT stream FROM raw_objects) LEFT JOIN pending USING (stream)
GROUP BY stream ORDER BY stream";

/// Dead letters of these streams, the most frequent first.
pub fn dead_letters(streams: &[String]) -> String {
    let one = |stream: &String| {
        format!(
            "SELECT {} AS stream, _dead_letter_reason AS reason, _error_code AS code, count(*) AS dead_letters,\n    \
             arg_max(_error_message, _batch_id) AS newest_example, arg_max(_source_key, _batch_id) AS its_object\n\
             FROM dead_letters.{} GROUP BY ALL",
            literal(stream),
            identifier(stream)
        )
    };
    let all = streams.iter().map(one).collect::<Vec<_>>().join("\nUNION ALL\n");
    format!("{all}\nORDER BY dead_letters DESC, stream, reason, code")
}

/// The columns of all relations of the lake, or of one, whose name may include its schema.
pub fn schema(relation: Option<&str>) -> String {
    let named = relation.map(|name| {
        let name = literal(&name.replace('"', "").to_lowercase());
        format!(" AND lower({name}) IN (lower(table_name), lower(schema_name || '.' || table_name))")
    });
    format!(
        "SELECT schema_name || '.' || table_name AS relation, column_name AS column, data_type AS type \
         FROM duckdb_columns() WHERE schema_name IN ('bronze', 'dead_letters', 'checkpoints', 'main') AND NOT internal{} \
         ORDER BY schema_name, table_name, column_index",
        named.unwrap_or_default()
    )
}

/// The relations of the lake and of the session itself, by the names that a query uses.
const SHOW_TABLES: &str = "\
    WITH relations AS (
        SELECT schema_name, view_name AS name FROM duckdb_views()
        WHERE NOT internal AND database_name = 'memory' AND schema_name IN ('main', 'bronze', 'dead_letters', 'checkpoints')
        UNION ALL SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'memory' AND schema_name = 'main'
        UNION ALL SELECT 'main', table_name FROM duckdb_tables() WHERE temporary
        UNION ALL SELECT 'main', view_name FROM duckdb_views() WHERE temporary AND NOT internal)
    SELECT CASE schema_name WHEN 'main' THEN '' ELSE schema_name || '.' END || CASE
        WHEN regexp_full_match(name, '[A-Za-z_][A-Za-z0-9_]*') THEN name
        ELSE '\"' || replace(name, '\"', '\"\"') || '\"' END AS name
    FROM relations ORDER BY schema_name <> 'main', schema_name, relations.name";

/// The statement to run instead of this one. If no schema was chosen, `SHOW TABLES` lists the relations of the lake:
/// DuckDB would list an empty schema.
pub fn instead_of(statement: &str, connection: &Connection) -> Option<&'static str> {
    let mut words = tokens(statement).filter(|token| token.is_code());
    let is_show_tables = words.next()?.is_word("SHOW") && words.next()?.is_word("TABLES") && words.next().is_none();
    if !is_show_tables {
        return None;
    }
    let schema = connection.query_row("SELECT current_database() || '.' || current_schema()", [], |row| row.get(0));
    let schema: String = schema.ok()?;
    (schema == "memory.main").then_some(SHOW_TABLES)
}
