//! Splitting, with semicolons that do not end a statement.

use super::{Statement, is_complete, statements};

fn split(script: &str) -> Vec<&str> {
    statements(script).map(|statement| statement.text).collect()
}

#[test]
fn semicolons_end_statements_and_empty_ones_are_left_out() {
    assert_eq!(split("a; b ;; \n ; c"), ["a", "b", "c"]);
    assert_eq!(split(" ; -- x\n /* y */ ;"), Vec::<&str>::new());
}

#[test]
fn semicolons_in_quotes_and_comments_end_nothing() {
    for one in [
        "'a;b'",
        "'it''s;'",
        "\"x;\"\";y\"",
        "$$;$$",
        "$t$ ; $$ ; $t$",
        "e'\\';'",
        "1 /* ; /* ; */ ; */ 2",
        "1 -- ;\n2",
    ] {
        assert_eq!(split(&format!("{one}; next")), [one, "next"]);
    }
}

#[test]
fn backslashes_escape_only_in_escape_strings() {
    assert_eq!(split("select '\\'; x"), ["select '\\'", "x"]);
    assert_eq!(split("select code'\\'; x"), ["select code'\\'", "x"]);
}

#[test]
fn parameters_are_not_dollar_quotes() {
    assert_eq!(split("select $1; select $2"), ["select $1", "select $2"]);
    assert_eq!(split("select a$b$; c$b$"), ["select a$b$", "c$b$"]);
}

#[test]
fn comments_before_a_statement_are_not_part_of_it() {
    let all: Vec<Statement<'_>> = statements("-- why\n/* what */ select 1").collect();
    assert_eq!(all, [Statement { text: "select 1" }]);
    assert_eq!(all[0].first_word(), "SELECT");
    assert_eq!(Statement { text: "(select 1)" }.first_word(), "(");
}

#[test]
fn what_was_typed_is_complete_once_a_semicolon_closes_it() {
    for complete in ["select 1;", "", "  ", "select 1; -- done", "a; b;"] {
        assert!(is_complete(complete), "{complete}");
    }
    for open in ["select 1", "select ';", "select 1; select", "select $$;"] {
        assert!(!is_complete(open), "{open}");
    }
}

#[test]
fn any_text_at_all_is_split_without_a_panic() {
    for text in ["'", "\"", "$", "$$", "/*", "/", "--", "e'\\", "ä'ö;ü", "$ä$;$ä$", "*/"] {
        assert!(statements(text).count() <= 2);
    }
}
