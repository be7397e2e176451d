//! Removes what killed processes left half written.
//!
//! Knows which files were not finished. Invariant: a file that a live process may still be writing stays, and so does
//! everything that was ever an object.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    time::{Duration, SystemTime},
};

use walkdir::WalkDir;

use super::name::is_partial;

/// A file that was changed less long ago may be in use on another machine, where locks may not reach.
const SURELY_LEFT: Duration = Duration::from_secs(3_600);

/// Removes the leftovers below a folder, without following links. Returns how many there were. Whatever can't be removed
/// stays: it harms nothing.
pub(super) fn remove(below: &Path) -> u64 {
    let entries = WalkDir::new(below).into_iter().filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_file() && is_partial(entry.path()));
    files.filter(|entry| remove_if_left(entry.path())).count() as u64
}

fn remove_if_left(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().write(true).open(path) else { return false };
    // Its writer holds the lock until the file has its final name. So if the lock is free, and a file still has this
    // name, nothing will ever give it another one: the names are random, and each is used once.
    is_old(&file) && file.try_lock().is_ok() && std::fs::remove_file(path).is_ok()
}

fn is_old(file: &File) -> bool {
    let changed = file.metadata().and_then(|found| found.modified());
    changed.is_ok_and(|changed| SystemTime::now().duration_since(changed).is_ok_and(|age| age >= SURELY_LEFT))
}
