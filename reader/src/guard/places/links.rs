//! Links that stand where DuckDB will write: in a target that is a folder, and beside one that is a file.
//!
//! DuckDB follows a link, whatever file it is to write. Invariant: where there may be a way into a kept folder, the
//! target is refused.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    path::{Path, PathBuf},
};

use super::{resolved_path, touches};

/// How many files of a target that is a folder are looked at.
const FILES_MAX: usize = 100_000;

/// Whether nothing that DuckDB may write with `file`, which has no links in its own name, leads into the folders.
///
/// # Errors
/// What does, in words.
pub(super) fn check(file: &Path, folders: &[PathBuf]) -> Result<(), String> {
    let mut left = beside(file);
    let mut seen = BTreeSet::new();
    while let Some(path) = left.pop() {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if has_other_names(&found, folders) {
            return Err(told(&path, "has another name, by a hard link,"));
        }
        let resolved = if found.is_symlink() { resolved_path(&path) } else { Some(path.clone()) };
        let Some(resolved) = resolved.filter(|to| !found.is_symlink() || !leads_into(to, folders)) else {
            return Err(told(&path, "is a link"));
        };
        // A link to a folder elsewhere may hold links of its own.
        if resolved.is_dir() && seen.insert(resolved.clone()) {
            left.extend(entries(&resolved));
        }
        if left.len() + seen.len() > FILES_MAX {
            return Err(format!("{} holds too many files to be checked; write to a new folder", file.display()));
        }
    }
    Ok(())
}

/// The target, and what stands beside it under a name that DuckDB makes of the target's: `x.db.wal`, `tmp_x.csv`.
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

/// Whether a file has another name that may lie in one of the folders: hard links never leave their file system.
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

fn told(path: &Path, what: &str) -> String {
    format!("{} {what} and may lead into the lake, which is for reading here; write elsewhere", path.display())
}
