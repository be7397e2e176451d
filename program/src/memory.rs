//! How much memory this process may use.

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
