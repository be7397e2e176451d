//! Which statements the history keeps.

use reader::secrets::holds_secret;

#[test]
fn what_follows_a_word_for_a_secret_is_not_kept() {
    for statement in [
        "CREATE SECRET s (TYPE s3, KEY_ID 'AKIAX', SECRET 'x');",
        "create or replace persistent secret s (type s3, key_id akiax)",
        "CRAETE SECRTE s (TYPE s3, KEY_ID 'AKIAX')",
        "SET s3_secret_access_key='x'",
        "SET s3_access_key_id = x",
        "SET\n  s3_session_token\n  TO 'x'",
        "SET VARIABLE password = 1234",
        "SET VARIABLE \"my PassWord\" = 'x'",
        "ATTACH 'dbname=x user=y password=x' AS pg (TYPE postgres)",
        "ATTACH 'postgres://user:x@host/db' AS pg",
        "ATTACH 'x.db' (ENCRYPTION_KEY 'x')",
        "PRAGMA add_parquet_key('name', 'x')",
        "FROM read_csv('https://host/x.csv?X-Amz-Signature=x')",
        "FROM read_json('https://host/x?apiKey=x')",
        "FROM read_json_auto('{\"token\": \"x\"}')",
        "SELECT * FROM users WHERE password = 'x'",
        "SELECT * FROM users WHERE password = 1234",
        "SELECT * FROM users WHERE api_key = 'x'",
        "SELECT * FROM users WHERE key = 'x'",
        "SELECT 'password=' || 'x'",
        "SELECT e'pwd=\\x41'",
        "SELECT $$secret: x$$",
        "SELECT 1; SET key = x",
        "SELECT 1 -- the password is x",
        "/* key x */ SELECT 1",
        ".read secret x",
    ] {
        assert!(holds_secret(statement), "{statement}");
    }
}

#[test]
fn what_only_looks_like_a_secret_is_kept() {
    for statement in [
        "SELECT key, outcome FROM checkpoints.objects WHERE key LIKE 'raw/events/%' AND size > 10",
        "FROM bronze.events WHERE _source_key = 'raw/events/1.json' LIMIT 5",
        "FROM raw_objects WHERE key > 'x'",
        "SELECT token FROM bronze.logins LIMIT 5",
        "SELECT password FROM users",
        "FROM duckdb_secrets()",
        "SELECT monkey, keyboard, turkey FROM zoo WHERE name = 'x'",
        "SELECT * FROM bronze.events WHERE name LIKE '%keys%'",
        "SELECT 'https://host/path:x@y'",
        "FROM bronze.events WHERE at > '2026-01-01 00:00:00' -- the newest",
        ".dead events",
    ] {
        assert!(!holds_secret(statement), "{statement}");
    }
}
