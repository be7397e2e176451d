//! How ledger files are stored: JSON with a `version` at its head, read only where the version is known.

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{error::Error, keys::Key};

/// A kind of stored file.
pub trait StoredFormat {
    /// The version that this program writes, and the newest that it reads.
    const VERSION: u32;
}

#[derive(Deserialize)]
struct Head {
    version: u32,
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    version: u32,
    #[serde(flatten)]
    value: &'a T,
}

/// The bytes of a ledger file: the version, then the fields in their order, one line, closed by a line feed.
///
/// # Errors
/// [`Error::Bug`] when the value has no JSON form.
pub fn encode<T: StoredFormat + Serialize>(value: &T) -> Result<Bytes, Error> {
    let versioned = Versioned { version: T::VERSION, value };
    let mut bytes = serde_json::to_vec(&versioned).map_err(|error| Error::Bug(format!("cannot encode: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

/// Reads a ledger file.
///
/// # Errors
/// [`Error::Damaged`], naming the file, when it is cut short, no JSON, of an unknown version, or has unknown fields.
pub fn decode<T: StoredFormat + DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T, Error> {
    let damaged = |error: serde_json::Error| {
        let what = if error.is_eof() { "is cut short".to_owned() } else { format!("can't be read: {error}") };
        Error::damaged(key, format!("{what}; restore it from a backup"))
    };
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    if head.version != T::VERSION {
        let (found, known) = (head.version, T::VERSION);
        let what = format!(
            "has format version {found}, and this program knows version {known}; use the program that wrote it"
        );
        return Err(Error::damaged(key, what));
    }
    // Every field but the head's must be known. This program writes the head first, so that it is cut off easily; a file
    // of another writer is taken apart.
    match bytes.strip_prefix(format!("{{\"version\":{},", T::VERSION).as_bytes()) {
        Some(rest) => serde_json::from_slice(&[b"{", rest].concat()).map_err(damaged),
        None => {
            let mut document: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(bytes).map_err(damaged)?;
            document.shift_remove("version");
            serde_json::from_value(serde_json::Value::Object(document)).map_err(damaged)
        }
    }
}
