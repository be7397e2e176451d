//! What decides the bytes of a task's files in addition to its plan: the versions of enforcement, writer and libraries,
//! and which objects were gone by then.
//!
//! An executor adopts an existing file only if it would have written the same one. All of this is part of every file's
//! name. So a batch that one version of the program began and another finishes never mixes files of both.

use lake::ids::Fingerprint;
pub use tables::WRITER_VERSION;
use tables::library_versions;
use uuid::Uuid;

use crate::{failpoint, write::LeftOut};

/// The version of what is accepted, refused, and reported: raise it whenever the result for any record could change.
pub const ENFORCEMENT_VERSION: u32 = 4;

/// The fingerprint of the program: what decides a file's bytes in addition to its plan and its objects.
pub fn of_program() -> Fingerprint {
    Fingerprint::of(program_versions().as_bytes())
}

fn program_versions() -> String {
    let enforcement = ENFORCEMENT_VERSION + u32::from(failpoint::is_other_version());
    let (program, libraries) = (env!("CARGO_PKG_VERSION"), library_versions());
    format!("{program} {enforcement} {WRITER_VERSION}, {libraries}")
}

/// The fingerprint of a task's file: its plan's id, which objects were gone, must not be read or are poison, and the
/// file's number, from 0, if there are several of one kind.
///
/// With the plan's id, files that a lost or restored ledger does not know are never in the way of a batch of the same
/// number.
pub fn of_file(plan_id: Uuid, left_out: &[(usize, LeftOut)], part: u32) -> Fingerprint {
    let mut text = format!("{}, plan {plan_id}", program_versions());
    for (at, left_out) in left_out {
        match left_out {
            LeftOut::Unread => text.push_str(&format!(" without {at}")),
            LeftOut::Poison => text.push_str(&format!(" poisoned by {at}")),
        }
    }
    if part > 0 {
        text.push_str(&format!(" part {part}"));
    }
    Fingerprint::of(text.as_bytes())
}
