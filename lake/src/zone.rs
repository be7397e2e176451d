//! The zones of a lake: their names, their folders, and the settings that put each at a place of its own.
//!
//! One table says all of it: another zone is another row. Stored in keys: add, never rename.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of the lake that can be stored at a place of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZoneName {
    /// What lands: batch objects, written by others.
    Raw,
    /// Rows: records that passed.
    Bronze,
    /// Records and objects that did not.
    DeadLetters,
    /// The ledger.
    Checkpoints,
}

/// What is to be known of a zone.
struct ZoneInfo {
    name: ZoneName,
    /// Its folder under the lake, and the first segment of its keys.
    folder: &'static str,
    /// The flag and the environment variable that put it elsewhere.
    flag: &'static str,
    variable: &'static str,
    /// What the flag's help says.
    help: &'static str,
}

const ZONES: [ZoneInfo; ZoneName::COUNT] = [
    ZoneInfo {
        name: ZoneName::Raw,
        folder: "raw",
        flag: "raw-url",
        variable: "RAW_URL",
        help: "Where raw objects land, if not under the lake's raw/",
    },
    ZoneInfo {
        name: ZoneName::Bronze,
        folder: "bronze",
        flag: "bronze-url",
        variable: "BRONZE_URL",
        help: "Where rows are stored, if not under the lake's bronze/",
    },
    ZoneInfo {
        name: ZoneName::DeadLetters,
        folder: "dead_letters",
        flag: "dead-letters-url",
        variable: "DEAD_LETTERS_URL",
        help: "Where dead letters are stored, if not under the lake's dead_letters/",
    },
    ZoneInfo {
        name: ZoneName::Checkpoints,
        folder: "checkpoints",
        flag: "checkpoints-url",
        variable: "CHECKPOINTS_URL",
        help: "Where the ledger is stored, if not under the lake's checkpoints/",
    },
];

impl ZoneName {
    /// How many zones there are.
    pub const COUNT: usize = 4;

    /// All zones, in the order of their place in arrays.
    pub const ALL: [Self; Self::COUNT] = [ZONES[0].name, ZONES[1].name, ZONES[2].name, ZONES[3].name];

    fn info(self) -> &'static ZoneInfo {
        &ZONES[self as usize]
    }

    /// The zone's folder under the lake, and the first segment of its keys.
    pub fn as_str(self) -> &'static str {
        self.info().folder
    }

    /// The zone of this folder.
    pub fn of_folder(folder: &str) -> Option<Self> {
        ZONES.iter().find(|zone| zone.folder == folder).map(|zone| zone.name)
    }

    /// The environment variable that puts the zone at a place of its own.
    pub fn variable(self) -> &'static str {
        self.info().variable
    }

    /// The flag that does so.
    pub(crate) fn flag(self) -> &'static str {
        self.info().flag
    }

    /// What the flag's help says.
    pub(crate) fn help(self) -> &'static str {
        self.info().help
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
