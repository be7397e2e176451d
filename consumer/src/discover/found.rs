//! What one look has found so far: new objects, each version once, and what it passes over.
//!
//! Invariant: nothing that was listed is left out without being known or counted.

use chrono::{DateTime, Utc};
use lake::{Error, keys::Key, ledger::PlannedObject, store::Listed, stream::InputNames};

use super::{DeferredObject, Discovered, KnownAs, KnownInputs, KnownOnes, KnownVersion, PAGE_LISTED};

pub(super) struct Found<'a> {
    known_ones: KnownOnes,
    inputs: &'a InputNames,
    /// How many objects are kept in memory, give or take a page.
    kept_max: usize,
    discovered: Discovered,
    /// New objects, and when they last changed.
    objects: Vec<(PlannedObject, DateTime<Utc>)>,
}

impl<'a> Found<'a> {
    /// Nothing so far.
    pub(super) fn of(known_ones: KnownOnes, inputs: &'a InputNames, kept_max: usize) -> Self {
        Self { known_ones, inputs, kept_max, discovered: Discovered::default(), objects: Vec::new() }
    }

    /// How many listed objects are looked up at once.
    pub(super) fn page_listed(&self) -> usize {
        PAGE_LISTED.min(self.kept_max).max(1)
    }

    /// Counts what was listed.
    pub(super) fn count(&mut self, page: &[Listed]) {
        let last = page.iter().map(|listed| &listed.key).max();
        if last > self.discovered.last.as_ref() {
            self.discovered.last = last.cloned();
        }
        self.discovered.listed += page.len() as u64;
    }

    /// Takes in these objects.
    ///
    /// # Errors
    /// As [`KnownInputs::look_up`].
    pub(super) async fn add_all(&mut self, page: Vec<Listed>, known: &mut KnownInputs) -> Result<(), Error> {
        let (objects, other): (Vec<_>, Vec<_>) =
            page.into_iter().partition(|listed| listed.is_object && !is_folder(listed));
        self.discovered.ignored += other.len() as u64;
        let versions = objects.iter().map(|listed| (listed.key.as_str(), listed.etag.as_str()));
        let known_as = known.look_up(versions).await?;
        for (listed, known_as) in objects.into_iter().zip(known_as) {
            self.add(listed, known_as)?;
        }
        Ok(())
    }

    /// Takes in an object and what is known of it.
    fn add(&mut self, listed: Listed, known_as: KnownAs) -> Result<(), Error> {
        let key = raw_key(&listed.key)?;
        let (earlier, deferred_since) = match known_as {
            KnownAs::New { earlier, deferred_since } => (earlier, deferred_since),
            KnownAs::Done { unreadable } => {
                if self.known_ones == KnownOnes::Report && !unreadable {
                    self.discovered.done_with.push(KnownVersion { key, etag: listed.etag });
                }
                return Ok(());
            }
        };
        if let Key::Raw { rest, .. } = &key
            && !self.inputs.has(rest)
        {
            self.discovered.ignored += 1;
            self.discovered.passed_over += 1;
            self.discovered.passed_over_example.get_or_insert(listed.key);
            return Ok(());
        }
        let object = PlannedObject { key, etag: listed.etag, size: listed.size, earlier, last_try: false };
        match deferred_since {
            Some(since) => self.discovered.deferred.push(DeferredObject { object, since }),
            None => self.objects.push((object, listed.last_modified)),
        }
        Ok(())
    }

    /// Whether no more is kept in memory.
    pub(super) fn is_enough(&self) -> bool {
        let found = self.objects.len() + self.discovered.deferred.len();
        found.max(self.discovered.done_with.len()) >= self.kept_max
    }

    /// All of it, each version once: a listing may show one object twice.
    pub(super) fn sorted(mut self, complete: bool) -> Discovered {
        self.objects.sort_by_cached_key(|(object, _)| version(object));
        self.objects.dedup_by(|(one, _), (other, _)| are_same(one, other));
        self.discovered.deferred.sort_by_cached_key(|deferred| version(&deferred.object));
        self.discovered.deferred.dedup_by(|one, other| are_same(&one.object, &other.object));
        (self.discovered.objects, self.discovered.changed) = self.objects.into_iter().unzip();
        self.discovered.complete = complete;
        self.discovered
    }
}

/// Whether both are one version of one object.
fn are_same(one: &PlannedObject, other: &PlannedObject) -> bool {
    one.key == other.key && one.etag == other.etag
}

/// A version of an object: its key and its ETag.
pub(super) type Version = (String, String);

pub(super) fn version(object: &PlannedObject) -> Version {
    (object.key.to_string(), object.etag.clone())
}

pub(super) fn raw_key(text: &str) -> Result<Key, Error> {
    Key::parse(text).map_err(|error| Error::Bug(error.to_string()))
}

/// Whether a listed object only shows that there is an empty "folder".
fn is_folder(listed: &Listed) -> bool {
    listed.size == 0 && listed.key.ends_with('/')
}
