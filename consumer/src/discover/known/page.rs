//! A page of versions that are looked up together, and what is found of each. Pure.
//!
//! Commits are compared from the newest to the oldest, so that what is known is decided at once, and what is not needs
//! only the newest contents. Invariant: a version is decided as known only by a line with its key and its ETag.

use std::{borrow::Cow, ops::RangeInclusive};

use lake::{
    clock::Timestamp,
    ids::ContentId,
    ledger::{CommittedInput, InputBlock, KeyHash, Outcome},
};

/// How many earlier contents of an object a plan names: the newest ones. An object that had more than these, and has
/// one of the older ones again under a new ETag, is read again.
const EARLIER_MAX: usize = 64;

/// What commits say about one version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownAs {
    /// A commit accounts for it for good.
    Done {
        /// Whether it was given up, since the store never let it be read.
        unreadable: bool,
    },
    /// No commit does.
    New {
        /// What the versions of this object that a commit has read contained, the newest last.
        earlier: Vec<ContentId>,
        /// Since when it waits, because the store refuses to let it be read.
        deferred_since: Option<Timestamp>,
    },
}

/// Inputs that are sorted by key, and then from the oldest to the newest.
pub(super) trait Sorted {
    fn len(&self) -> usize;

    fn key(&self, at: usize) -> &str;

    /// `None` if it is damaged.
    fn input(&self, at: usize) -> Option<Cow<'_, CommittedInput>>;

    /// The first place from `start` on whose key is not before `key`, or is after it if `past`.
    fn place(&self, start: usize, key: &str, past: bool) -> usize {
        let (mut start, mut end) = (start, self.len());
        while start < end {
            let middle = start.midpoint(end);
            let before = if past { self.key(middle) <= key } else { self.key(middle) < key };
            if before { start = middle + 1 } else { end = middle }
        }
        start
    }
}

impl Sorted for Vec<CommittedInput> {
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn key(&self, at: usize) -> &str {
        &self[at].key
    }

    fn input(&self, at: usize) -> Option<Cow<'_, CommittedInput>> {
        Some(Cow::Borrowed(&self[at]))
    }
}

impl Sorted for InputBlock {
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn key(&self, at: usize) -> &str {
        Self::key(self, at)
    }

    fn input(&self, at: usize) -> Option<Cow<'_, CommittedInput>> {
        Self::input(self, at).map(Cow::Owned)
    }
}

/// An input was to be compared, and its line is damaged.
#[derive(Debug)]
pub(super) struct Damaged;

/// The versions, sorted by key.
#[derive(Debug)]
pub(super) struct Page<'a> {
    wanted: Vec<Wanted<'a>>,
}

#[derive(Debug)]
struct Wanted<'a> {
    key: &'a str,
    hash: KeyHash,
    etag: &'a str,
    /// Its place among the versions as they were given.
    place: usize,
    /// If it is known for good: whether it was given up.
    unreadable: Option<bool>,
    /// The newest first.
    earlier: Vec<ContentId>,
    deferred_since: Option<Timestamp>,
}

impl<'a> Page<'a> {
    /// These versions, by key and ETag.
    pub(super) fn of(versions: &[(&'a str, &'a str)]) -> Self {
        let wanted = versions.iter().enumerate().map(|(place, (key, etag))| {
            let (unreadable, earlier, deferred_since) = (None, Vec::new(), None);
            Wanted { key, hash: KeyHash::of(key), etag, place, unreadable, earlier, deferred_since }
        });
        let mut wanted: Vec<_> = wanted.collect();
        wanted.sort_by_key(|wanted| wanted.key);
        Self { wanted }
    }

    /// Whether nothing older can change an answer.
    pub(super) fn is_decided(&self) -> bool {
        self.wanted.iter().all(|wanted| wanted.unreadable.is_some())
    }

    /// The keys within this range, in order, of what is not decided, and their hashes.
    pub(super) fn undecided(&self, keys: RangeInclusive<&str>) -> impl Iterator<Item = (&str, KeyHash)> {
        let (first, last) = keys.into_inner();
        let start = self.wanted.partition_point(|wanted| wanted.key < first);
        let within = self.wanted[start..].iter().take_while(move |wanted| wanted.key <= last);
        within.filter(|wanted| wanted.unreadable.is_none()).map(|wanted| (wanted.key, wanted.hash))
    }

    /// Takes in what these inputs say; what was compared before is newer.
    ///
    /// # Errors
    /// [`Damaged`], having taken in only a part.
    pub(super) fn compare(&mut self, inputs: &impl Sorted) -> Result<(), Damaged> {
        let (mut wanted, mut at) = (self.wanted.as_mut_slice(), 0);
        // Each side skips to the other's next key: one may be far longer than the other.
        while let Some(next) = wanted.first()
            && at < inputs.len()
        {
            let key = next.key.max(inputs.key(at));
            let skipped = wanted.partition_point(|wanted| wanted.key < key);
            wanted = &mut wanted[skipped..];
            at = inputs.place(at, key, false);
            let same = wanted.partition_point(|wanted| wanted.key <= key);
            let end = inputs.place(at, key, true);
            if same > 0 {
                for at in (at..end).rev() {
                    let input = inputs.input(at).ok_or(Damaged)?;
                    wanted[..same].iter_mut().for_each(|wanted| wanted.see(&input));
                }
            }
            wanted = &mut wanted[same..];
            at = end;
        }
        Ok(())
    }

    /// What was found of each version, in the order in which they were given.
    pub(super) fn answers(mut self) -> Vec<KnownAs> {
        self.wanted.sort_unstable_by_key(|wanted| wanted.place);
        self.wanted.into_iter().map(Wanted::answer).collect()
    }
}

impl Wanted<'_> {
    /// Takes in the next older input of the same object.
    fn see(&mut self, input: &CommittedInput) {
        if self.unreadable.is_some() {
            return;
        }
        match input.outcome {
            Outcome::Deferred if *input.etag == *self.etag => self.deferred_since = input.committed_at,
            Outcome::Deferred => {}
            outcome if *input.etag == *self.etag => self.unreadable = Some(outcome == Outcome::Unreadable),
            _ => {
                let content = input.content.filter(|content| self.earlier.last() != Some(content));
                self.earlier.extend(content.filter(|_| self.earlier.len() < EARLIER_MAX));
            }
        }
    }

    fn answer(self) -> KnownAs {
        match self.unreadable {
            Some(unreadable) => KnownAs::Done { unreadable },
            None => {
                let mut earlier = self.earlier;
                earlier.reverse();
                KnownAs::New { earlier, deferred_since: self.deferred_since }
            }
        }
    }
}
