//! The shell's own questions to DuckDB: which relations there are.
//!
//! Plain SQL that a person may copy and change.

use duckdb::Connection;

use crate::tokens::tokens;

/// The relations of the lake, for `.tables`.
pub const TABLES: &str = "SELECT schema_name AS schema, view_name AS name FROM duckdb_views() \
    WHERE schema_name IN ('bronze', 'dead_letters', 'checkpoints') ORDER BY ALL";

/// The relations of the lake, and what the session made itself, by the names that a query gives them.
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

/// The statement to run in place of this one. `SHOW TABLES` lists the relations of the lake where no schema was
/// chosen: DuckDB would list an empty one.
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
