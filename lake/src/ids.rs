//! Ids and names: of streams, batches, tasks, schemas, fingerprints.
//!
//! Newtypes, so that no two of them can be swapped. Their text forms are in keys and stored files: add, never change.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The error for a text that is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {wanted}")]
pub struct IdError {
    wanted: &'static str,
    found: String,
}

impl IdError {
    /// `found` is not `wanted`; only the start of a long text is kept.
    pub(crate) fn new(wanted: &'static str, found: &str) -> Self {
        Self { wanted, found: found.chars().take(300).collect() }
    }
}

fn refuse<T>(wanted: &'static str, found: &str) -> Result<T, IdError> {
    Err(IdError::new(wanted, found))
}

/// A stream's name: one segment of a key and the stem of a file name.
///
/// Any text of 1 to 150 bytes without `/`, control characters or a leading `%~`, except `.`, `..` and `_archive`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamName(String);

impl StreamName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StreamName {
    /// Not a stream's name: the folder for archived objects, next to the streams in the raw zone.
    pub const RESERVED: &str = "_archive";
}

impl FromStr for StreamName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let unusable = text.is_empty()
            || text.len() > 150
            || text == "."
            || text == ".."
            || text.starts_with("%~")
            || text == Self::RESERVED
            || text.chars().any(|c| c == '/' || c.is_control());
        if unusable {
            return refuse(
                "a valid stream name (1 to 150 bytes, no \"/\" or control characters, not \".\", \"..\" or \"_archive\")",
                text,
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for StreamName {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<StreamName> for String {
    fn from(name: StreamName) -> Self {
        name.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A batch's number: 1, 2, 3, … without a gap; 20 digits in keys, so that keys sort like numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(u64);

impl BatchId {
    /// The first batch of a stream.
    pub const FIRST: Self = Self(1);

    /// The batch with this number; `None` for 0.
    pub fn new(number: u64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// The batch after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}", self.0)
    }
}

impl FromStr for BatchId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match digits(text, 20).and_then(Self::new) {
            Some(id) => Ok(id),
            None => refuse("a batch number of 20 digits, from 1", text),
        }
    }
}

/// A counter within a batch, for tasks, inputs and attempts: 0, 1, 2, …; five digits in keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ordinal(u32);

impl Ordinal {
    /// One more than the largest ordinal: no batch has more tasks or inputs than this.
    pub const LIMIT: usize = 100_000;

    /// The ordinal of this value; `None` from [`Ordinal::LIMIT`] on.
    pub fn new(value: usize) -> Option<Self> {
        (value < Self::LIMIT).then(|| u32::try_from(value).map(Self).ok()).flatten()
    }

    /// The value, as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:05}", self.0)
    }
}

impl FromStr for Ordinal {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match digits(text, 5).and_then(|n| Self::new(usize::try_from(n).ok()?)) {
            Some(ordinal) => Ok(ordinal),
            None => refuse("a number of 5 digits", text),
        }
    }
}

fn digits(text: &str, width: usize) -> Option<u64> {
    let all_digits = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

pub(crate) fn is_hex(text: &str, width: usize) -> bool {
    text.len() == width && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The text of an id that is a number: all of its hex digits, which are also its JSON form.
macro_rules! hex_number {
    ($name:ident, $number:ty, $wanted:literal) => {
        impl $name {
            const WIDTH: usize = 2 * size_of::<$number>();
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:0width$x}", self.0, width = Self::WIDTH)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match <$number>::from_str_radix(text, 16) {
                    Ok(id) if $crate::ids::is_hex(text, Self::WIDTH) => Ok(Self(id)),
                    _ => Err($crate::ids::IdError::new($wanted, text)),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use hex_number;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $width:literal, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id of exactly these bytes: the first hex digits of their SHA-256.
            pub fn of(bytes: &[u8]) -> Self {
                Self(sha256_hex(bytes)[..$width].to_owned())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_hex(text, $width) { Ok(Self(text.to_owned())) } else { refuse($wanted, text) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

hex_id!(
    /// A schema's id: 16 hex digits derived from its JSON Schema and its columns.
    SchemaId,
    16,
    "a schema id of 16 hex digits"
);

hex_id!(
    /// What decides a file's bytes in addition to its plan, as 8 hex digits: the versions of enforcement and writer.
    Fingerprint,
    8,
    "a fingerprint of 8 hex digits"
);

hex_id!(
    /// A version of an object as 16 hex digits derived from its ETag.
    VersionId,
    16,
    "a version id of 16 hex digits"
);

/// An object's content, as the first 128 bits of its BLAKE3 hash: no two contents share one, by chance or by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(u128);

impl ContentId {
    /// The id of exactly these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = ContentHasher::default();
        hasher.update(bytes);
        hasher.finish()
    }
}

/// Computes the [`ContentId`] of bytes that arrive piece by piece.
#[derive(Clone, Debug, Default)]
pub struct ContentHasher(blake3::Hasher);

impl ContentHasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The id of all pieces taken so far, joined in order.
    pub fn finish(&self) -> ContentId {
        let mut first = [0; 16];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..16]);
        ContentId(u128::from_be_bytes(first))
    }
}

hex_number!(ContentId, u128, "a content id of 32 hex digits");

/// The SHA-256 of `bytes` in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
