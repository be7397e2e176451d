//! What the prompt shows first: which lake it is, what is in it, and what to try.

use crate::{error::Error, quote::identifier, session::StreamSummary};

/// How many streams are listed.
const STREAMS_SHOWN: usize = 2;

/// At most five lines.
pub(super) fn greeting(place: &str, streams: &[StreamSummary]) -> Result<String, Error> {
    let count = match streams.len() {
        0 => "no stream yet".to_owned(),
        1 => "1 stream".to_owned(),
        count => format!("{count} streams"),
    };
    let mut lines = vec![format!("Lake {place}: {count}.")];
    let shown = if streams.len() > STREAMS_SHOWN { STREAMS_SHOWN - 1 } else { streams.len() };
    let widest = streams.iter().take(shown).map(|stream| stream.name.chars().count()).max().unwrap_or(0);
    lines.extend(streams.iter().take(shown).map(|stream| {
        let space = " ".repeat(widest - stream.name.chars().count());
        format!(
            "  {}{space}  {} rows, {} dead letters",
            stream.name,
            with_commas(stream.rows),
            with_commas(stream.dead_letters)
        )
    }));
    if streams.len() > shown {
        lines.push(format!("  and {} more: .tables lists them", streams.len() - shown));
    }
    let example = streams.iter().max_by_key(|stream| stream.rows).map(|stream| name(&stream.name));
    let example = example.map_or("checkpoints.batches".to_owned(), |name| format!("bronze.{name}"));
    lines.push(format!("Try: FROM {example} LIMIT 5;"));
    lines.push(
        "Statements end with \";\"; Tab completes; .dead and .lag show what is wrong; .help shows more.".to_owned(),
    );
    Ok(lines.join("\n"))
}

fn name(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { name.to_owned() } else { identifier(name) }
}

fn with_commas(count: i64) -> String {
    let digits = count.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|part| std::str::from_utf8(part).ok()).collect();
    parts.join(",")
}
