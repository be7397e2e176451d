//! Links: whether a path below a folder leads out of it.
//!
//! Asks the file system, and changes nothing. It guards against links that are there, not against a program that puts
//! one there between the question and the use of its answer.

use std::path::{Path, PathBuf};

use super::Folder;

/// What a [`FolderStore`](super::FolderStore) does with links that lead out of its folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutwardLinks {
    /// They are not objects, and nothing is read or written through them.
    #[default]
    Ignore,
    /// They are followed, except to delete or move a file.
    Follow,
}

/// Whether a link at or above `path`, but below `root`, leads out of `root`. A link to nothing leads nowhere.
pub(super) fn leads_out(root: &Path, path: &Path) -> bool {
    let below = || path.ancestors().take_while(|above| *above != root);
    let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.file_type().is_symlink());
    if !below().any(is_link) {
        return false;
    }
    let Ok(root) = root.canonicalize() else { return false };
    // What does not exist is where the nearest folder above it is.
    let real = below().find_map(|path| path.canonicalize().ok());
    real.is_some_and(|real| !real.starts_with(root))
}

/// The folder of the file that was read last, if no link leads out there.
#[derive(Debug, Default)]
pub(in crate::store) struct CheckedFolder(Option<(PathBuf, PathBuf)>);

impl CheckedFolder {
    /// Whether a file is in a folder that may be read: then it may be read itself, unless it is a link.
    pub(super) fn has(&mut self, folder: &Folder, file: &Path) -> bool {
        let Some(above) = file.parent() else { return false };
        let is_same = |(root, checked): &(PathBuf, PathBuf)| *root == folder.root && checked == above;
        if !self.0.as_ref().is_some_and(is_same) {
            self.0 = (!folder.ignores(above)).then(|| (folder.root.clone(), above.to_path_buf()));
        }
        self.0.is_some()
    }
}
