//! What a shim finds about its process and its host. It is the same for every invocation, so one that
//! stands by has looked before there is one.

use std::fs;

use steroids_shim::cgroup::Own;
use steroids_shim::state;
use steroids_shim::tree::start_ticks;

use super::Failure;

/// Added to the provider's badness: it goes before the shim, which can then tell what happened.
const OOM_SCORE_ADJ: i32 = 300;

/// The surroundings.
#[derive(Debug)]
pub(crate) struct Around {
    /// This process.
    pub(crate) pid: i32,
    /// When it started, in clock ticks since boot.
    pub(crate) start_ticks: u64,
    /// Names the running boot.
    pub(crate) boot_id: String,
    /// Where this process is among the control groups.
    pub(crate) groups: Own,
    /// What the provider writes to its `oom_score_adj`.
    pub(crate) oom_score_adj: Vec<u8>,
}

impl Around {
    /// Looks.
    pub(crate) fn look() -> Result<Around, Failure> {
        let pid = std::process::id() as i32;
        let boot_id = state::boot_id();
        Ok(Around {
            pid,
            start_ticks: start_ticks(pid).unwrap_or(0),
            boot_id: boot_id.map_err(|source| Failure::system("read boot_id", source))?,
            groups: Own::look(),
            oom_score_adj: oom_score_adj(),
        })
    }
}

fn oom_score_adj() -> Vec<u8> {
    let own = fs::read_to_string("/proc/self/oom_score_adj")
        .ok()
        .and_then(|text| text.trim_end().parse::<i32>().ok())
        .unwrap_or(0);
    (own + OOM_SCORE_ADJ).min(1000).to_string().into_bytes()
}
