//! What the reader keeps of a commit: its files and sums, and the number of its objects.
//!
//! A stream may have had millions of objects, and most sessions never ask for one. Invariant: the lake's own type reads
//! the commit, so that an unknown field is refused here as well.

use lake::{
    Error,
    keys::Key,
    ledger::{Commit, FromCommitFile, decode},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

/// A commit without its objects.
#[derive(Clone, Debug)]
pub struct Published {
    /// The commit; its inputs are left out.
    pub commit: Commit,
    /// How many objects it read.
    pub objects: u64,
}

/// The part of a commit file that is skipped.
#[derive(Deserialize)]
struct Inputs<'a> {
    #[serde(borrow)]
    inputs: &'a RawValue,
}

impl FromCommitFile for Published {
    fn from_commit_file(key: &Key, bytes: &[u8]) -> Result<Self, Error> {
        let Some((objects, rest)) = without_inputs(bytes) else {
            // The lake's own reading of the file reports what is wrong with it.
            let mut commit = Commit::from_commit_file(key, bytes)?;
            let objects = std::mem::take(&mut commit.inputs).len() as u64;
            return Ok(Self { commit, objects });
        };
        Ok(Self { commit: decode(key, &rest)?, objects })
    }
}

/// The number of inputs in a commit file, and the file without them.
fn without_inputs(bytes: &[u8]) -> Option<(u64, Vec<u8>)> {
    let inputs = serde_json::from_slice::<Inputs<'_>>(bytes).ok()?.inputs.get();
    let count = serde_json::from_str::<Vec<IgnoredAny>>(inputs).ok()?.len();
    let start = (inputs.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
    let (before, after) = (bytes.get(..start)?, bytes.get(start + inputs.len()..)?);
    Some((count as u64, [before, b"[]", after].concat()))
}
