//! Keeps the two views of each stream up to date: its name, its columns, its files, its faults.
//!
//! Knows DuckDB's session, and nothing about the store. Invariant: whatever is wrong with one stream or one of its
//! files, all other relations stay readable, and the faulty one reports what is wrong when it is read.

use std::collections::BTreeMap;

use duckdb::Connection;
use lake::{
    ids::{StreamName, sha256_hex},
    keys::ZoneName,
    ledger::OutputFile,
};

use crate::{
    catalog::News,
    error::{Error, words},
    ledger_tables::{self, PlacedCommit},
    names::sql_names,
    storage::Storage,
    views::{Body, View, bronze_columns, dead_letter_columns},
};

/// The two sides of a stream.
pub const SIDES: [ZoneName; 2] = [ZoneName::Bronze, ZoneName::DeadLetters];

/// All streams' views.
#[derive(Debug, Default)]
pub struct Relations {
    streams: BTreeMap<StreamName, Stream>,
}

#[derive(Debug)]
struct Stream {
    damage: Option<String>,
    /// Whether the schema could be read, and so the columns of its rows are known.
    has_columns: bool,
    sides: [Side; 2],
}

/// One of a stream's two views.
#[derive(Debug)]
struct Side {
    view: View,
    /// How many files it reads.
    files: usize,
    /// Whether single dead letters in them are resolved.
    has_resolved: bool,
    /// Committed files that do not match their commit, to be checked again.
    faulty: Vec<OutputFile>,
    fault: Option<String>,
    /// What the DuckDB view reads; `None` if it must be made again.
    made: Option<Body>,
}

impl Relations {
    /// Takes in the news of the streams.
    pub fn take_in(&mut self, news: &[News], placed: &[PlacedCommit<'_>]) {
        for news in news {
            let stream = self.streams.entry(news.stream.clone()).or_insert_with(|| Stream::new(&news.stream));
            stream.damage.clone_from(&news.damage);
            if news.columns_changed {
                stream.sides[0].view.columns = bronze_columns(news.record.as_ref());
                stream.has_columns = news.record.is_some();
                stream.sides[0].made = None;
            }
        }
        for placed in placed {
            let commit = &placed.published.commit;
            let Some(stream) = self.streams.get_mut(&commit.stream) else { continue };
            for file in &placed.files {
                let Some(side) = stream.side(file.file.key.zone()) else { continue };
                if file.fault.is_some() {
                    side.faulty.push(file.file.clone());
                    side.fault = side.fault.take().or_else(|| file.fault.clone());
                }
            }
        }
        for commit in placed.iter().map(|placed| &placed.published.commit) {
            let Some(stream) = self.streams.get_mut(&commit.stream) else { continue };
            for resolved in &commit.resolved {
                let Some(side) = stream.side(resolved.file.zone()) else { continue };
                side.has_resolved |= resolved.ids.is_some();
                side.faulty.retain(|file| resolved.ids.is_some() || file.key != resolved.file);
            }
            for removed in &commit.removed {
                let Some(side) = stream.side(removed.key.zone()) else { continue };
                side.faulty.retain(|file| file.key != removed.key);
            }
        }
        for side in self.streams.values_mut().flat_map(|stream| &mut stream.sides) {
            side.fault = side.fault.take().filter(|_| !side.faulty.is_empty());
        }
    }

    /// Checks the files again that did not match their commit.
    ///
    /// # Errors
    /// [`Error::Lake`]: the store failed.
    pub async fn look_again(&mut self, storage: &Storage) -> Result<(), Error> {
        for side in self.streams.values_mut().flat_map(|stream| &mut stream.sides) {
            let mut faulty = Vec::new();
            side.fault = None;
            for file in std::mem::take(&mut side.faulty) {
                if let Some(fault) = storage.place(&file).await?.fault {
                    side.fault.get_or_insert(fault);
                    faulty.push(file);
                }
            }
            side.faulty = faulty;
        }
        Ok(())
    }

    /// Makes the views that are out of date. `with_files` are the streams whose files may have changed.
    ///
    /// # Errors
    /// [`Error::Bug`]: DuckDB refused.
    pub fn make(&mut self, connection: &Connection, with_files: &[StreamName]) -> Result<(), Error> {
        let names = sql_names(self.streams.keys());
        for (name, stream) in &mut self.streams {
            stream.sides.iter_mut().try_for_each(|side| side.rename(connection, &names[name]))?;
        }
        for (name, stream) in &mut self.streams {
            for side in &mut stream.sides {
                if with_files.contains(name) {
                    side.files = ledger_tables::set_files(connection, &side.view.variable, name, side.view.schema)?;
                }
                side.make(connection, name, stream.damage.as_ref())?;
            }
        }
        Ok(())
    }

    /// The current faults, each with the name of its stream or view.
    pub fn faults(&self) -> impl Iterator<Item = (String, &str)> {
        self.streams.iter().flat_map(|(name, stream)| {
            let damage = stream.damaged(name);
            let sides = stream.sides.iter().filter_map(|side| match &side.made {
                Some(Body::Unreadable(words)) => Some((side.view.shown_name(), words.as_str())),
                _ => None,
            });
            damage.into_iter().chain(sides)
        })
    }

    /// The damaged streams, and what is wrong with each.
    pub fn damage(&self) -> impl Iterator<Item = (String, &str)> {
        self.streams.iter().filter_map(|(name, stream)| stream.damaged(name))
    }

    /// The views that can't be read and whose columns are not known: their SQL names, and their faults as
    /// [`Relations::faults`] shows them.
    pub fn faults_without_columns(&self) -> impl Iterator<Item = (&str, String, &str)> {
        let damaged = self.streams.values().filter(|stream| !stream.has_columns);
        damaged.filter_map(|stream| {
            let view = &stream.sides[0].view;
            Some((view.name.as_str(), view.shown_name(), stream.damage.as_deref()?))
        })
    }

    /// Notes that a committed file does not match its commit, and why.
    pub fn suspect(&mut self, stream: &StreamName, file: OutputFile, fault: String) {
        let sides = self.streams.get_mut(stream).into_iter().flat_map(|stream| &mut stream.sides);
        for side in sides.filter(|side| side.view.schema == file.key.zone().as_str()) {
            side.fault = Some(fault.clone());
            side.faulty.push(file.clone());
        }
    }

    /// The SQL name of a stream.
    pub fn sql_name(&self, stream: &StreamName) -> Option<&str> {
        self.streams.get(stream).map(|stream| stream.sides[0].view.name.as_str())
    }

    /// The streams.
    pub fn streams(&self) -> impl Iterator<Item = &StreamName> {
        self.streams.keys()
    }
}

impl Stream {
    fn new(name: &StreamName) -> Self {
        let side = |zone: ZoneName| {
            let columns = match zone {
                ZoneName::DeadLetters => dead_letter_columns(),
                _ => bronze_columns(None),
            };
            // Variables, like all SQL names, are compared without case.
            let variable = format!("files {zone}/{}", sha256_hex(name.as_str().as_bytes()));
            let view = View { schema: zone.as_str(), name: name.to_string(), variable, columns };
            Side { view, files: 0, has_resolved: false, faulty: Vec::new(), fault: None, made: None }
        };
        Self { damage: None, has_columns: false, sides: SIDES.map(side) }
    }

