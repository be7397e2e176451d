//! Writes a truth file.
//!
//! Invariant: a line is in the operating system's hands when its call returns, so it outlives this process, however
//! that ends.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{ObjectTruth, State};
use crate::error::Error;

/// A truth file that is being written. A file that is there already is continued.
#[derive(Debug)]
pub struct TruthFile {
    path: PathBuf,
    file: File,
}

impl TruthFile {
    /// Opens the file to go on at its end; what a crash left of an unfinished line is cut off.
    ///
    /// # Errors
    /// [`Error::Truth`] when it can't be opened for writing.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let opened = file.and_then(|mut file| {
            cut_unfinished_line(&mut file)?;
            Ok(file)
        });
        opened.map(|file| Self { path: path.to_owned(), file }).map_err(|source| Error::Truth {
            doing: "open",
            path: path.to_owned(),
            source,
        })
    }

    /// Tells of an object that is about to be sent. Returns what [`TruthFile::stored`] is to be called with once the
    /// store has it.
    ///
    /// # Errors
    /// [`Error::Truth`] when the line can't be written. Do not send the object.
    pub fn sending(&mut self, mut object: ObjectTruth) -> Result<ObjectTruth, Error> {
        object.state = State::Sending;
        self.write(&object)?;
        object.records = Vec::new();
        Ok(object)
    }

    /// Tells that the store has an object, and its version.
    ///
    /// # Errors
    /// [`Error::Truth`] when the line can't be written. The object's truth stands in the file already.
    pub fn stored(&mut self, mut object: ObjectTruth, etag: Option<String>) -> Result<(), Error> {
        object.state = State::Stored;
        object.etag = etag;
        self.write(&object)
    }

    fn write(&mut self, object: &ObjectTruth) -> Result<(), Error> {
        let line = serde_json::to_vec(object).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            // One call for the whole line, past any buffer of this process.
            self.file.write_all(&line)
        });
        line.map_err(|source| Error::Truth { doing: "write", path: self.path.clone(), source })
    }
}

fn cut_unfinished_line(file: &mut File) -> std::io::Result<()> {
    if !file.metadata()?.is_file() {
        // A pipe or a terminal has no end to look at.
        return Ok(());
    }
    refuse_other_files(file)?;
    const STEP: u64 = 64 * 1024;
    let mut end = file.seek(SeekFrom::End(0))?;
    let length = end;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        let mut part = Vec::new();
        Read::take(&mut *file, end - start).read_to_end(&mut part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
    }
    file.seek(SeekFrom::Start(end))?;
    Ok(())
}

/// Nothing of a file that was named by mistake may be cut off.
fn refuse_other_files(file: &mut File) -> std::io::Result<()> {
    const START: &[u8] = b"{\"state\":\"s";
    let mut found = Vec::new();
    Read::take(&mut *file, START.len() as u64).read_to_end(&mut found)?;
    if START.starts_with(&found) {
        return Ok(());
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is there and holds something else"))
}
