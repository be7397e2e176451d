//! Links at the paths that DuckDB will write: inside a target folder, and next to a target file.
//!
//! DuckDB follows a link at any path that it writes. Invariant: if a link may lead into a protected folder, the target
//! is refused.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    path::{Path, PathBuf},
};

use super::{resolved_path, touches};

/// The most files of a target folder that are checked.
const FILES_MAX: usize = 100_000;

/// Checks that nothing that DuckDB may write along with `file` leads into the folders. `file` itself has no links in
/// its path.
///
/// # Errors
/// The path that does, as text.
pub(super) fn check(file: &Path, folders: &[PathBuf]) -> Result<(), String> {
    let mut left = beside(file);
    let mut seen = BTreeSet::new();
    while let Some(path) = left.pop() {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if has_other_names(&found, folders) {
            return Err(said(&path, "has another name (a hard link)"));
        }
        let resolved = if found.is_symlink() { resolved_path(&path) } else { Some(path.clone()) };
        let Some(resolved) = resolved.filter(|to| !found.is_symlink() || !leads_into(to, folders)) else {
            return Err(said(&path, "is a link"));
        };
        // The target folder of a link may contain more links.
        if resolved.is_dir() && seen.insert(resolved.clone()) {
            left.extend(entries(&resolved));
        }
        if left.len() + seen.len() > FILES_MAX {
            return Err(format!("{} has too many files to check; write to a new folder", file.display()));
        }
    }
    Ok(())
}

/// The target, and the files next to it with names that DuckDB derives from it: `x.db.wal`, `tmp_x.csv`.
fn beside(file: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return vec![file.to_path_buf()] };
    let name = name.to_string_lossy();
    let is_made_of = |path: &PathBuf| {
        let other = path.file_name().unwrap_or_default().to_string_lossy();
        let other = other.strip_prefix("tmp_").filter(|rest| *rest == name).unwrap_or(&other);
        other.strip_prefix(&*name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    entries(folder).into_iter().filter(is_made_of).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn leads_into(to: &Path, folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| touches(to, folder))
}

/// Whether a file has another name that may be inside one of the folders. Hard links never cross file systems.
#[cfg(unix)]
fn has_other_names(file: &Metadata, folders: &[PathBuf]) -> bool {
    use std::os::unix::fs::MetadataExt;
    let is_near = |folder: &PathBuf| fs::metadata(folder).is_ok_and(|folder| folder.dev() == file.dev());
    file.is_file() && file.nlink() > 1 && folders.iter().any(is_near)
}

#[cfg(not(unix))]
fn has_other_names(_: &Metadata, _: &[PathBuf]) -> bool {
    false
}

fn said(path: &Path, what: &str) -> String {
    format!("{} {what} and may lead into the lake, which is read-only here; write elsewhere", path.display())
}
