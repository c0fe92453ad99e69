//! What the kernel counts for a process.

use std::fs;
use std::time::Duration;

use steroids_tests::processes::Process;

pub(crate) use steroids_tests::processes::cpu;

/// Resident memory in KiB; 0 if it is gone.
pub(crate) fn rss_kib(pid: i32) -> u64 {
    kib(pid, "status", "VmRSS:")
}

/// The most that was ever resident, in KiB.
pub(crate) fn peak_rss_kib(pid: i32) -> u64 {
    kib(pid, "status", "VmHWM:")
}

/// Written and not shared, in KiB: what one more of them costs.
pub(crate) fn private_dirty_kib(pid: i32) -> u64 {
    kib(pid, "smaps_rollup", "Private_Dirty:")
}

/// Read from a file and not shared with another process that runs it, in KiB.
pub(crate) fn private_clean_kib(pid: i32) -> u64 {
    kib(pid, "smaps_rollup", "Private_Clean:")
}

/// Forgets the peak, so that the next is of what comes.
pub(crate) fn reset_peak(pid: i32) {
    // Refused on some kernels; the peak is then of all the time, which is no smaller.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// The time its living threads had a processor, to the nanosecond.
pub(crate) fn spent(pid: i32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let nanos = threads.into_iter().flatten().flatten().map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let first: Option<u64> = text.split(' ').next().and_then(|first| first.parse().ok());
        first.unwrap_or(0)
    });
    Duration::from_nanos(nanos.sum::<u64>())
}

/// The shim among the processes of a home.
pub(crate) fn shim(processes: &[Process], uuid: &str) -> i32 {
    let shim = processes
        .iter()
        .find(|process| process.command.contains(uuid));
    shim.expect("a running invocation has a shim").pid
}

fn kib(pid: i32, file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
