//! Every format against its expected text.

use std::path::Path;

use clap::ValueEnum;
use reader::output::{Format, Layout};

use crate::support::{TestLake, run_with_stdin, text, write_as};

fn written(format: Format, script: &str) -> String {
    write_as(&mut TestLake::new().session(), script, format).unwrap()
}

const TWO_ROWS: &str = "SELECT * FROM (VALUES (1, 'a,b'), (NULL, NULL)) AS t(n, s)";

#[test]
fn box_shows_names_types_rows_and_their_number() {
    let expected = "\
┌─────────┬─────────┐
│       n │ s       │
│ integer │ varchar │
├─────────┼─────────┤
│       1 │ a,b     │
│    NULL │ NULL    │
└─────────┴─────────┘
2 rows
";
    assert_eq!(written(Format::Box, TWO_ROWS), expected);
}

#[test]
fn box_says_when_it_does_not_show_all_rows() {
    let lake = TestLake::new();
    let mut answer = Vec::new();
    let statement = reader::script::statements("FROM range(5)").next().unwrap();
    let layout = Layout { rows_max: 3, ..Layout::WHOLE };
    lake.session().run(statement, &mut *Format::Box.to(&mut answer, layout)).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("│      1 │\n│      … │\n│      4 │"), "{answer}");
    assert!(answer.ends_with("5 rows, the first 2 and the last 1 are shown\n"), "{answer}");
}

#[test]
fn box_fits_a_screen_and_says_what_it_leaves_out() {
    let lake = TestLake::new();
    let shown = |query: &str, width: usize| {
        let mut answer = Vec::new();
        let statement = reader::script::statements(query).next().unwrap();
        let layout = Layout { width: Some(width), ..Layout::WHOLE };
        lake.session().run(statement, &mut *Format::Box.to(&mut answer, layout)).unwrap();
        String::from_utf8(answer).unwrap()
    };
    assert_eq!(
        shown("SELECT 1 AS n, 'a long text that does not fit' AS s, NULL AS z", 40),
        "\
┌─────────┬──────────────────┬─────────┐
│       n │ s                │       z │
│ integer │ varchar          │ integer │
├─────────┼──────────────────┼─────────┤
│       1 │ a long text tha… │    NULL │
└─────────┴──────────────────┴─────────┘
1 row
"
    );
    let wide = shown(
        "SELECT COLUMNS(*) FROM (SELECT 'äöü日本語日本語日本語' AS a, 2 AS b, 3 AS c, 4 AS d, 5 AS e, 6 AS f)",
        50,
    );
    assert!(wide.lines().take(5).all(|line| line.chars().count() <= 50), "{wide}");
    assert!(wide.contains("│ äöü日本語日…"), "{wide}");
    assert!(
        wide.contains("│ … │") && wide.ends_with("1 row; 6 columns, 4 are shown (.mode line shows all)\n"),
        "{wide}"
    );
}

#[test]
fn csv_and_tsv_keep_control_characters_for_programs() {
    let query = "SELECT e'a\x1b[31m\x07' AS s";
    assert_eq!(written(Format::Csv, query), "s\n\"a\u{1b}[31m\u{7}\"\n");
    assert_eq!(written(Format::Tsv, query), "s\na\u{1b}[31m\u{7}\n");
}

#[test]
fn csv_quotes_what_needs_it_and_distinguishes_null_from_empty() {
    assert_eq!(written(Format::Csv, TWO_ROWS), "n,s\n1,\"a,b\"\n,\n");
    assert_eq!(written(Format::Csv, "SELECT '' AS a, 'x\"y' AS b, e'l\\nl' AS c"), "a,b,c\n\"\",\"x\"\"y\",\"l\nl\"\n");
}

#[test]
fn tsv_keeps_each_row_on_one_line() {
    assert_eq!(written(Format::Tsv, "SELECT e'a\\tb\\nc\\\\' AS s, NULL AS n"), "s\tn\na\\tb\\nc\\\\\t\n");
}

#[test]
fn json_is_one_array_and_keeps_numbers_and_nested_values() {
    let query = "SELECT 1 AS n, 1.10::DECIMAL(5, 2) AS d, 'a\"b' AS s, [1, NULL] AS l, {'k': true} AS o, NULL AS z \
                 UNION ALL SELECT 2, 2, '', [], NULL, NULL ORDER BY n";
    assert_eq!(
        written(Format::Json, query),
        "[{\"n\":1,\"d\":1.10,\"s\":\"a\\\"b\",\"l\":[1,null],\"o\":{\"k\":true},\"z\":null},\n\
         {\"n\":2,\"d\":2.00,\"s\":\"\",\"l\":[],\"o\":null,\"z\":null}]\n"
    );
    assert_eq!(written(Format::Json, "SELECT 1 AS a WHERE false"), "[]\n");
}

#[test]
fn json_writes_null_for_numbers_that_json_does_not_have() {
    let query = "SELECT 'nan'::DOUBLE AS a, '-inf'::FLOAT AS b, ['inf'::DOUBLE, 1] AS c, ['NaN\\\"Infinity'] AS d";
    let answer = written(Format::Jsonlines, query);
    assert_eq!(answer, "{\"a\":null,\"b\":null,\"c\":[null,1.0],\"d\":[\"NaN\\\\\\\"Infinity\"]}\n");
    serde_json::from_str::<serde_json::Value>(&answer).unwrap();
}

