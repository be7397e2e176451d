//! How much memory this process may use, and what its allocator keeps of what was used.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::thread::available_parallelism;

/// Memory that is assumed where the system does not say.
const ASSUMED_BYTES: u64 = 4 << 30;

/// The memory of this machine or, if that is less, of this process's container (its cgroup), in bytes.
///
/// On systems other than Linux, 4 GiB.
pub fn usable_bytes() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_meminfo(&text));
    // Version 2 and 1 of the interface; in a container, its own group is the root.
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = limits.iter().filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok());
    machine.into_iter().chain(group).min().unwrap_or(ASSUMED_BYTES)
}

fn of_meminfo(text: &str) -> Option<u64> {
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?;
    kib.trim().parse::<u64>().ok()?.checked_mul(1 << 10)
}

/// Makes glibc's allocator share its *arenas*, the parts that each thread allocates from, among more threads: two for
/// each core instead of eight. Call it first in `main`: arenas that exist already stay.
///
/// Freed memory stays in the arena that it came from. Tasks move from thread to thread, so otherwise the largest need of
/// a task would stay in as many arenas as there are threads. Other systems' allocators are left alone, and so is one for
/// which the user has set `MALLOC_ARENA_MAX`.
pub fn limit_arenas() {
    if std::env::var_os("MALLOC_ARENA_MAX").is_some() {
        return;
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if let Some(arenas) = available_parallelism().ok().and_then(|cores| i32::try_from(2 * cores.get()).ok()) {
        // If it is refused, the default stays, which is only larger.
        //
        // SAFETY: the call changes a number of the allocator, under the allocator's own lock; any value is valid.
        #[expect(unsafe_code, reason = "the only way to set this from within the process")]
        let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read_in_bytes() {
        assert_eq!(of_meminfo("MemTotal:       24602104 kB\nMemFree: 1 kB\n"), Some(24_602_104 << 10));
        assert_eq!(of_meminfo("MemFree: 1 kB\n"), None);
        assert!(usable_bytes() > 1 << 20);
    }
}
