//! What a tree of processes uses, told by two looks at it: whether something works in there.
//!
//! The kernel adds what a process used to the one that waits for it, so CPU time is never lost from
//! the sum, and never counted twice. Of disks that is told per process: who waits for orphans
//! writes, too, and what that was cannot be told from theirs.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rustix::param::clock_ticks_per_second;
use serde::{Deserialize, Serialize};

/// What was used up to a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Clock ticks of CPU time, of the processes that are there and those they have waited for.
    ticks: u64,
    /// Microseconds of CPU time that their control group counts, which nothing escapes.
    group_us: Option<u64>,
    /// Bytes that disks read and wrote for them, of each process where that is to be known.
    disk: HashMap<Identity, u64>,
}

/// A process's number and when it started.
pub(super) type Identity = (i32, u64);

/// What was used between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Milliseconds of CPU time.
    pub cpu_ms: u64,
    /// Bytes read from disks and written to them.
    pub disk_bytes: u64,
}

/// What a tree uses at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Milliseconds of CPU time since it began.
    pub cpu_ms: u64,
    /// Bytes of memory: by the kernel's count of its control group, or else the sum of its processes'
    /// resident sets, in which what they share counts for each.
    pub memory_bytes: u64,
    /// How many they are.
    pub processes: u32,
}

impl Usage {
    /// Microseconds of CPU time up to then.
    pub fn cpu_us(&self) -> u64 {
        let of_processes = self.ticks.saturating_mul(1_000_000) / clock_ticks_per_second().max(1);
        of_processes.max(self.group_us.unwrap_or(0))
    }

    pub(super) fn add(&mut self, ticks: u64) {
        self.ticks = self.ticks.saturating_add(ticks);
    }

    pub(super) fn moved(&mut self, process: Identity, bytes: u64) {
        self.disk.insert(process, bytes);
    }

    pub(super) fn of_group(&mut self, cgroup: Option<&Path>) {
        self.group_us = cgroup.and_then(group_cpu_us);
    }

    /// What was used since an earlier look. Where something is not to be known, nothing was.
    pub fn since(&self, earlier: &Usage) -> Used {
        let ticks = self.ticks.saturating_sub(earlier.ticks);
        let of_processes = ticks.saturating_mul(1000) / clock_ticks_per_second().max(1);
        let of_group = match (self.group_us, earlier.group_us) {
            (Some(now), Some(before)) => now.saturating_sub(before) / 1000,
            _ => 0,
        };
        Used {
            cpu_ms: of_processes.max(of_group),
            disk_bytes: self.disk.iter().fold(0, |sum, (process, now)| {
                let before = earlier.disk.get(process).copied().unwrap_or(0);
                sum.saturating_add(now.saturating_sub(before))
            }),
        }
    }
}

/// Microseconds of CPU time that a control group has used.
pub fn group_cpu_us(cgroup: &Path) -> Option<u64> {
    field(cgroup, "cpu.stat", "usage_usec")
}

/// Bytes of memory that a control group has now; `None` where the kernel does not count them.
pub fn group_memory(cgroup: &Path) -> Option<u64> {
    number(cgroup, "memory.current")
}

/// The most it has had; kernels before 5.19 do not tell.
pub fn group_memory_peak(cgroup: &Path) -> Option<u64> {
    number(cgroup, "memory.peak")
}

/// How many of its processes the kernel has ended for the memory they had.
pub fn group_oom_kills(cgroup: &Path) -> Option<u64> {
    field(cgroup, "memory.events", "oom_kill")
}

fn number(cgroup: &Path, file: &str) -> Option<u64> {
    let text = fs::read_to_string(cgroup.join(file)).ok()?;
    text.trim().parse().ok()
}

fn field(cgroup: &Path, file: &str, name: &str) -> Option<u64> {
    value_of(&fs::read_to_string(cgroup.join(file)).ok()?, name)
}

/// The number behind a name at the beginning of a line.
fn value_of(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let (_, value) = lines.find(|(key, _)| *key == name)?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(ticks: u64, group_us: Option<u64>, disk: &[(i32, u64)]) -> Usage {
        let started = |&(pid, bytes)| ((pid, 1), bytes);
        Usage {
            ticks,
            group_us,
            disk: disk.iter().map(started).collect(),
        }
    }

    #[test]
    fn two_looks_tell_what_was_used_between_them() {
        let second = clock_ticks_per_second();
        let before = usage(5 * second, None, &[(7, 1000), (8, 5000)]);
        let after = usage(7 * second, None, &[(7, 1500), (9, 300)]);
        let used = after.since(&before);
        // One that is new counts as a whole, one that is gone not at all.
        assert_eq!((used.cpu_ms, used.disk_bytes), (2000, 800));
        assert_eq!(before.since(&after).cpu_ms, 0);
    }

    #[test]
    fn a_control_group_counts_what_nobody_waited_for() {
        let before = usage(100, Some(1_000_000), &[]);
        assert_eq!(usage(100, Some(4_500_000), &[]).since(&before).cpu_ms, 3500);
        assert_eq!(usage(100, None, &[]).since(&before).cpu_ms, 0);
        let text = "usage_usec 12\nuser_usec 3\n";
        assert_eq!(value_of(text, "usage_usec"), Some(12));
        assert_eq!(value_of("user_usec 3\n", "usage_usec"), None);
        let events = "oom 3\noom_kill 2\noom_group_kill 0\n";
        assert_eq!(value_of(events, "oom_kill"), Some(2));
    }

    #[test]
    fn a_process_of_the_same_number_is_another_one() {
        let before = usage(0, None, &[(7, 9000)]);
        let mut after = usage(0, None, &[]);
        after.moved((7, 2), 100);
        assert_eq!(after.since(&before).disk_bytes, 100);
    }
}
