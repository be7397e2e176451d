//! With `--verify`: checks the bytes of committed files before a statement reads them.
//!
//! Knows which streams a statement may read, from their names in it. Invariant: no row is shown of a file whose bytes
//! are not those that its commit names, however the statement names the stream: a statement that could read any stream
//! is taken to read all.

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt, TryStreamExt};
use lake::{ids::StreamName, ledger::OutputFile};

use super::{Session, blame::known};
use crate::{error::Error, names::folded};

/// How many files are read at a time.
const READS_AT_ONCE: usize = 4;

/// Statements with one of these words may read a relation without naming it.
const NAMELESS: [&str; 2] = ["query", "database"];
const FILES: &str = "SELECT stream, key, size, sha256, location, path FROM memory.internal.files WHERE stream = ?";

/// What was verified.
#[derive(Debug, Default)]
pub(super) struct Verified {
    is_wanted: bool,
    /// The streams that any statement has named: a view or a macro over one may be read from now on.
    named: BTreeSet<StreamName>,
    are_all_named: bool,
    /// The version of each file whose bytes were right.
    versions: HashMap<String, String>,
}

impl Session {
    /// From now on, checks the bytes of every file of the streams that a statement reads, before it runs. A file is read
    /// again only if it has changed since.
    pub fn verify_files(&mut self) {
        self.verified.is_wanted = true;
    }

    /// Verifies the files that a statement may read. Views over a wrong one fail from now on.
    ///
    /// # Errors
    /// - [`Error::Lake`]: the store failed.
    /// - [`Error::Unreadable`]: a file is wrong, and no view can be made again before the transaction ends.
    pub(super) fn verify(&mut self, statement: &str) -> Result<(), Error> {
        if !self.verified.is_wanted {
            return Ok(());
        }
        self.note_names(statement);
        let mut first = None;
        for stream in self.verified.named.clone() {
            for (file, fault) in self.wrong_files(&stream)? {
                let name = self.relations.sql_name(&stream).unwrap_or(stream.as_str());
                let view = format!("{}.{name}", file.key.zone());
                first.get_or_insert(Error::Unreadable { view, words: fault.clone() });
                self.relations.suspect(&stream, file, fault);
            }
        }
        match first {
            Some(error) if self.in_transaction => Err(error),
            Some(_) => self.relations.make(&self.connection, &[]),
            None => Ok(()),
        }
    }

    fn note_names(&mut self, statement: &str) {
        let text = folded(statement);
        self.verified.are_all_named |= NAMELESS.iter().any(|word| text.contains(word));
        let is_named = |stream: &StreamName| {
            let name = folded(self.relations.sql_name(stream).unwrap_or(stream.as_str()));
            text.contains(&name) || text.contains(&name.replace('"', "\"\""))
        };
        let all = self.verified.are_all_named;
        self.verified.named.extend(self.relations.streams().filter(|stream| all || is_named(stream)).cloned());
    }

    /// The files of a stream whose bytes are wrong, each with what is wrong.
    fn wrong_files(&mut self, stream: &StreamName) -> Result<Vec<(OutputFile, String)>, Error> {
        let failed = || Error::bug("list a stream's files");
        let files: Vec<OutputFile> = {
            let mut prepared = self.aside.prepare(FILES).map_err(failed())?;
            let rows = prepared.query_map([stream.as_str()], known).map_err(failed())?;
            rows.flatten().flatten().map(|known| known.file).collect()
        };
        let (storage, versions) = (&self.storage, &self.verified.versions);
        let checked = files.into_iter().map(|file| async move {
            let before = versions.get(&file.key.to_string()).map(String::as_str);
            let checked = storage.verify(&file, before).await?;
            Ok::<_, Error>((file, checked))
        });
        let checked = futures::stream::iter(checked).buffer_unordered(READS_AT_ONCE).try_collect::<Vec<_>>();
        let mut wrong = Vec::new();
        for (file, checked) in self.runtime.block_on(checked)? {
            match checked {
                Ok(version) => drop(self.verified.versions.insert(file.key.to_string(), version)),
                Err(fault) => wrong.push((file, fault)),
            }
        }
        Ok(wrong)
    }
}
