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

use crate::{
    error::Error,
    retry::{PATIENCE, patiently},
    settings::SinkSettings,
};

/// Where objects go. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Sink {
    Lake(Lake),
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
    pub(crate) async fn open(settings: &SinkSettings) -> Result<Self, Error> {
        match settings {
            SinkSettings::Stdout => Ok(Self::Stdout),
            SinkSettings::Lake(urls) => Ok(Self::Lake(open_lake(urls).await?)),
        }
    }

    /// How many objects may be in flight at once: one for stdout, where a second would not be faster.
    pub(crate) fn in_flight_max(&self) -> usize {
        match self {
            Self::Lake(_) => 8,
            Self::Stdout => 1,
        }
    }

    /// Where objects go, for messages.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Lake(lake) => lake.zone(ZoneName::Raw).url(),
            Self::Stdout => "stdout",
        }
    }

    /// Sends one object; asks for its version only if `wants_etag`.
    ///
    /// # Errors
    /// [`Error::GaveUp`] when the store failed for too long; any other error at once.
    pub(crate) async fn send(&self, key: &Key, bytes: Bytes, wants_etag: bool) -> Result<Sent, Error> {
        match self {
            Self::Lake(lake) => send_to_lake(lake, key, bytes, wants_etag).await,
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

async fn open_lake(urls: &LakeUrls) -> Result<Lake, Error> {
    let lake = Lake::open(urls).await?;
    let url = lake.zone(ZoneName::Raw).url().to_owned();
    let reached = patiently(&format!("reaching {url}"), || lake.check_reachable(ZoneName::Raw)).await;
    reached.map_err(give_up(&lake))?;
    Ok(lake)
}

/// Creates the object instead of overwriting it: when a response is lost, a second plain PUT could make a second
/// version of the object, and a consumer reads each version as a separate input.
async fn send_to_lake(lake: &Lake, key: &Key, bytes: Bytes, wants_etag: bool) -> Result<Sent, Error> {
    let created = patiently(&format!("sending {key}"), || lake.create(key, bytes.clone())).await;
    if let Created::Theirs(_) = created.map_err(give_up(lake))? {
        return Err(Error::KeyTaken { location: lake.location(key) });
    }
    if !wants_etag {
        return Ok(Sent::Stored { etag: None });
    }
    let found = patiently(&format!("looking at {key}"), || lake.head(key)).await.map_err(give_up(lake))?;
    Ok(Sent::Stored { etag: found.map(|object| object.etag).filter(|etag| !etag.is_empty()) })
}

fn give_up(lake: &Lake) -> impl FnOnce(lake::Error) -> Error {
    let url = lake.zone(ZoneName::Raw).url().to_owned();
    move |source| match source.kind() {
        ErrorKind::Retry => Error::GaveUp { url, seconds: PATIENCE.as_secs(), source: Box::new(source) },
        _ => Error::Lake(source),
    }
}

fn write_to_stdout(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}
