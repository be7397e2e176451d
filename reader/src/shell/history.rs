//! The history: stored in a file that only its owner can read, without statements that contain a secret.
//!
//! Wraps reedline's own. Invariant: a secret is not stored, neither in the file nor for the arrow keys.

use std::{fs, path::PathBuf};

use reedline::{FileBackedHistory, History, HistoryItem, HistoryItemId, HistorySessionId, Result, SearchQuery};

const LINES: usize = 10_000;

/// The history of all sessions, or only of this one if it can't be stored.
pub(super) fn history() -> Box<dyn History> {
    let kept = file().and_then(|file| FileBackedHistory::with_file(LINES, file).ok());
    let kept = kept.unwrap_or_else(|| {
        program::output::note(format_args!("warning: can't store the history; it ends with this session"));
        FileBackedHistory::default()
    });
    Box::new(Discreet(kept))
}

/// The history file, created so that only its owner can read it.
fn file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    let folder = state.join("sluice");
    fs::create_dir_all(&folder).ok()?;
    let file = folder.join("history");
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(&file).ok()?;
    #[cfg(unix)]
    opened.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).ok()?;
    Some(file)
}

/// A history that leaves out secrets.
struct Discreet(FileBackedHistory);

impl History for Discreet {
    fn save(&mut self, item: HistoryItem) -> Result<HistoryItem> {
        if crate::secrets::holds_secret(&item.command_line) { Ok(item) } else { self.0.save(item) }
    }

    fn load(&self, id: HistoryItemId) -> Result<HistoryItem> {
        self.0.load(id)
    }

    fn count(&self, query: SearchQuery) -> Result<i64> {
        self.0.count(query)
    }

    fn search(&self, query: SearchQuery) -> Result<Vec<HistoryItem>> {
        self.0.search(query)
    }

    fn update(&mut self, id: HistoryItemId, updater: &dyn Fn(HistoryItem) -> HistoryItem) -> Result<()> {
        self.0.update(id, updater)
    }

    fn clear(&mut self) -> Result<()> {
        self.0.clear()
    }

    fn delete(&mut self, id: HistoryItemId) -> Result<()> {
        self.0.delete(id)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.0.sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.0.session()
    }
}
