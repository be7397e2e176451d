//! Reads a file piece by piece, or its metadata.
//!
//! Knows files and their versions. Knows nothing about how they are found.
//! Invariant: what is returned is what was asked for: this range of this version, with its true size.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, stream};
use object_store::{Attributes, Error, GetOptions, GetResult, GetResultPayload, ObjectMeta, Result, path};

use super::{
    blocking,
    error::{FolderFailure, failed},
    name::shown,
};

/// How much is read at once: enough to hide the cost of switching threads.
const PIECE_BYTES_MAX: u64 = 1 << 20;

pub(super) fn get(file: &Path, location: path::Path, options: &GetOptions) -> Result<GetResult> {
    let Opened { opened, found } = open(file)?;
    let meta = meta(location, &found);
    options.check_preconditions(&meta)?;
    let range = match &options.range {
        Some(range) => range.as_range(meta.size).map_err(|error| FolderFailure::Other {
            doing: "read a range of",
            path: shown(file),
            detail: error.to_string(),
        })?,
        None => 0..meta.size,
    };
    let payload = if options.head {
        stream::empty().boxed()
    } else {
        let version = meta.e_tag.clone();
        let mut pieces = Pieces { opened, file: file.to_path_buf(), due: range.clone(), version, at_start: true };
        // Read on this thread: for a small file, switching threads costs as much as reading it.
        let first = pieces.next()?;
        stream::iter(first.map(Ok)).chain(pieces.into_stream()).boxed()
    };
    Ok(GetResult { payload: GetResultPayload::Stream(payload), meta, range, attributes: Attributes::default() })
}

/// A regular file, open for reading.
pub(super) struct Opened {
    opened: File,
    found: Metadata,
}

impl Opened {
    fn of(opened: File, file: &Path) -> Result<Self> {
        let found = opened.metadata().map_err(failed("access", file))?;
        if found.is_file() { Ok(Self { opened, found }) } else { Err(not_a_file(file)) }
    }

    /// Reads the file whole if it is this version; without `wanted`, only checks that it is.
    pub(super) fn whole(self, file: &Path, etag: &str, wanted: bool) -> Result<Option<Bytes>> {
        let Self { opened, found } = self;
        check_version(file, &found, etag)?;
        if !wanted {
            return Ok(None);
        }
        let (due, version) = (0..found.len(), Some(etag.to_owned()));
        let mut pieces = Pieces { opened, file: file.to_path_buf(), due, version, at_start: false };
        Ok(Some(pieces.read(found.len())?.unwrap_or_default()))
    }
}

/// Opens a regular file.
pub(super) fn open(file: &Path) -> Result<Opened> {
    match reading(false).open(file) {
        Ok(opened) => Opened::of(opened, file),
        Err(error) => Err(why_not_opened(file, error)),
    }
}

/// Opens a regular file; `None` if it is a link, on systems that can open a file without following one.
pub(super) fn open_unless_link(file: &Path) -> Result<Option<Opened>> {
    if cfg!(not(unix)) {
        return Ok(None);
    }
    match reading(true).open(file) {
        Ok(opened) => Opened::of(opened, file).map(Some),
        #[cfg(unix)]
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Ok(None),
        Err(error) => Err(why_not_opened(file, error)),
    }
}

/// To open a file for reading, without waiting for the writer of a named pipe.
fn reading(refuse_link: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = if refuse_link { OFlags::NONBLOCK | OFlags::NOFOLLOW } else { OFlags::NONBLOCK };
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    #[cfg(not(unix))]
    let _only_unix_knows = refuse_link;
    options
}

/// A socket can't be opened at all; it is not an object.
fn why_not_opened(file: &Path, error: io::Error) -> Error {
    match file.metadata() {
        Ok(found) if !found.is_file() => not_a_file(file),
        _ => failed("open", file)(error),
    }
}

fn not_a_file(file: &Path) -> Error {
    Error::NotFound { path: shown(file), source: "it is not a regular file".into() }
}

/// Refuses a file that is not the version that `etag` names.
pub(super) fn check_version(file: &Path, found: &Metadata, etag: &str) -> Result<()> {
    if version(found) == etag {
        return Ok(());
    }
    let source = format!("its version is {}, not {etag}", version(found)).into();
    Err(Error::Precondition { path: shown(file), source })
}

/// A file's metadata, as a listing shows it.
pub(super) fn meta(location: path::Path, found: &Metadata) -> ObjectMeta {
    ObjectMeta {
        location,
        last_modified: changed_at(found),
        size: found.len(),
        e_tag: Some(version(found)),
        version: None,
    }
}

/// A file's version: its modification time in nanoseconds, and its size. A copy keeps nothing else.
pub(super) fn version(found: &Metadata) -> String {
    let (sign, since) = since_epoch(found);
    format!("{sign}{:x}-{:x}", since.as_nanos(), found.len())
}

/// Whether a text can come from [`version`].
pub(super) fn is_version(text: &str) -> bool {
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = text.strip_prefix('-').unwrap_or(text).split_once('-');
    parts.is_some_and(|(time, size)| is_hex(time) && is_hex(size))
}

fn since_epoch(found: &Metadata) -> (&'static str, Duration) {
    match found.modified().unwrap_or(UNIX_EPOCH).duration_since(UNIX_EPOCH) {
        Ok(since) => ("", since),
        Err(before) => ("-", before.duration()),
    }
}

/// A file can claim any time; a time outside chrono's range is shown as the nearest one inside.
fn changed_at(found: &Metadata) -> DateTime<Utc> {
    let (sign, since) = since_epoch(found);
    let since = chrono::TimeDelta::from_std(since).ok();
    let time = if sign.is_empty() {
        since.and_then(|since| DateTime::UNIX_EPOCH.checked_add_signed(since))
    } else {
        since.and_then(|since| DateTime::UNIX_EPOCH.checked_sub_signed(since))
    };
    time.unwrap_or(if sign.is_empty() { DateTime::<Utc>::MAX_UTC } else { DateTime::<Utc>::MIN_UTC })
}

/// The bytes of one range of an open file.
struct Pieces {
    opened: File,
    file: PathBuf,
    /// The bytes still to read.
    due: Range<u64>,
    version: Option<String>,
    at_start: bool,
}

impl Pieces {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        stream::try_unfold(self, async |mut pieces| match pieces.due.is_empty() {
            true => Ok(None),
            false => blocking(move || Ok(pieces.next()?.map(|bytes| (bytes, pieces)))).await,
        })
    }

    fn next(&mut self) -> Result<Option<Bytes>> {
        self.read(PIECE_BYTES_MAX)
    }

    /// The next bytes, at most this many; `None` at the end.
    fn read(&mut self, most: u64) -> Result<Option<Bytes>> {
        let length = most.min(self.due.end - self.due.start);
        if length == 0 {
            return Ok(None);
        }
        let failed = failed("read", &self.file);
        if std::mem::take(&mut self.at_start) {
            self.opened.seek(SeekFrom::Start(self.due.start)).map_err(&failed)?;
        }
        let mut piece = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        (&mut self.opened).take(length).read_to_end(&mut piece).map_err(&failed)?;
        let now = version(&self.opened.metadata().map_err(&failed)?);
        if piece.len() as u64 != length || self.version.as_ref() != Some(&now) {
            let (doing, path) = ("read", shown(&self.file));
            return Err(FolderFailure::Other { doing, path, detail: "it changed while it was read".to_owned() }.into());
        }
        self.due.start += length;
        Ok(Some(piece.into()))
    }
}
