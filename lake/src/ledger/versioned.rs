//! How ledger files are stored: JSON that begins with a `version`, read only if the version is known.
//!
//! A file is written in the lowest version that can express it. So an older program reads everything that it
//! understands, and stops at the rest with a message.

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{error::Error, keys::Key};

/// A kind of stored file.
pub trait StoredFormat {
    /// The newest version that this program writes and reads; it reads all versions from 1.
    const VERSION: u32;

    /// The lowest version that can express this value.
    fn version(&self) -> u32 {
        Self::VERSION
    }
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

/// The bytes of a ledger file: the version, then the fields in their order, on one line that ends with a line feed.
///
/// # Errors
/// [`Error::Bug`] when the value has no JSON form.
pub fn encode<T: StoredFormat + Serialize>(value: &T) -> Result<Bytes, Error> {
    let versioned = Versioned { version: value.version(), value };
    let mut bytes = serde_json::to_vec(&versioned).map_err(|error| Error::Bug(format!("cannot encode: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

/// The bytes of a ledger file that this program reads back as the same value: anything else must never be stored, since it
/// would stop every program that reads the ledger.
///
/// # Errors
/// [`Error::Bug`] when it does not.
pub(super) fn encode_readable<T>(key: &Key, value: &T) -> Result<Bytes, Error>
where
    T: StoredFormat + Serialize + DeserializeOwned + PartialEq,
{
    let bytes = encode(value)?;
    match decode::<T>(key, &bytes) {
        Ok(read) if read == *value => Ok(bytes),
        Ok(_) => Err(Error::Bug(format!("{key} would be read as something else than was written; nothing was stored"))),
        Err(error) => Err(Error::Bug(format!("{key} could not be read again ({error}); nothing was stored"))),
    }
}

/// Reads a ledger file.
///
/// # Errors
/// [`Error::Damaged`], naming the file, when it is cut short, not JSON, of an unknown version, or has unknown fields.
pub fn decode<T: StoredFormat + DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T, Error> {
    let damaged = |error: serde_json::Error| {
        let what = if error.is_eof() { "is cut short".to_owned() } else { format!("can't be read: {error}") };
        Error::damaged(key, format!("{what}; restore it from a backup"))
    };
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    if !(1..=T::VERSION).contains(&head.version) {
        let (found, known) = (head.version, T::VERSION);
        let what = format!(
            "has format version {found}, and this program knows version {known}; use the program that wrote it"
        );
        return Err(Error::damaged(key, what));
    }
    // Every field except the version must be known. This program writes the version first, so that it is easily cut
    // off; a file of another writer is parsed as a map.
    let value: T = match bytes.strip_prefix(format!("{{\"version\":{},", head.version).as_bytes()) {
        Some(rest) => serde_json::from_slice(&[b"{", rest].concat()).map_err(damaged)?,
        None => {
            let mut document: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(bytes).map_err(damaged)?;
            document.shift_remove("version");
            serde_json::from_value(serde_json::Value::Object(document)).map_err(damaged)?
        }
    };
    if value.version() > head.version {
        let what =
            format!("has format version {}, which can't express its fields; restore it from a backup", head.version);
        return Err(Error::damaged(key, what));
    }
    Ok(value)
}
