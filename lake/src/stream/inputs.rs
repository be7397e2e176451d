//! Which objects below a stream's raw prefix are inputs, by their names alone.
//!
//! Knows names. Knows nothing about stores, contents or ledgers. Invariant: without settings, what Spark, Hive and Auto
//! Loader pass over is passed over here, too.

use globset::{Error, GlobBuilder, GlobSet, GlobSetBuilder};

/// Names that are inputs, and names that are passed over: leftovers of other tools' jobs, and what a stream's settings
/// say. A name is an object's key below the stream's prefix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InputNames {
    ignore: Globs,
    include: Globs,
}

impl InputNames {
    /// Passes over what `ignore` matches, and leftovers that `include` does not match.
    pub(super) fn new(ignore: Globs, include: Globs) -> Self {
        Self { ignore, include }
    }

    /// Whether the object with this name is an input.
    pub fn has(&self, name: &str) -> bool {
        !self.ignore.matches(name) && (!is_leftover(name) || self.include.matches(name))
    }
}

/// Whether a part of a name begins with `_` or `.`. Jobs give such names to what is not, or not yet, a result:
/// `_SUCCESS`, `_temporary/…`, `.hive-staging…/…`, `.part-0.crc`. A folder such as `_id=7/` is a partition, as in Spark,
/// and `.` and `..` hide nothing. Hadoop's `-put` writes under a name that ends in `._COPYING_`.
fn is_leftover(name: &str) -> bool {
    let (folders, last) = name.rsplit_once('/').unwrap_or(("", name));
    let is_hidden = |part: &str| part.starts_with('.') && part != "." && part != "..";
    let in_folder = folders.split('/').any(|part| is_hidden(part) || (part.starts_with('_') && !part.contains('=')));
    in_folder || is_hidden(last) || last.starts_with('_') || last.ends_with("._COPYING_")
}

/// Glob patterns. One without `/` is compared with the last part of a name, and others with all of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Globs {
    patterns: Vec<String>,
    of_last_part: GlobSet,
    of_all: GlobSet,
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Globs {
    /// # Errors
    /// What is wrong with the first pattern that can't be read.
    pub(super) fn new(patterns: Vec<String>) -> Result<Self, String> {
        let (mut of_last_part, mut of_all) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in &patterns {
            let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
            let glob = glob.map_err(|error| format!("{pattern:?} is not a glob pattern: {}", error.kind()))?;
            if pattern.contains('/') {
                of_all.add(glob)
            } else {
                of_last_part.add(glob)
            };
        }
        let built = |error: Error| format!("the patterns are too large: {}", error.kind());
        let (of_last_part, of_all) = (of_last_part.build().map_err(built)?, of_all.build().map_err(built)?);
        Ok(Self { patterns, of_last_part, of_all })
    }

    fn matches(&self, name: &str) -> bool {
        let last = name.rsplit('/').next().unwrap_or_default();
        self.of_all.is_match(name) || self.of_last_part.is_match(last)
    }
}
