//! Compresses a finished object: one gzip member (RFC 1952), or one zstd frame (RFC 8878) with a content checksum.
//!
//! Knows nothing about the content of an object. Invariant: the same text gives the same bytes with the same versions
//! of zlib-rs and libzstd, which `Cargo.lock` pins; another version may compress the same text to other bytes.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::{bufread::MultiGzDecoder, write::GzEncoder};

/// How objects are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Uncompressed.
    #[default]
    None,
    /// As `gzip` does it.
    Gzip,
    /// As `zstd` does it.
    Zstd,
}

impl Compression {
    /// What a key ends with, after the format's own extension.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// The bytes to store for a text.
    pub(crate) fn compress(self, text: &Bytes) -> Bytes {
        let compressed = match self {
            Self::None => return text.clone(),
            Self::Gzip => gzip_member(text),
            Self::Zstd => zstd_frame(text),
        };
        compressed.expect("writing to memory does not fail, and the compression levels are valid").into()
    }

    /// Whether the first `text_max` bytes of text decompress without an error.
    pub(crate) fn reads(self, bytes: &[u8], text_max: u64) -> bool {
        let read = match self {
            Self::None => return true,
            Self::Gzip => drain(MultiGzDecoder::new(bytes), text_max),
            Self::Zstd => zstd::stream::read::Decoder::with_buffer(bytes).and_then(|text| drain(text, text_max)),
        };
        read.is_ok()
    }
}

/// Writes no file name and no time, so that the bytes follow from the text.
fn gzip_member(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text)?;
    encoder.finish()
}

fn zstd_frame(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?;
    // Without it, a changed byte could decompress to another text.
    compressor.include_checksum(true)?;
    compressor.compress(text)
}

fn drain(text: impl Read, text_max: u64) -> io::Result<u64> {
    io::copy(&mut text.take(text_max), &mut io::sink())
}
