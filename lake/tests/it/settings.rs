//! Settings and stream definitions: what is accepted, and that all mistakes are reported at once.

use std::{fs, path::Path, time::Duration};

use lake::{
    Error, ErrorKind,
    keys::ZoneName,
    settings::{LakeArgs, LakeUrls},
    stream::{CsvQuotes, CsvSettings, Format, StreamDefinition},
};

fn message(error: &Error) -> String {
    assert_eq!(error.kind(), ErrorKind::Invalid);
    error.to_string()
}

#[test]
fn zones_are_below_the_lake_unless_set_otherwise() {
    let args = LakeArgs {
        lake_url: Some("s3://lake/team".to_owned()),
        zone_urls: [Some("s3://theirs/landing/".to_owned()), None, None, None],
        ..LakeArgs::default()
    };
    let urls = args.check().unwrap();
    let text = |name| urls.zone(name).1.to_string();
    assert_eq!(text(ZoneName::Raw), "s3://theirs/landing");
    assert_eq!(text(ZoneName::Bronze), "s3://lake/team/bronze");
    assert_eq!(text(ZoneName::DeadLetters), "s3://lake/team/dead_letters");
    assert_eq!(text(ZoneName::Checkpoints), "s3://lake/team/checkpoints");
}

#[test]
fn every_wrong_url_is_reported_at_once_with_its_variable() {
    let args = LakeArgs {
        lake_url: Some("ftp://lake".to_owned()),
        zone_urls: ["s3://UPPER", "file://relative/folder", "s3://lake/../else", "lake"]
            .map(|url| Some(url.to_owned())),
        follow_links: Some("maybe".to_owned()),
    };
    let message = message(&args.check().unwrap_err());
    for name in ["LAKE_URL", "RAW_URL", "BRONZE_URL", "DEAD_LETTERS_URL", "CHECKPOINTS_URL", "FOLLOW_LINKS"] {
        assert!(message.contains(name), "{name} in {message}");
    }
}

#[test]
fn a_missing_lake_url_error_says_how_to_set_one() {
    let message = message(&LakeArgs::default().check().unwrap_err());
    assert!(message.contains("LAKE_URL") && message.contains("s3://"), "{message}");
    assert!(LakeUrls::below("memory://").is_ok());
}

fn stream_files(toml: &str, schema: &str) -> (tempfile::TempDir, Result<StreamDefinition, Error>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("events.toml"), toml).unwrap();
    fs::write(folder.path().join("events.schema.json"), schema).unwrap();
    let loaded = StreamDefinition::load(folder.path(), &"events".parse().unwrap());
    (folder, loaded)
}

const SCHEMA: &str = r#"{"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}}"#;

#[test]
fn a_stream_only_needs_a_format() {
    let (_folder, loaded) = stream_files("[source]\nformat = \"ndjson\"\n", SCHEMA);
    let loaded = loaded.unwrap();
    assert_eq!(loaded.read.format, Format::Ndjson);
    assert_eq!(loaded.interval, Duration::from_secs(1));
    assert_eq!(loaded.read.event_time.as_deref(), Some("at"), "the first date-time column");
}

#[test]
fn a_stream_says_how_its_csv_is_written() {
    let csv = "[source]\nformat = \"csv\"\n[csv]\ndelimiter = \"\\t\"\nquote = \"'\"\nnull = \"NULL\"\nquotes = \"strict\"\n[limits]\nfields = 7\nratio = 9\nzstd_window = \"1GiB\"\n";
    let (_folder, loaded) = stream_files(csv, SCHEMA);
    let read = loaded.unwrap().read;
    let null = "NULL".to_owned();
    assert_eq!(read.csv, CsvSettings { delimiter: '\t', quote: '\'', null, quotes: CsvQuotes::Strict });
    assert_eq!((read.format, read.fields_max, read.ratio_max), (Format::Csv, 7, 9));
    assert_eq!(read.zstd_window_max, 1 << 30);
    for (toml, parts) in [
        ("[source]\nformat = \"csv\"\n[csv]\ndelimiter = \"||\"\nquote = \"é\"\n", ["csv.delimiter", "csv.quote"]),
        ("[source]\nformat = \"csv\"\n[csv]\ndelimiter = \"\\\"\"\n", ["csv.quote", "differ"]),
        ("[source]\nformat = \"ndjson\"\n[csv]\nquote = \"'\"\nnull = \"-\"\n", ["csv.quote", "csv.null"]),
        ("[source]\nformat = \"ndjson\"\n[csv]\nquotes = \"lenient\"\n", ["csv.quotes", "only for"]),
        ("[source]\nformat = \"csv\"\n[csv]\nquotes = \"some\"\n", ["csv.quotes", "lenient"]),
    ] {
        let (_folder, loaded) = stream_files(toml, SCHEMA);
        let message = message(&loaded.unwrap_err());
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?} in {message}");
    }
}

