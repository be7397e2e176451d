//! What a stream's tables consist of after some commits: the files that are part of them, and which dead letters are
//! open.
//!
//! The only place that subtracts what commits remove and resolve. Invariant: a commit is applied completely or not at
//! all.

use std::collections::{BTreeMap, BTreeSet};

use super::{Commit, Fold, OutputFile};
use crate::{
    dead_letter::DeadLetterId,
    ids::BatchId,
    keys::{Key, ZoneName},
};

/// The live files of a stream, in the order of their commits.
#[derive(Clone, Debug, Default)]
pub struct LiveFiles {
    /// By batch and by place in its commit.
    files: BTreeMap<(BatchId, usize), LiveFile>,
    places: BTreeMap<String, (BatchId, usize)>,
    /// The first contradiction in a commit.
    contradiction: Option<(BatchId, String)>,
}

/// A file that is part of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveFile {
    /// Its entry in its commit.
    pub file: OutputFile,
    /// For a file of dead letters, which of them are open.
    pub open: OpenDeadLetters,
}

/// Which dead letters of a file are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OpenDeadLetters {
    /// All of them; meaningless for a file of rows.
    #[default]
    All,
    /// All except these.
    AllBut(BTreeSet<DeadLetterId>),
    /// None.
    None,
}

impl LiveFiles {
    /// The files, in the order of their commits.
    pub fn iter(&self) -> impl Iterator<Item = &LiveFile> {
        self.files.values()
    }

    /// The files of one zone, in the order of their commits.
    pub fn of_zone(&self, zone: ZoneName) -> impl Iterator<Item = &LiveFile> {
        self.iter().filter(move |live| live.file.key.zone() == zone)
    }

    /// How many rows, or open dead letters, the files of a zone contain.
    pub fn rows(&self, zone: ZoneName) -> u64 {
        self.of_zone(zone).map(LiveFile::rows).sum()
    }

    /// Applies the next commit.
    ///
    /// What contradicts the commits before, in words: a removed file that is not part of the table, or a resolved dead
    /// letter that is not open. Then nothing was applied.
    pub fn apply(&mut self, commit: &Commit) -> Result<(), String> {
        let mut opened = BTreeMap::new();
        for resolved in &commit.resolved {
            let place = self.place(&resolved.file)?;
            let live = &self.files[&place];
            let open = opened.get(&place).unwrap_or(&live.open);
            let now = match (&resolved.ids, open) {
                (None, OpenDeadLetters::All) if resolved.dead_letters == live.file.rows => OpenDeadLetters::None,
                (Some(ids), OpenDeadLetters::All) => close(BTreeSet::new(), ids, live),
                (Some(ids), OpenDeadLetters::AllBut(closed)) if ids.iter().all(|id| !closed.contains(id)) => {
                    close(closed.clone(), ids, live)
                }
                _ => return Err(format!("resolves dead letters of {} that are not open", resolved.file)),
            };
            opened.insert(place, now);
        }
        let removed = commit.removed.iter().map(|removed| match self.place(&removed.key)? {
            place if self.files[&place].file.rows != removed.rows => {
                Err(format!("removes {} with another number of rows than it has", removed.key))
            }
            // The dead letters resolved in it would be open again in the file that replaces it.
            place if self.files[&place].open != OpenDeadLetters::All || opened.contains_key(&place) => {
                Err(format!("removes {}, which has resolved dead letters", removed.key))
            }
            place => Ok(place),
        });
        let removed = removed.collect::<Result<Vec<_>, String>>()?;
        if let Some(file) = commit.files.iter().find(|file| self.places.contains_key(&file.key.to_string())) {
            return Err(format!("adds {}, which is part of the table already", file.key));
        }
        for (place, open) in opened {
            self.files.entry(place).and_modify(|live| live.open = open);
        }
        for place in removed {
            if let Some(live) = self.files.remove(&place) {
                self.places.remove(&live.file.key.to_string());
            }
        }
        for (at, file) in commit.files.iter().enumerate() {
            let place = (commit.batch, at);
            self.places.insert(file.key.to_string(), place);
            self.files.insert(place, LiveFile { file: file.clone(), open: OpenDeadLetters::All });
        }
        Ok(())
    }

    /// The first contradiction among the commits that were added as a fold: the batch, and what is wrong with it.
    pub fn contradiction(&self) -> Option<(BatchId, &str)> {
        self.contradiction.as_ref().map(|(batch, what)| (*batch, what.as_str()))
    }

    fn place(&self, key: &Key) -> Result<(BatchId, usize), String> {
        self.places.get(&key.to_string()).copied().ok_or_else(|| format!("names {key}, which is not part of the table"))
    }
}

fn close(mut closed: BTreeSet<DeadLetterId>, ids: &[DeadLetterId], live: &LiveFile) -> OpenDeadLetters {
    closed.extend(ids);
    if closed.len() as u64 == live.file.rows { OpenDeadLetters::None } else { OpenDeadLetters::AllBut(closed) }
}

impl LiveFile {
    /// How many rows, or open dead letters, it contains.
    pub fn rows(&self) -> u64 {
        match &self.open {
            OpenDeadLetters::All => self.file.rows,
            OpenDeadLetters::AllBut(closed) => self.file.rows.saturating_sub(closed.len() as u64),
            OpenDeadLetters::None => 0,
        }
    }
}

impl Fold for LiveFiles {
    type Commit = Commit;

    fn add(&mut self, commit: Commit) {
        if let Err(what) = self.apply(&commit)
            && self.contradiction.is_none()
        {
            self.contradiction = Some((commit.batch, what));
        }
    }
}
