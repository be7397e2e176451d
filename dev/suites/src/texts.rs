//! Cases of JSON as in JSONTestSuite (y: must be read, n: must be refused), and of CSV as in csv-spectrum and Pollock.

use lake::stream::{Format, ReadSettings};
use serde_json::json;

use crate::judged::read;

/// Values that every JSON parser must read (RFC 8259).
const READ: [&str; 40] = [
    "0",
    "-0",
    "-1",
    "1.5",
    "1e2",
    "1E+2",
    "1e-2",
    "123456789012345678901234567890",
    "0.1",
    "-0.0e0",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a\"",
    "\"\\\"\"",
    "\"\\\\\"",
    "\"\\/\"",
    "\"\\b\\f\\n\\r\\t\"",
    "\"\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"é\"",
    "\"\u{7f}\"",
    "\"\u{2028}\"",
    "\"\u{ffff}\"",
    "\"\\u0000\"",
    "\"\\uFFFF\"",
    "[]",
    "[ ]",
    "[1]",
    "[1,2]",
    "[[]]",
    "[null,1,\"a\",{}]",
    "{}",
    "{ }",
    "{\"a\":1}",
    "{\"a\":{\"b\":[]}}",
    "{\"\":0}",
    "{\"a\":1,\"b\":2}",
    " [ 1 , 2 ] ",
];

/// Texts that every JSON parser must refuse.
const REFUSED: [&str; 60] = [
    "01",
    "-",
    "+1",
    "1.",
    ".5",
    "1e",
    "1e+",
    "0x1",
    "1_000",
    "-01",
    "--1",
    "1.2.3",
    "1e1.5",
    "NaN",
    "Infinity",
    "-Infinity",
    "nul",
    "tru",
    "True",
    "nulll",
    "'a'",
    "\"",
    "\"a",
    "\"\\\"",
    "\"\\a\"",
    "\"\\u12\"",
    "\"\\u12G4\"",
    "\"\\x41\"",
    "\"\t\"",
    "\"\u{1}\"",
    "\"\\",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[1 2]",
    "[1}",
    "[\"a\" \"b\"]",
    "[1]]",
    "[1]x",
    "{",
    "}",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,}",
    "{,}",
    "{\"a\" 1}",
    "{a:1}",
    "{1:1}",
    "{\"a\"::1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1}}",
    "/**/1",
    "1//",
    "\u{feff}1",
    "\u{a0}1",
];

/// Tables: the text after the header `a,b`, how many rows, and how many dead letters.
const TABLES: [(&str, u64, u64); 30] = [
    ("1,2\n", 1, 0),
    ("1,2\r\n3,4\r\n", 2, 0),
    ("1,2\r3,4\r", 2, 0),
    ("1,2\n3,4", 2, 0),
    ("1,2\r\r\n3,4\r\r\n", 2, 0),
    ("1,2\n\n\n3,4\n", 2, 0),
    (",\n", 1, 0),
    ("\"\",\"\"\n", 1, 0),
    ("\"a,b\",c\n", 1, 0),
    ("\"a\nb\",c\n", 1, 0),
    ("\"a\r\nb\",c\n", 1, 0),
    ("\"a\rb\",c\n", 1, 0),
    ("\"a \"\"b\"\" c\",d\n", 1, 0),
    ("\"\"\"\",x\n", 1, 0),
    ("{\"\"a\"\": 1},x\n", 1, 0),
    ("\"{\"\"a\"\": 1}\",x\n", 1, 0),
    ("é,日本\n", 1, 0),
    ("a b , c\n", 1, 0),
    ("5\" pipe,x\n", 1, 0),
    ("1\n", 0, 1),
    ("1,2,3\n", 0, 1),
    ("\"a\"b,c\n", 0, 1),
    ("\"a\" ,c\n", 0, 1),
    ("a \"b\",c\n", 0, 1),
    ("$2\"a, b\"\n", 0, 1),
    ("a, \"b\"\n", 0, 1),
    ("x,\"a\n1,2\n", 1, 1),
    ("\"a,b\n1,2\n", 1, 1),
    ("1;2\n3,4\n", 1, 1),
    ("\"a\\\"b\",c\n", 0, 1),
];

/// Compares all of them, and prints a table.
pub(crate) fn compare() -> bool {
    let schema = json!({"type": "object"});
    let [lines, array, table] = [Format::Ndjson, Format::JsonArray, Format::Csv].map(ReadSettings::of);
    let gives = |settings: &ReadSettings, text: &str, expected| {
        let given = read(&schema, settings, text.as_bytes());
        let agrees = given == Ok(expected);
        if !agrees {
            eprintln!("{:?} {text:?}: {given:?}, not {expected:?}", settings.format);
        }
        agrees
    };
    let read_as = |text: &&str| {
        gives(&lines, &format!("{{\"v\":{text}}}"), (1, 0)) && gives(&array, &format!("[{{\"v\":{text}}}]"), (1, 0))
    };
    let refused_as = |text: &&str| {
        gives(&lines, &format!("{{\"v\":{text}}}"), (0, 1)) && gives(&array, &format!("[{{\"v\":{text}}}]"), (0, 1))
    };
    let rows = |(text, rows, letters): &(&str, u64, u64)| gives(&table, &format!("a,b\n{text}"), (*rows, *letters));
    let counts = [
        ("JSON that must be read", READ.len(), READ.iter().filter(|text| read_as(text)).count()),
        ("JSON that must be refused", REFUSED.len(), REFUSED.iter().filter(|text| refused_as(text)).count()),
        ("CSV", TABLES.len(), TABLES.iter().filter(|case| rows(case)).count()),
    ];
    println!("\n| cases | number | agree |");
    println!("|---|---|---|");
    counts.iter().for_each(|(what, number, agree)| println!("| {what} | {number} | {agree} |"));
    counts.iter().all(|(_, number, agree)| number == agree)
}