#[test]
fn markdown_escapes_its_own_marks() {
    assert_eq!(written(Format::Markdown, "SELECT 1 AS n, 'a|b' AS s"), "| n | s |\n| --: | --- |\n| 1 | a\\|b |\n\n");
}

#[test]
fn line_puts_each_value_on_a_line() {
    assert_eq!(
        written(Format::Line, "SELECT i AS id, 'x' AS n FROM range(2) t(i)"),
        "id = 0\n n = x\n\nid = 1\n n = x\n"
    );
}

#[test]
fn every_type_is_written_as_duckdb_writes_it() {
    let query = "SELECT 170141183460469231731687303715884105727 AS huge, \
        '12345678901234567890123456789012345.12'::DECIMAL(38, 2) AS dec, \
        TIMESTAMPTZ '2026-11-20 08:00:00.123456+00' AS at, INTERVAL '1 month 2 days 03:00:00' AS i, \
        '\\xAA\\x00z'::BLOB AS b, MAP {'k': [1, 2]} AS m, {'a': DATE '2026-01-02', 'b': NULL} AS s, \
        'f3986ce1-d49d-4868-9999-155fa326c61b'::UUID AS u, 0.1::FLOAT AS f, 1e300::DOUBLE AS d, \
        TIME '01:02:03' AS t, true AS yes";
    assert_eq!(
        written(Format::Line, query),
        "huge = 170141183460469231731687303715884105727\n dec = 12345678901234567890123456789012345.12\n  \
         at = 2026-11-20 08:00:00.123456+00\n   i = 1 month 2 days 03:00:00\n   b = \\xAA\\x00z\n   m = {k=[1, 2]}\n   \
         s = {'a': 2026-01-02, 'b': NULL}\n   u = f3986ce1-d49d-4868-9999-155fa326c61b\n   f = 0.1\n   d = 1e+300\n   \
         t = 01:02:03\n yes = true\n"
    );
    let json = written(Format::Jsonlines, query);
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
    assert!(json.contains("\"huge\":170141183460469231731687303715884105727,"), "{json}");
}

#[test]
fn columns_with_the_same_name_keep_it() {
    assert_eq!(written(Format::Csv, "SELECT 1 AS a, 2 AS a"), "a,a\n1,2\n");
}

#[test]
fn control_characters_are_shown_and_not_obeyed() {
    let query = "SELECT e'a\\x1b[31mred\\nx' AS \"n\u{1b}m\"";
    for format in [Format::Box, Format::Markdown, Format::Line] {
        let answer = written(format, query);
        assert!(!answer.contains('\u{1b}'), "{answer}");
        assert!(answer.contains("a\\u{1b}[31mred\\nx"), "{answer}");
    }
}

#[test]
fn statements_that_are_not_queries_show_their_results() {
    assert_eq!(written(Format::Csv, "CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1), (2); SET threads = 1"), "");
    assert_eq!(
        written(Format::Csv, "CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (7) RETURNING i, 'x' AS s"),
        "i,s\n7,x\n"
    );
    assert_eq!(written(Format::Csv, "CALL pragma_version()").lines().nth(1).unwrap().split(',').next(), Some("v1.5.5"));
    assert_eq!(written(Format::Csv, "PREPARE p AS SELECT 42 AS n; EXECUTE p"), "n\n42\n");
    assert!(written(Format::Csv, "EXPLAIN SELECT 1").starts_with("explain_key,explain_value\nphysical_plan,"));
    assert!(written(Format::Csv, "SHOW DATABASES").contains("memory"));
    assert_eq!(written(Format::Csv, "SELECT count(*) AS \"Count\" FROM range(3)"), "Count\n3\n");
}

#[test]
fn a_plan_is_drawn_where_people_look_at_it() {
    let drawn = written(Format::Box, "EXPLAIN SELECT 1");
    assert!(drawn.starts_with("┌────") && !drawn.contains("\\n") && drawn.lines().count() > 5, "{drawn}");
}

/// What a program reads from a pipe.
#[test]
fn every_format_through_a_pipe_is_its_golden_file() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let script = std::fs::read_to_string(golden.join("formats.sql")).unwrap();
    let lake = TestLake::new();
    for format in Format::value_variants() {
        let name = format.to_possible_value().unwrap().get_name().to_owned();
        let expected = std::fs::read_to_string(golden.join(format!("formats.{name}"))).unwrap();
        let by_flag = run_with_stdin(lake.reader().args(["--format", &name]), &script);
        let by_command = run_with_stdin(lake.reader().args(["-f", "-"]), &format!(".mode {name}\n{script}"));
        for done in [by_flag, by_command] {
            assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), ""), "{name}");
            assert_eq!(text(&done.stdout), expected, "{name}");
        }
    }
    let by_default = run_with_stdin(&mut lake.reader(), &script);
    assert_eq!(text(&by_default.stdout), std::fs::read_to_string(golden.join("formats.csv")).unwrap());
}
