//! Recognises gzip and zstd by content, and decompresses them within limits.
//!
//! Knows nothing about records. Invariant: the output never exceeds the limits, however small the input is.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lake::{
    dead_letter::{ErrorCode, Fault, Reason},
    stream::ReadSettings,
};

/// How an object is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    /// One or more members (RFC 1952).
    Gzip,
    /// One or more frames (RFC 8878).
    Zstd,
}

/// A small object may decompress to this length at any ratio: a run of spaces is not an attack.
const RATIO_FREE_BYTES: u64 = 1 << 20;

/// How much to read from a compressed source at a time.
const BUFFER_BYTES: usize = 128 << 10;

impl Compression {
    /// The compression of an object that begins with these bytes.
    pub(super) fn of(first: &[u8]) -> Self {
        match first {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame, which zstd's tools put before others.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Decompresses what `reader` gives.
    ///
    /// # Errors
    /// When no decoder can be created: out of memory.
    pub(super) fn undo<'a>(self, reader: impl Read + 'a, settings: &ReadSettings) -> io::Result<Box<dyn Read + 'a>> {
        let buffered = BufReader::with_capacity(BUFFER_BYTES, reader);
        Ok(match self {
            Self::None => Box::new(buffered),
            Self::Gzip => Box::new(MultiGzDecoder::new(buffered)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
                decoder.window_log_max(settings.zstd_window_max.max(1).ilog2())?;
                Box::new(decoder)
            }
        })
    }

    /// The fault of the object for a decoder's error.
    pub(super) fn fault(self, at: u64, error: &io::Error, settings: &ReadSettings) -> Fault {
        let (name, text) = (self.name(), error.to_string());
        if self == Self::Zstd && text.contains("not enough memory") {
            die_of_memory();
        }
        // zstd's own words for a frame with a large window.
        if self == Self::Zstd && text.contains("too much memory") {
            let message = format!(
                "the object is zstd with a window that is larger than limits.zstd_window allows, {} bytes; reading it \
                 takes that much memory",
                settings.zstd_window_max
            );
            return Fault::new(Reason::CorruptedBatch, ErrorCode::BadCompression, message);
        }
        let ends = error.kind() == io::ErrorKind::UnexpectedEof || text.contains("incomplete frame");
        let what = if ends { "ends too early" } else { "can't be decompressed" };
        let message = format!("the object is {name} and {what}, after {at} bytes of its text");
        Fault::new(Reason::CorruptedBatch, ErrorCode::BadCompression, message)
    }
}

/// Ends the process as any other allocation that fails: an object is not broken because this process lacks memory.
fn die_of_memory() -> ! {
    program::output::note(format_args!("memory allocation of a zstd window failed"));
    std::process::abort()
}

/// How long the text of an object of `size` bytes may become, and which limit sets that.
pub(super) struct TextLimit {
    bytes: u64,
    size: u64,
    by_ratio: bool,
    settings_bytes: u64,
    ratio: u64,
}

impl TextLimit {
    pub(super) fn of(size: u64, settings: &ReadSettings) -> Self {
        let by_ratio = size.saturating_mul(settings.ratio_max).max(RATIO_FREE_BYTES);
        Self {
            bytes: by_ratio.min(settings.object_bytes_max),
            size,
            by_ratio: by_ratio < settings.object_bytes_max,
            settings_bytes: settings.object_bytes_max,
            ratio: settings.ratio_max,
        }
    }

    /// The most bytes that may come out.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The fault of an object that becomes longer.
    pub(super) fn fault(&self) -> Fault {
        let message = if self.by_ratio {
            format!(
                "the object has {} bytes and more than {} when decompressed; limits.ratio allows {} times as many",
                self.size, self.bytes, self.ratio
            )
        } else {
            format!(
                "the object has more than {} bytes when decompressed; limits.object_bytes allows no more",
                self.settings_bytes
            )
        };
        Fault::new(Reason::Oversized, ErrorCode::TooLarge, message)
    }
}
