//! Sends objects to their sink.
//!
//! Knows sinks. Knows nothing about the content of an object.
//! Invariant: an object that is sent twice, because the first response was lost, is one object with one version.

use std::io::Write;

use bytes::Bytes;
use lake::{
    ErrorKind,
    keys::{Key, ZoneName},
    settings::LakeUrls,
    store::{Created, Lake},
};
use program::backoff::Patience;

use crate::{error::Error, retry::patiently, settings::SinkSettings};

/// Where objects go. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Sink {
    Lake {
        lake: Lake,
        /// How long to wait while the store fails.
        patience: Patience,
    },
    Stdout,
}

/// The result of sending an object.
pub(crate) enum Sent {
    /// The object is stored, with its version if it was asked for and the store has one.
    Stored { etag: Option<String> },
    /// The reader of stdout is gone.
    ReaderGone,
}

impl Sink {
    /// Opens the sink; waits if the store does not respond yet.
    pub(crate) async fn open(settings: &SinkSettings, patience: Patience) -> Result<Self, Error> {
        match settings {
            SinkSettings::Stdout => Ok(Self::Stdout),
            SinkSettings::Lake(urls) => Ok(Self::Lake { lake: open_lake(urls, patience).await?, patience }),
        }
    }

    /// How many objects may be in flight at once: one for stdout, where a second would not be faster.
    pub(crate) fn in_flight_max(&self) -> usize {
        match self {
            Self::Lake { .. } => 8,
            Self::Stdout => 1,
        }
    }

    /// Where objects go, for messages.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Lake { lake, .. } => lake.zone(ZoneName::Raw).url(),
            Self::Stdout => "stdout",
        }
    }

    /// Sends one object; asks for its version only if `wants_etag`.
    ///
    /// # Errors
    /// [`Error::GaveUp`] when the store failed for too long; any other error at once.
    pub(crate) async fn send(&self, key: &Key, bytes: Bytes, wants_etag: bool) -> Result<Sent, Error> {
        match self {
            Self::Lake { lake, patience } => send_to_lake(lake, *patience, key, bytes, wants_etag).await,
            Self::Stdout => {
                let written = tokio::task::spawn_blocking(move || write_to_stdout(&bytes)).await;
                match written.map_err(|source| Error::Bug { source })? {
                    Ok(()) => Ok(Sent::Stored { etag: None }),
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Sent::ReaderGone),
                    Err(source) => Err(Error::Stdout { source }),
                }
            }
        }
    }
}

async fn open_lake(urls: &LakeUrls, patience: Patience) -> Result<Lake, Error> {
    let lake = Lake::open(urls).await?;
    let reached = patiently(patience, || lake.check_reachable(ZoneName::Raw)).await;
    reached.map_err(give_up(&lake, patience))?;
    Ok(lake)
}

/// Creates the object instead of overwriting it: when a response is lost, a second plain PUT could make a second
/// version of the object, and a consumer reads each version as a separate input.
async fn send_to_lake(
    lake: &Lake,
    patience: Patience,
    key: &Key,
    bytes: Bytes,
    wants_etag: bool,
) -> Result<Sent, Error> {
    let created = patiently(patience, || lake.create(key, bytes.clone())).await;
    if let Created::Theirs(_) = created.map_err(give_up(lake, patience))? {
        return Err(Error::KeyTaken { location: lake.location(key) });
    }
    if !wants_etag {
        return Ok(Sent::Stored { etag: None });
    }
    let found = patiently(patience, || lake.head(key)).await.map_err(give_up(lake, patience))?;
    Ok(Sent::Stored { etag: found.map(|object| object.etag).filter(|etag| !etag.is_empty()) })
}

fn give_up(lake: &Lake, patience: Patience) -> impl FnOnce(lake::Error) -> Error {
    let url = lake.zone(ZoneName::Raw).url().to_owned();
    move |source| match source.kind() {
        ErrorKind::Retry => Error::GaveUp { url, patience, source: Box::new(source) },
        _ => Error::Lake(source),
    }
}

fn write_to_stdout(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}
