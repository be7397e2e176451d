//! Failpoints: named places at which a test makes this process die, as `kill -9` would at that moment.
//!
//! Compiled in for tests only (feature `failpoints`). `SLUICE_FAILPOINTS` names the armed ones, separated by spaces, as
//! `stage:moment`. With `@text`, only if the current object has `text` in its key; with `#n`, only the n-th time. A
//! name that ends with `!hang` hangs instead; with `!once=file`, only one process dies, the one that creates the file. A
//! child process has its own ones armed: those in `SLUICE_CHILD_FAILPOINTS`.

/// Every failpoint, in the order that a batch passes them; the tests compare the list with the code.
pub const ALL: [&str; 18] = [
    "discover:listed",
    "plan:taken",
    "plan:created",
    "recover:attempted",
    "decode:object",
    "fetch:done",
    "decode:done",
    "write:bronze",
    "write:dead_letters",
    "write:copy",
    "write:done",
    "commit:assembled",
    "commit:created",
    "snapshot:due",
    "snapshot:done",
    "after_commit:begun",
    "after_commit:copied",
    "after_commit:removed",
];

/// Does nothing, unless a test has armed this failpoint: then the process aborts here.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) fn reach(_name: &'static str, _object: &dyn std::fmt::Display) {}

/// Arms the failpoints of a child process.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) fn arm_child(_child: &mut tokio::process::Command) {}

/// Whether a test makes this process act as another version of the program.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) fn is_other_version() -> bool {
    false
}

/// A fault that only another version of the program would find in a record.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) fn judge_as_other_version(_record: &serde_json::Value) -> Result<(), lake::dead_letter::Fault> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub(crate) use armed::{arm_child, is_other_version, judge_as_other_version, reach};

#[cfg(feature = "failpoints")]
mod armed {
    use std::{
        collections::HashMap,
        fmt::Display,
        sync::{LazyLock, Mutex, PoisonError},
    };

    use lake::dead_letter::{ErrorCode, Fault, Reason};

    static ARMED: LazyLock<String> = LazyLock::new(|| std::env::var("SLUICE_FAILPOINTS").unwrap_or_default());
    static REACHED: LazyLock<Mutex<HashMap<&'static str, u64>>> = LazyLock::new(Mutex::default);

    pub(crate) fn reach(name: &'static str, object: &dyn Display) {
        debug_assert!(super::ALL.contains(&name), "{name} is not in the list of failpoints");
        if ARMED.is_empty() {
            return;
        }
        let times = {
            let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
            let times = reached.entry(name).or_default();
            *times += 1;
            *times
        };
        for armed in ARMED.split_whitespace() {
            let (armed, hangs) = armed.strip_suffix("!hang").map_or((armed, false), |rest| (rest, true));
            let (armed, once) = armed.split_once("!once=").map_or((armed, None), |(armed, file)| (armed, Some(file)));
            let (armed, nth) = armed.split_once('#').unwrap_or((armed, ""));
            let (armed, object_has) = armed.split_once('@').unwrap_or((armed, ""));
            let due = nth.is_empty() || nth.parse() == Ok(times);
            if armed != name || !due || !object.to_string().contains(object_has) {
                continue;
            }
            if once.is_some_and(|file| std::fs::File::create_new(file).is_err()) {
                continue;
            }
            if !hangs {
                std::process::abort();
            }
            loop {
                std::thread::park();
            }
        }
    }

    pub(crate) fn arm_child(child: &mut tokio::process::Command) {
        child.env("SLUICE_FAILPOINTS", std::env::var("SLUICE_CHILD_FAILPOINTS").unwrap_or_default());
    }

    pub(crate) fn is_other_version() -> bool {
        ARMED.split_whitespace().any(|armed| armed == "enforce:other_version")
    }

    /// The other version refuses each record whose `id` is odd.
    pub(crate) fn judge_as_other_version(record: &serde_json::Value) -> Result<(), Fault> {
        let is_odd = record.get("id").and_then(serde_json::Value::as_i64).is_some_and(|id| id % 2 == 1);
        if !(is_other_version() && is_odd) {
            return Ok(());
        }
        let message = "the other version of the program refuses odd ids".to_owned();
        Err(Fault { reason: Reason::InvalidSchema, code: ErrorCode::BadValue, path: None, message })
    }
}
