//! Lists a folder, and reports what in it can't be an object.
//!
//! Knows the kinds of files. Knows nothing about what keys mean.
//! Invariant: nothing is skipped silently except folders and files that are still being written.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use futures::{Stream, TryStreamExt, stream};
use object_store::{Error, ListResult, ObjectMeta, Result, path};
use walkdir::{DirEntry, IntoIter, WalkDir};

use super::{
    Folder, LEADS_OUT, blocking,
    error::{failed, is_absence},
    name::{is_staging, shown, to_file, to_text},
    read::meta,
};
use crate::store::key::{to_key, to_path};

/// How many entries are read before the listing returns to its caller.
const ENTRIES_AT_ONCE: usize = 1_000;

const NOT_TEXT: &str = "its name is not UTF-8; rename it";
const NOT_A_FILE: &str = "it is not a regular file but a named pipe, a socket or a device; move it elsewhere";
const LEADS_NOWHERE: &str = "it is a broken or circular link; fix or remove it";

/// Something that a listing found.
pub(in crate::store) enum Found {
    /// An object.
    Object(ObjectMeta),
    /// Something that can't be an object, as a text that resembles its key.
    Unfit(String),
}

impl Found {
    pub(super) fn into_object(self) -> Option<ObjectMeta> {
        match self {
            Self::Object(meta) => Some(meta),
            Self::Unfit(_) => None,
        }
    }
}

/// What to list.
pub(super) struct Walk {
    folder: Arc<Folder>,
    /// `None` for a prefix that no folder can have.
    start: Option<PathBuf>,
    after: Option<String>,
}

impl Walk {
    /// Everything below the folder of `prefix`, if one is given.
    pub(super) fn below(folder: &Arc<Folder>, prefix: Option<&path::Path>) -> Self {
        let start = to_file(&folder.root, prefix.unwrap_or(&path::Path::ROOT));
        Self { folder: Arc::clone(folder), start, after: None }
    }

    /// Leaves out the offset's key and everything before it.
    pub(super) fn after(self, offset: Option<&path::Path>) -> Self {
        Self { after: offset.map(to_key), ..self }
    }

    fn entries(&self, depth_max: usize) -> Entries {
        let walk = |start| WalkDir::new(start).min_depth(1).max_depth(depth_max).follow_links(true).into_iter();
        let outward = self.start.clone().filter(|start| self.folder.ignores(start));
        let walk = if outward.is_none() { self.start.as_ref().map(walk) } else { None };
        Entries { folder: Arc::clone(&self.folder), outward, walk }
    }

    /// The objects and the folders directly below one folder.
    pub(super) fn one_level(self) -> Result<ListResult> {
        let mut result = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        for entry in self.entries(1) {
            if let Entry::Reached(Ok(entry)) = &entry
                && entry.file_type().is_dir()
            {
                match to_text(&self.folder.root, entry.path()) {
                    Ok(key) => result.common_prefixes.push(to_path(&key)),
                    Err(culprit) => self.folder.tell(&culprit, NOT_TEXT),
                }
                continue;
            }
            result.objects.extend(self.found(entry)?.and_then(Found::into_object));
        }
        result.common_prefixes.sort_unstable();
        result.objects.sort_unstable_by(|one, other| one.location.cmp(&other.location));
        Ok(result)
    }

    /// What an entry is; `None` for a folder, and for what is skipped.
    fn found(&self, entry: Entry) -> Result<Option<Found>> {
        let entry = match entry {
            Entry::Reached(Ok(entry)) => entry,
            Entry::Reached(Err(error)) => return self.unreadable(error),
            Entry::Outward(link) => return Ok(Some(self.unfit(&link, &link, LEADS_OUT))),
        };
        let file = entry.path();
        if entry.file_type().is_dir() || is_staging(file) {
            return Ok(None);
        }
        let key = match to_text(&self.folder.root, file) {
            Ok(key) => key,
            Err(culprit) => return Ok(Some(self.unfit(file, &culprit, NOT_TEXT))),
        };
        if self.after.as_ref().is_some_and(|after| key <= *after) {
            return Ok(None);
        }
        if !entry.file_type().is_file() {
            return Ok(Some(self.unfit(file, file, NOT_A_FILE)));
        }
        match entry.metadata() {
            Ok(found) => Ok(Some(Found::Object(meta(to_path(&key), &found)))),
            Err(error) => self.unreadable(error),
        }
    }

    /// What can't be accessed: deleted meanwhile, a broken link, or a reason to end the listing.
    fn unreadable(&self, error: walkdir::Error) -> Result<Option<Found>> {
        let file = error.path().unwrap_or(&self.folder.root).to_path_buf();
        let is_start = error.depth() == 0;
        let is_loop = error.loop_ancestor().is_some();
        let error = std::io::Error::from(error);
        let is_link = !is_start && file.symlink_metadata().is_ok_and(|found| found.file_type().is_symlink());
        match error.kind() {
            _ if is_loop => Ok(Some(self.unfit(&file, &file, LEADS_NOWHERE))),
            std::io::ErrorKind::PermissionDenied => Err(failed("list", &file)(error)),
            _ if is_link => Ok(Some(self.unfit(&file, &file, LEADS_NOWHERE))),
            kind if is_absence(kind) => Ok(None),
            _ => Err(failed("list", &file)(error)),
        }
    }

    fn unfit(&self, file: &Path, culprit: &Path, why: &str) -> Found {
        self.folder.tell(culprit, why);
        Found::Unfit(shown(file.strip_prefix(&self.folder.root).unwrap_or(file)))
    }
}

/// What a walk comes across.
enum Entry {
    /// A file or a folder, reached through a link or not.
    Reached(walkdir::Result<DirEntry>),
    /// A link that is not followed, because it leads out of the folder.
    Outward(PathBuf),
}

/// The entries of a walk.
struct Entries {
    folder: Arc<Folder>,
    /// The start, if it is itself a link that is not followed.
    outward: Option<PathBuf>,
    walk: Option<IntoIter>,
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if let Some(start) = self.outward.take() {
            return Some(Entry::Outward(start));
        }
        let walk = self.walk.as_mut()?;
        match walk.next()? {
            Ok(entry) if entry.path_is_symlink() && self.folder.ignores(entry.path()) => {
                if entry.file_type().is_dir() {
                    walk.skip_current_dir();
                }
                Some(Entry::Outward(entry.into_path()))
            }
            entry => Some(Entry::Reached(entry)),
        }
    }
}

impl Folder {
    /// Logs, once per file, that it is not an object.
    fn tell(&self, file: &Path, why: &str) {
        let is_new = self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(file.to_path_buf());
        if is_new {
            tracing::warn!("{} is ignored: {why}", shown(file));
        }
    }
}

pub(super) fn stream(walk: Walk) -> impl Stream<Item = Result<Found>> + Send + 'static {
    let entries = walk.entries(usize::MAX);
    let pages = stream::try_unfold(Some((walk, entries)), async |left| {
        let Some((walk, mut entries)) = left else { return Ok::<_, Error>(None) };
        let (page, left) = blocking(move || {
            let looked_at: Vec<_> = entries.by_ref().take(ENTRIES_AT_ONCE).collect();
            let is_last = looked_at.len() < ENTRIES_AT_ONCE;
            let page: Vec<_> = looked_at.into_iter().filter_map(|entry| walk.found(entry).transpose()).collect();
            Ok((page, (!is_last).then_some((walk, entries))))
        })
        .await?;
        Ok(Some((stream::iter(page), left)))
    });
    pages.try_flatten()
}
