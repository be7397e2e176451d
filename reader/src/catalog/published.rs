//! What is kept of a commit: its files and sums, and the number of its objects.
//!
//! A stream may have had millions of objects, and most sessions never ask for one. Invariant: what is read of a commit
//! is read by the lake's own type, so that a field that it does not know is refused here as well.

use lake::{
    Error,
    keys::Key,
    ledger::{Commit, FromCommitFile, InputOutcome, decode},
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
    /// Those objects, where the commit was read while the session ran.
    pub inputs: Vec<InputOutcome>,
}

impl Published {
    /// A commit whose inputs are at hand.
    pub fn with_inputs(mut commit: Commit) -> Self {
        let inputs = std::mem::take(&mut commit.inputs);
        Self { commit, objects: inputs.len() as u64, inputs }
    }
}

/// The part of a commit file that is passed over.
#[derive(Deserialize)]
struct Inputs<'a> {
    #[serde(borrow)]
    inputs: &'a RawValue,
}

impl FromCommitFile for Published {
    fn from_commit_file(key: &Key, bytes: &[u8]) -> Result<Self, Error> {
        // What is wrong with a file is told by the lake's own reading of it.
        let Some((objects, rest)) = without_inputs(bytes) else {
            return Commit::from_commit_file(key, bytes).map(Self::with_inputs);
        };
        Ok(Self { commit: decode(key, &rest)?, objects, inputs: Vec::new() })
    }
}

/// The number of inputs in a commit file, and the file with none.
fn without_inputs(bytes: &[u8]) -> Option<(u64, Vec<u8>)> {
    let inputs = serde_json::from_slice::<Inputs<'_>>(bytes).ok()?.inputs.get();
    let count = serde_json::from_str::<Vec<IgnoredAny>>(inputs).ok()?.len();
    let start = (inputs.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
    let (before, after) = (bytes.get(..start)?, bytes.get(start + inputs.len()..)?);
    Some((count as u64, [before, b"[]", after].concat()))
}
