//! Recipes, and batches made of them.

use std::path::{Path, PathBuf};

use lake::{clock::Timestamp, stream::Format};
use producer::batch::{Batch, Earlier, Recipe};

/// A recipe without corruption, faults or copies.
pub(crate) fn recipe(format: Format, seed: u64) -> Recipe {
    let stream = "events".parse().unwrap();
    Recipe { stream, format, batch_size: 50, corrupt_batches: 0.0, invalid_records: 0.0, duplicates: 0.0, seed }
}

/// The first batches of a run.
pub(crate) fn batches(recipe: &Recipe, count: u64) -> Vec<Batch> {
    let mut earlier = Earlier::default();
    (1..=count).map(|number| recipe.batch(number, at(number), &mut earlier)).collect()
}

/// A moment that many seconds after some other.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + seconds as i64 * 1_000_000).unwrap()
}

/// The folder that defines the streams.
pub(crate) fn streams() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../streams")
}
