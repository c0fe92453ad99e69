//! Which processes an invocation began with: `state.json`. It proves nothing about life (the lock
//! does that); it tells whom to clean up after when a shim was lost.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::durable::{self, FileError};
use crate::paths::InvDir;

/// The processes, named so that a process id that was given again is not taken for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// [`crate::spec::PROTOCOL`] of the writer.
    pub proto: u32,
    /// The shim.
    pub shim_pid: i32,
    /// When it started, in clock ticks since boot.
    pub shim_start_ticks: u64,
    /// The provider; `None` until it was started.
    pub agent_pid: Option<i32>,
    /// When it started, in clock ticks since boot.
    pub agent_start_ticks: Option<u64>,
    /// Boot within which these numbers mean something.
    pub boot_id: String,
    /// The provider's own control group, where there is one: an absolute path.
    pub cgroup: Option<PathBuf>,
    /// The unit of the user's service manager that the shim itself runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl State {
    /// Reads it; `None` if no shim got that far.
    pub fn load(dir: &InvDir) -> Result<Option<State>, FileError> {
        match durable::load(&dir.state()) {
            Ok(state) => Ok(Some(state)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the file that the first one is written to.
    pub(crate) fn provide(dir: &InvDir) -> Result<(), FileError> {
        durable::create(&durable::draft_of(&dir.state())).map(drop)
    }

    /// Writes it whole. Not durably: its numbers mean nothing after the next boot, and nobody looks
    /// at them then, and a start would wait for the disk once more.
    pub fn store(&self, dir: &InvDir) -> Result<(), FileError> {
        let path = dir.state();
        steroids_failpoint::check("state.store")
            .map_err(|source| FileError::io("write", &path, source))?;
        durable::store_for_this_boot(&path, self)
    }
}

/// Removes the file that a state would be written to, of an invocation that is over. Blocks.
///
/// # Errors
/// What the file system says, other than that there is none.
pub fn withdraw(dir: &InvDir) -> io::Result<()> {
    match fs::remove_file(durable::draft_of(&dir.state())) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Names the running boot of this host.
pub fn boot_id() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim_end().to_owned())
}
