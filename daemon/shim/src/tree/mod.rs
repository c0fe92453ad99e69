//! All processes of an invocation, found and killed.
//!
//! A provider's processes leave its process group and its session at will, so they are looked for
//! in four ways: the control group, where there is one; the descendants of the shim, to which the
//! kernel gives every orphan below it; the provider's session; and the marker variable in the
//! environment, which is all that is left when the shim is gone.
//!
//! Processes are signalled by pidfd after a second look, so that a process id that was given again
//! in between is not hit.

mod adrift;
mod census;
mod children;
mod holder;
mod processes;
mod usage;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

pub use adrift::{Adrift, end_adrift};
pub use census::Census;
use children::Ends;
pub use children::reap_children;
pub use holder::{Peer, shim_lives};
pub(crate) use processes::is_stopped;
pub use processes::{MARKER, Process, start_ticks};
use processes::{Seen, group_size};
pub use usage::{
    Load, Usage, Used, group_cpu_us, group_memory, group_memory_peak, group_oom_kills,
};

use crate::state::{self, State};

/// How long processes that were killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// So many looks in a row find nothing before that is believed of processes that are not this one's to wait for.
const LOOKS: u32 = 3;

/// Which processes belong to an invocation.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    /// Value of the marker variable.
    pub uuid: &'a str,
    /// Everything below this process, but not itself.
    pub below: Option<i32>,
    /// Everything in this session.
    pub session: Option<i32>,
    /// Everything in this control group.
    pub cgroup: Option<&'a Path>,
}

/// What became of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Killed {
    /// Processes that were found alive, each once.
    pub found: Vec<Process>,
    /// Those that were still there in the end: the kernel does not let go of them.
    pub left: u32,
}

impl Tree<'_> {
    /// The tree's processes that are alive now, as far as one look tells.
    pub fn alive(&self) -> Vec<Process> {
        processes::members(self)
    }

    /// What its processes have used so far, as far as the kernel tells.
    pub fn usage(&self, with_disk: bool) -> Usage {
        let mut usage = Seen::of(self).usage(with_disk);
        usage.of_group(self.cgroup);
        usage
    }

    /// What it uses now. `accounts` is the control group whose memory is counted, where there is one.
    pub fn load(&self, accounts: Option<&Path>) -> Load {
        let counted = (
            self.cgroup.and_then(group_cpu_us),
            accounts.and_then(group_memory),
            self.cgroup.map(group_size),
        );
        let (cpu_us, memory_bytes, processes) = match counted {
            (Some(cpu_us), Some(bytes), Some(size)) => (cpu_us, bytes, size),
            (cpu_us, bytes, _) => {
                // One look tells both.
                let seen = Seen::quickly(self);
                let (resident, count) = seen.residents();
                let cpu_us = cpu_us.unwrap_or_else(|| seen.usage(false).cpu_us());
                (cpu_us, bytes.unwrap_or(resident), count)
            }
        };
        Load {
            cpu_ms: cpu_us / 1000,
            memory_bytes,
            processes,
        }
    }

    /// Kills everything that is alive now, once, and tells which processes these were.
    pub fn kill_once(&self) -> Vec<Process> {
        // First, since what is dead by then can be neither counted nor named.
        let found = self.alive();
        if let Some(cgroup) = self.cgroup {
            // At once and without a gap for those that fork; the rest of this is for those outside.
            let _ = fs::write(cgroup.join("cgroup.kill"), "1");
        }
        for process in &found {
            kill(process);
        }
        found
    }

    /// Kills until nothing is left, for a few seconds at most. Blocks. Where all of it is below this process, its
    /// children are reaped, and nothing is left once there are none.
    pub fn kill_all(&self) -> Killed {
        let deadline = Instant::now() + PATIENCE;
        match self.below == Some(std::process::id() as i32) {
            true => self.kill_below_us(deadline),
            false => self.kill_elsewhere(deadline),
        }
    }

    fn kill_below_us(&self, deadline: Instant) -> Killed {
        let ends = Ends::new();
        let mut tree = *self;
        let mut seen = Vec::new();
        loop {
            ends.forget();
            let mut found = tree.kill_once();
            if found.is_empty() {
                // Its leader is reaped now, and somebody else may get the number.
                tree.session = None;
                if !reap_children() {
                    return Killed {
                        found: seen,
                        left: 0,
                    };
                }
                // One that was in no place that was looked at: what takes no search is quick enough.
                found = processes::listed_below_us();
                found.iter().for_each(kill);
            }
            note(&mut seen, &found);
            if Instant::now() >= deadline {
                return Killed {
                    found: seen,
                    left: found.len().max(1) as u32,
                };
            }
            ends.wait(PAUSE);
        }
    }

    fn kill_elsewhere(&self, deadline: Instant) -> Killed {
        let mut seen = Vec::new();
        let mut in_vain = 0;
        loop {
            let found = self.kill_once();
            note(&mut seen, &found);
            in_vain = if found.is_empty() { in_vain + 1 } else { 0 };
            if in_vain == LOOKS || Instant::now() >= deadline {
                return Killed {
                    found: seen,
                    left: found.len() as u32,
                };
            }
            thread::sleep(PAUSE);
        }
    }
}

fn note(seen: &mut Vec<Process>, found: &[Process]) {
    for process in found {
        if !seen.iter().any(|known| known.is(process)) {
            seen.push(process.clone());
        }
    }
}

/// The marker of what a guard runs: no two guards of one boot that live at one time have the same.
pub fn guard_marker(pid: u32) -> String {
    format!("guard-{pid}")
}

/// Kills every process that carries the marker of `uuid`. Blocks for a few seconds at most.
pub fn kill_marked(uuid: &str) -> Killed {
    Tree {
        uuid,
        below: None,
        session: None,
        cgroup: None,
    }
    .kill_all()
}

/// Whether something of what a shim began with shows without a look through all processes: its control group has
/// members, or its provider is there.
pub fn may_remain(state: &State) -> bool {
    let is_provider = |pid: i32| {
        let began = state.agent_start_ticks;
        began.is_some_and(|began| processes::is_alive(pid, began))
    };
    let group = state.cgroup.as_deref();
    state.agent_pid.is_some_and(is_provider) || group.is_some_and(|it| group_size(it) > 0)
}

/// Kills what a lost shim left behind, and nothing of another boot. Blocks for a few seconds at
/// most; the caller holds the lock of the invocation.
pub fn kill_remains(uuid: &str, state: &State) -> Killed {
    if state::boot_id().is_ok_and(|boot| boot != state.boot_id) {
        return Killed::default();
    }
    // While the provider itself is there, its session's number is its own.
    let session = state.agent_pid.filter(|pid| {
        state.agent_start_ticks.is_some() && start_ticks(*pid) == state.agent_start_ticks
    });
    let killed = Tree {
        uuid,
        below: None,
        session,
        cgroup: state.cgroup.as_deref(),
    }
    .kill_all();
    if let Some(cgroup) = &state.cgroup {
        // The shim would have done it. What the kernel does not let go of still is in there.
        let _ = fs::remove_dir(cgroup);
    }
    killed
}

fn kill(process: &Process) {
    let Some(pid) = Pid::from_raw(process.pid) else {
        return;
    };
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else {
        // Gone already.
        return;
    };
    if start_ticks(process.pid) == Some(process.start_ticks) {
        // The only refusal is that it is gone, or another user's and so not the provider's.
        let _ = pidfd_send_signal(&fd, Signal::KILL);
    }
}

#[cfg(test)]
mod tests;
