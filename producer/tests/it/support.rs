//! Recipes, and batches made from them.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use lake::{clock::Timestamp, stream::Format};
use producer::{
    Compression,
    batch::{Batch, Earlier, Recipe},
    truth::RecordFate,
};

pub(crate) const FORMATS: [Format; 3] = [Format::JsonArray, Format::Ndjson, Format::Csv];
pub(crate) const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

/// A recipe without corruption, faults or copies.
pub(crate) fn recipe(format: Format, seed: u64) -> Recipe {
    Recipe {
        stream: "events".parse().unwrap(),
        format,
        compression: Compression::None,
        batch_size: 50,
        corrupt_batches: 0.0,
        invalid_records: 0.0,
        duplicates: 0.0,
        seed,
    }
}

/// The first batches of a run.
pub(crate) fn batches(recipe: &Recipe, count: u64) -> Vec<Batch> {
    let mut earlier = Earlier::default();
    (1..=count).map(|number| recipe.batch(number, at(number), &mut earlier)).collect()
}

/// A time that many seconds after a fixed one.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + seconds as i64 * 1_000_000).unwrap()
}

/// The folder that defines the streams.
pub(crate) fn streams() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../streams")
}

/// A record's text, if it has one.
pub(crate) fn text(fate: &RecordFate) -> Option<&str> {
    match fate {
        RecordFate::Row(row) => Some(&row.text),
        RecordFate::DeadLetter(dead_letter) => dead_letter.text.as_deref(),
    }
}

/// The text of a compressed object, from all its members or frames, as in a reader.
pub(crate) fn decompress(compression: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    match compression {
        Compression::None => return Ok(bytes.to_vec()),
        Compression::Gzip => flate2::bufread::MultiGzDecoder::new(bytes).read_to_end(&mut text)?,
        Compression::Zstd => zstd::stream::read::Decoder::new(bytes)?.read_to_end(&mut text)?,
    };
    Ok(text)
}

/// Whether a reader recognises an object as compressed.
pub(crate) fn looks_compressed(compression: Compression, bytes: &[u8]) -> bool {
    match compression {
        Compression::None => false,
        Compression::Gzip => bytes.starts_with(&[0x1f, 0x8b, 0x08]),
        Compression::Zstd => bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
    }
}
