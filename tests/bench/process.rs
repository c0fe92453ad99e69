//! What the kernel counts for a process.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use steroids_tests::processes::{Process, thread_sleeps};

/// How often the threads of a process go to sleep. A thread that ends takes its count along, so it has
/// to be looked at meanwhile.
pub(crate) struct Sleeps {
    pid: i32,
    known: HashMap<OsString, u64>,
    count: u64,
}

impl Sleeps {
    pub(crate) fn of(pid: i32) -> Sleeps {
        Sleeps {
            pid,
            known: thread_sleeps(pid),
            count: 0,
        }
    }

    /// So many since it was made, but for the last ones of threads that have ended since the last look.
    pub(crate) fn look(&mut self) -> u64 {
        let now = thread_sleeps(self.pid);
        for (thread, count) in &now {
            let before = self.known.get(thread).copied().unwrap_or(0);
            self.count += count.saturating_sub(before);
        }
        self.known = now;
        self.count
    }
}

/// The processor time of all its threads, ended ones too, to the nanosecond: /proc tells it in
/// steps of 10 ms. Nothing if it is gone.
pub(crate) fn cpu(pid: i32) -> Duration {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid));
    let time = clock.and_then(clock_gettime);
    time.map_or(Duration::ZERO, Duration::from)
}

/// The caller's own.
pub(crate) fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
    time.map_or(Duration::ZERO, Duration::from)
}

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

/// Forgets the peak, so that the next is of what comes.
pub(crate) fn reset_peak(pid: i32) {
    // Refused on some kernels; the peak is then of all the time, which is no smaller.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
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
