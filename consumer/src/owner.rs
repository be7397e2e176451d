//! Which process made a plan or an attempt: the id shows it, so that nothing more is stored.
//!
//! An id is a UUID of version 8 (RFC 9562), whose bits are free for such use. Six bytes identify the machine since it
//! was started, and the process namespace (a container has its own); three are the process's number; the rest is
//! random. A process on the same machine can so see that the owner is dead, and need not wait for it. Invariant: an
//! owner that may be alive is never called dead.

use std::path::Path;

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// The version of the ids that name their owner.
const VERSION: usize = 8;

/// The owner of the ids that it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(Option<Process>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    machine: [u8; 6],
    number: u32,
}

impl Owner {
    /// This process; unknown on systems that do not show it.
    pub fn this_process() -> Self {
        // A number of three bytes is enough for Linux: at most 2^22.
        let number = Some(std::process::id()).filter(|number| *number < 1 << 24);
        Self(machine().zip(number).map(|(machine, number)| Process { machine, number }))
    }

    /// An owner that its ids do not show.
    pub fn nobody() -> Self {
        Self(None)
    }

    /// A new id.
    pub fn new_id(&self) -> Uuid {
        let random = Uuid::new_v4();
        let Some(Process { machine, number }) = &self.0 else { return random };
        let mut bytes = *random.as_bytes();
        bytes[..6].copy_from_slice(machine);
        bytes[9..12].copy_from_slice(&number.to_be_bytes()[1..]);
        Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// Whether the process that made this id is certainly dead: it was on this machine, and no process has its number,
    /// or only this one.
    pub fn knows_dead(&self, id: &Uuid) -> bool {
        let Some(ours) = &self.0 else { return false };
        let bytes = id.as_bytes();
        let number = u32::from_be_bytes([0, bytes[9], bytes[10], bytes[11]]);
        let is_here = id.get_version_num() == VERSION && bytes[..6] == ours.machine;
        is_here && (number == ours.number || !is_alive(number))
    }
}

/// Identifies this start of this machine, and the namespace that gives this process its number.
fn machine() -> Option<[u8; 6]> {
    let start = std::fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let mut hash = Sha256::new();
    hash.update(start);
    hash.update(namespace.as_os_str().as_encoded_bytes());
    let mut first = [0; 6];
    first.copy_from_slice(&hash.finalize()[..6]);
    Some(first)
}

/// Whether a process has this number, other than one that has ended and only waits for its parent.
fn is_alive(number: u32) -> bool {
    #[cfg(unix)]
    {
        use rustix::{
            io::Errno,
            process::{Pid, test_kill_process},
        };
        // One that this user may not signal, or even see in /proc, is alive.
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
        if pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH)) {
            return false;
        }
    }
    let stat = std::fs::read_to_string(Path::new("/proc").join(number.to_string()).join("stat")).unwrap_or_default();
    // The state follows the name, which is in parentheses and may contain some.
    !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The id of a plan made by a process of this number on this machine.
    fn made_by(number: u32) -> Uuid {
        Owner(Some(Process { machine: machine().unwrap(), number })).new_id()
    }

    #[test]
    fn a_process_that_runs_is_not_dead_and_one_that_ended_is() {
        let ours = Owner::this_process();
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let theirs = made_by(child.id());
        assert!(!ours.knows_dead(&theirs));
        child.kill().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        assert!(ours.knows_dead(&theirs), "a process that ended is dead before its parent asks");
        child.wait().unwrap();
        assert!(ours.knows_dead(&theirs));
    }

    #[test]
    fn an_owner_elsewhere_or_unknown_is_never_dead() {
        let elsewhere = Owner(Some(Process { machine: [1; 6], number: 4_194_000 }));
        let ours = Owner::this_process();
        assert!(!ours.knows_dead(&elsewhere.new_id()));
        assert!(!ours.knows_dead(&Uuid::new_v4()));
        assert!(!Owner::nobody().knows_dead(&made_by(4_194_000)));
        assert!(ours.knows_dead(&made_by(4_194_000)), "no process has this number");
    }

    #[test]
    fn no_two_ids_are_equal() {
        let ours = Owner::this_process();
        let ids: std::collections::BTreeSet<_> = (0..1_000).map(|_| ours.new_id()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.get_version_num() == VERSION && ours.knows_dead(id)));
    }
}
