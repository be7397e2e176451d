//! Looks at a stream and changes nothing: how far it is, and whether its ledger agrees with its store.

mod status;
mod verify;

pub use status::{Status, StatusFollower, status};
pub use verify::{Verification, verify};

use futures::TryStreamExt;
use lake::{
    Error,
    keys::{Prefix, ZoneName},
    ledger::Ledger,
    settings::Problems,
};

/// Refuses a stream that has neither a ledger nor anything in the raw zone: its name is mistyped, or the lake's is.
///
/// # Errors
/// [`Error::Settings`] with the names of the existing streams, or [`Error::NoLake`]; [`Error::Store`] when the store
/// failed.
async fn refuse_unknown(ledger: &Ledger) -> Result<(), Error> {
    let (lake, stream) = (ledger.lake(), ledger.stream());
    let streams = lake.streams().await?;
    if streams.contains(stream) || lake.list(&Prefix::Raw(stream), None).try_next().await?.is_some() {
        return Ok(());
    }
    lake.check_exists().await?;
    let names: Vec<_> = streams.iter().map(|name| format!("{:?}", name.as_str())).collect();
    let names = if names.is_empty() { "no stream".to_owned() } else { names.join(", ") };
    let mut problems = Problems::default();
    let place = lake.zone(ZoneName::Checkpoints);
    problems.add("--stream", format!("unknown stream {:?}; the lake has: {names} ({place})", stream.as_str()));
    problems.into_result()
}

/// The law in words: `6 read = 4 rows + 1 dead letter + 1 discarded`, after what was counted.
fn balance(read: &str, rows: u64, dead_letters: u64, discarded: u64) -> String {
    let (rows, dead_letters) = (counted(rows, "row"), counted(dead_letters, "dead letter"));
    let discarded = if discarded == 0 { String::new() } else { format!(" + {discarded} discarded") };
    format!("{read} read = {rows} + {dead_letters}{discarded}")
}

/// A count of things: `1 batch`, `2 batches`.
fn counted(count: u64, thing: &str) -> String {
    let ending = if thing.ends_with("ch") { "es" } else { "s" };
    format!("{count} {thing}{}", if count == 1 { "" } else { ending })
}
