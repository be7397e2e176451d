//! Writes a truth file.
//!
//! Invariant: when a call returns, the operating system has the line, so it survives any end of this process.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{ObjectTruth, State};
use crate::error::Error;

/// A truth file that is being written. An existing file is continued.
#[derive(Debug)]
pub struct TruthFile {
    path: PathBuf,
    file: File,
}

impl TruthFile {
    /// Opens the file to append to it; cuts off an unfinished line left by a crash.
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

    /// Records that an object is about to be sent. Returns what to pass to [`TruthFile::stored`] once the store has it.
    ///
    /// # Errors
    /// [`Error::Truth`] when the line can't be written. Do not send the object.
    pub fn sending(&mut self, mut object: ObjectTruth) -> Result<ObjectTruth, Error> {
        object.state = State::Sending;
        self.write(&object)?;
        object.records = Vec::new();
        Ok(object)
    }

    /// Records that the store has an object, and its version.
    ///
    /// # Errors
    /// [`Error::Truth`] when the line can't be written. The object's truth is already in the file.
    pub fn stored(&mut self, mut object: ObjectTruth, etag: Option<String>) -> Result<(), Error> {
        object.state = State::Stored;
        object.etag = etag;
        self.write(&object)
    }

    fn write(&mut self, object: &ObjectTruth) -> Result<(), Error> {
        let line = serde_json::to_vec(object).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            // One call for the whole line, with no buffer in this process.
            self.file.write_all(&line)
        });
        line.map_err(|source| Error::Truth { doing: "write", path: self.path.clone(), source })
    }
}

fn cut_unfinished_line(file: &mut File) -> std::io::Result<()> {
    if !file.metadata()?.is_file() {
        // A pipe or a terminal has no end to read.
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

/// A file given by mistake must not lose its last line.
fn refuse_other_files(file: &mut File) -> std::io::Result<()> {
    const START: &[u8] = b"{\"state\":\"s";
    let mut found = Vec::new();
    Read::take(&mut *file, START.len() as u64).read_to_end(&mut found)?;
    if START.starts_with(&found) {
        return Ok(());
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the file exists and is not a truth file"))
}
