//! Names: from a location to a file, and from a file to its key.
//!
//! Knows text and paths, and never asks the file system. Invariant: no location leads out of the folder.

use std::path::{Component, Path, PathBuf};

use crate::store::key::to_key;

/// How the names of files begin that are never listed.
const STAGING: &str = ".sluice-";

/// Why a file is not listed: its name ends so.
#[derive(Clone, Copy, Debug)]
pub(super) enum Staged {
    /// It is still being written.
    Partial,
    /// It was an object, and is about to be deleted.
    Aside,
}

impl Staged {
    /// How its name begins and ends.
    pub(super) fn affixes(self) -> (&'static str, &'static str) {
        let suffix = match self {
            Self::Partial => ".partial",
            Self::Aside => ".aside",
        };
        (STAGING, suffix)
    }

    fn is_name_of(self, file: &Path) -> bool {
        let name = file.file_name().unwrap_or_default().as_encoded_bytes();
        let (prefix, suffix) = self.affixes();
        name.starts_with(prefix.as_bytes()) && name.ends_with(suffix.as_bytes())
    }
}

/// The file that a location names; `None` for a name that no file can have.
pub(super) fn to_file(root: &Path, location: &object_store::path::Path) -> Option<PathBuf> {
    let mut file = root.to_path_buf();
    if location.is_root() {
        return Some(file);
    }
    for segment in to_key(location).split('/') {
        let mut parts = Path::new(segment).components();
        // On some systems a segment can be several parts, or an absolute path.
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(part)), None) if part == segment && !segment.contains('\0') => file.push(segment),
            _ => return None,
        }
    }
    Some(file)
}

/// The key of a file below `root`.
///
/// # Errors
/// The path up to its first part that is not UTF-8, and so can't be part of a key.
pub(super) fn to_text(root: &Path, file: &Path) -> Result<String, PathBuf> {
    let mut culprit = root.to_path_buf();
    let mut key = String::new();
    for part in file.strip_prefix(root).unwrap_or(file) {
        culprit.push(part);
        let Some(part) = part.to_str() else { return Err(culprit) };
        if !key.is_empty() {
            key.push('/');
        }
        key.push_str(part);
    }
    Ok(key)
}

/// Whether a file is still being written, or was when its writer was killed.
pub(super) fn is_partial(file: &Path) -> bool {
    Staged::Partial.is_name_of(file)
}

/// Whether a file is not an object yet, or not any more.
pub(super) fn is_staging(file: &Path) -> bool {
    is_partial(file) || Staged::Aside.is_name_of(file)
}

/// A path for display: bytes that are not UTF-8, and characters that a terminal would act on, are escaped.
pub(in crate::store) fn shown(path: &Path) -> String {
    let mut shown = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if program::output::is_obeyed(character) {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        shown.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    shown
}
