//! Keeps the two views of each stream true to what is known of it: its name, its columns, its files, its faults.
//!
//! Knows DuckDB's session and nothing of the store. Invariant: whatever is wrong with one stream or one of its files, all
//! other relations stay readable, and the one at fault says what is wrong when it is read.

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
    sides: [Side; 2],
}

/// One of a stream's two views.
#[derive(Debug)]
struct Side {
    view: View,
    files: usize,
    /// Committed files that are not there as committed, to be looked at again.
    faulty: Vec<OutputFile>,
    fault: Option<String>,
    /// What the view in DuckDB is made over; `None` when it is to be made anew.
    made: Option<Body>,
}

impl Relations {
    /// Takes in what is new of the streams.
    pub fn take_in(&mut self, news: &[News], placed: &[PlacedCommit<'_>]) {
        for news in news {
            let stream = self.streams.entry(news.stream.clone()).or_insert_with(|| Stream::new(&news.stream));
            stream.damage.clone_from(&news.damage);
            if news.columns_changed {
                stream.sides[0].view.columns = bronze_columns(news.record.as_ref());
                stream.sides[0].made = None;
            }
        }
        for file in placed.iter().flat_map(|commit| commit.files.iter().map(move |file| (commit, file))) {
            let (commit, file) = file;
            let Some(stream) = self.streams.get_mut(&commit.published.commit.stream) else { continue };
            let Some(side) = stream.sides.iter_mut().find(|side| side.view.schema == file.file.key.zone().as_str())
            else {
                continue;
            };
            side.files += 1;
            if file.fault.is_some() {
                side.faulty.push(file.file.clone());
                side.fault = side.fault.take().or_else(|| file.fault.clone());
            }
        }
    }

    /// Looks again at the files that were not there as committed.
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

    /// Makes the views that are not as they should be. `with_files` are the streams that got files.
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
                if with_files.contains(name) && side.files > 0 {
                    let set = ledger_tables::set_files(&side.view.variable, name, side.view.schema);
                    connection.execute_batch(&set).map_err(Error::bug("name a stream's files"))?;
                }
                side.make(connection, stream.damage.as_ref())?;
            }
        }
        Ok(())
    }

    /// What is wrong now, and with what.
    pub fn faults(&self) -> impl Iterator<Item = (String, &str)> {
        self.streams.iter().flat_map(|(name, stream)| {
            let damage = stream.damage.as_deref().map(|damage| (format!("stream {:?}", name.as_str()), damage));
            let sides = stream.sides.iter().filter_map(|side| match &side.made {
                Some(Body::Unreadable(words)) => Some((side.view.shown_name(), words.as_str())),
                _ => None,
            });
            damage.into_iter().chain(sides)
        })
    }

    /// Takes note that a committed file is not as its commit says, and why.
    pub fn suspect(&mut self, stream: &StreamName, file: OutputFile, fault: String) {
        let sides = self.streams.get_mut(stream).into_iter().flat_map(|stream| &mut stream.sides);
        for side in sides.filter(|side| side.view.schema == file.key.zone().as_str()) {
            side.fault = Some(fault.clone());
            side.faulty.push(file.clone());
        }
    }

    /// The name that SQL knows a stream by.
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
            // Variables are told apart as SQL's names are, without case.
            let variable = format!("files {zone}/{}", sha256_hex(name.as_str().as_bytes()));
            let view = View { schema: zone.as_str(), name: name.to_string(), variable, columns };
            Side { view, files: 0, faulty: Vec::new(), fault: None, made: None }
        };
        Self { damage: None, sides: SIDES.map(side) }
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

    fn make(&mut self, connection: &Connection, damage: Option<&String>) -> Result<(), Error> {
        let wanted = match damage.or(self.fault.as_ref()) {
            Some(words) => Body::Unreadable(words.clone()),
            None if self.files > 0 => Body::Files,
            None => Body::Nothing,
        };
        if self.made.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let created = connection.execute_batch(&self.view.create(&wanted));
        self.made = match created {
            Ok(()) => Some(wanted),
            // A file that was there before is gone.
            Err(error) if wanted == Body::Files => {
                let fault = words(&error).lines().next().unwrap_or_default().to_owned();
                let body = Body::Unreadable(fault);
                connection.execute_batch(&self.view.create(&body)).map_err(Error::bug("make a view"))?;
                Some(body)
            }
            Err(error) => return Err(Error::bug("make a view")(error)),
        };
        Ok(())
    }
}
