//! Names: from a location to a file, and from a file to its key.
//!
//! Knows text and paths, and never asks the file system. Invariant: no location leads out of the folder.

use std::path::{Component, Path, PathBuf};

use crate::store::key::to_key;

/// The prefix and suffix of files that are still being written. They are never listed.
pub(super) const STAGING: (&str, &str) = (".sluice-", ".partial");

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
pub(super) fn is_staging(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(STAGING.0.as_bytes()) && name.ends_with(STAGING.1.as_bytes())
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