    fn damaged(&self, name: &StreamName) -> Option<(String, &str)> {
        Some((format!("stream {:?}", name.as_str()), self.damage.as_deref()?))
    }

    fn side(&mut self, zone: ZoneName) -> Option<&mut Side> {
        self.sides.iter_mut().find(|side| side.view.schema == zone.as_str())
    }
}

impl Side {
    fn rename(&mut self, connection: &Connection, name: &str) -> Result<(), Error> {
        if self.view.name != name {
            let drop = format!("DROP VIEW IF EXISTS {}", self.view.full_name());
            connection.execute_batch(&drop).map_err(Error::bug("rename a view"))?;
            name.clone_into(&mut self.view.name);
            self.made = None;
        }
        Ok(())
    }

    fn make(&mut self, connection: &Connection, stream: &StreamName, damage: Option<&String>) -> Result<(), Error> {
        let wanted = match damage.or(self.fault.as_ref()) {
            Some(words) => Body::Unreadable(words.clone()),
            None if self.files > 0 && self.has_resolved => Body::OpenDeadLetters(stream.clone()),
            None if self.files > 0 => Body::Files,
            None => Body::Nothing,
        };
        if self.made.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let width = self.view.width();
        let created = if width > View::WIDTH_MAX {
            Err(format!(
                "it has {width} columns, counting the fields within fields, and the shell opens views of up to {}",
                View::WIDTH_MAX
            ))
        } else {
            let created = connection.execute_batch(&self.view.create(&wanted));
            created.map_err(|error| words(&error).lines().next().unwrap_or_default().to_owned())
        };
        self.made = Some(match created {
            Ok(()) => wanted,
            // A file that existed before is gone, or DuckDB can't name a column, or there are too many. This view fails alone.
            Err(fault) => {
                let body = Body::Unreadable(fault);
                let whole = if width > View::WIDTH_MAX { self.view.without_columns() } else { self.view.clone() };
                connection
                    .execute_batch(&whole.create(&body))
                    .or_else(|_| connection.execute_batch(&self.view.without_columns().create(&body)))
                    .map_err(Error::bug("make a view"))?;
                body
            }
        });
        Ok(())
    }
}