#[test]
fn patterns_of_names_are_lists_of_globs() {
    for (source, parts) in [
        ("ignore = \"*.tmp\"", ["source.ignore", "list of strings"]),
        ("ignore = [1]", ["source.ignore", "list of strings"]),
        ("include = [\"a\", \"[\"]", ["source.include", "\"[\" is not a glob pattern"]),
    ] {
        let (_folder, loaded) = stream_files(&format!("[source]\nformat = \"ndjson\"\n{source}\n"), SCHEMA);
        let message = message(&loaded.unwrap_err());
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?} in {message}");
    }
}

#[test]
fn every_mistake_of_a_stream_is_reported_at_once_with_its_key() {
    let toml = "surprise = 1\n[source]\nformat = \"xml\"\n[trigger]\ninterval = \"soon\"\n[batch]\nbytes = \"-1\"\nobjetcs = 3\n";
    let (_folder, loaded) = stream_files(toml, "{\"type\": ");
    let message = message(&loaded.unwrap_err());
    for part in
        ["source.format", "xml", "trigger.interval", "soon", "batch.bytes", "batch.objetcs", "surprise", "not JSON"]
    {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn an_event_time_that_is_not_a_time_column_is_refused() {
    let (_folder, loaded) = stream_files("[source]\nformat = \"ndjson\"\nevent_time = \"nowhere\"\n", SCHEMA);
    let message = message(&loaded.unwrap_err());
    assert!(message.contains("source.event_time") && message.contains("nowhere"), "{message}");
}

#[test]
fn an_unknown_stream_error_lists_the_known_ones() {
    let (folder, _loaded) = stream_files("[source]\nformat = \"ndjson\"\n", SCHEMA);
    let unknown = StreamDefinition::load(folder.path(), &"evnets".parse().unwrap()).unwrap_err();
    let text = message(&unknown);
    assert!(text.contains("evnets") && text.contains("\"events\""), "{text}");
    let nowhere = StreamDefinition::load(Path::new("/nonexistent"), &"events".parse().unwrap()).unwrap_err();
    assert!(message(&nowhere).contains("no stream is defined there"));
}

#[test]
fn every_shipped_stream_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../streams");
    let names = StreamDefinition::names_in(&folder);
    assert!(!names.is_empty());
    for name in names {
        StreamDefinition::load(&folder, &name).unwrap();
    }
}

#[test]
fn credentials_in_a_url_are_refused_and_never_repeated() {
    let urls = ["s3://user:pass@bucket", "s3://user:pa/ss@bucket/x", "user:pass@bucket", "s3:user:pass@bucket"];
    for url in urls.into_iter().chain([
        "http://user:pass@localhost:9000/lake",
        "file://user:pass@host/x",
        "s3://user:pass@bu\tcket",
    ]) {
        let text = message(&LakeUrls::below(url).unwrap_err());
        assert!(text.contains("LAKE_URL: credentials do not belong in the URL; set AWS_ACCESS_KEY_ID"), "{text}");
        assert!(!text.contains("pa"), "{url}: {text}");
    }
    for url in ["s3://bucket/team@work", "file:///home/me@work"] {
        assert!(LakeUrls::below(url).is_ok(), "{url}");
    }
}
