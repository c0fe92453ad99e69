//! Has a shim bind its socket anew, once somebody has removed it: who ends the last session of a user
//! removes all runtime folders with it. A shim does so on SIGHUP, which it blocks and reads, and has
//! from the first release on.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::durable::FileError;
use crate::paths::InvDir;
use crate::procfs;
use crate::state::{self, State};
use crate::{lock, tree};

/// Why a shim was not told, or will not be able to.
#[derive(Debug, thiserror::Error)]
pub enum RecallError {
    /// Nobody holds the lock.
    #[error("its shim is gone")]
    Gone,
    /// The lock is held, and `state.json` names no process that is there.
    #[error("which process its shim is cannot be told")]
    Unknown,
    /// It would be ended by the signal.
    #[error("its shim does not take the signal for it")]
    Unready,
    /// One of its files cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It was told, and its socket has no folder.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Tells the shim of a folder to bind `socket` anew, which it does soon after. Blocks.
pub fn recall(dir: &InvDir, socket: &Path) -> Result<(), RecallError> {
    let shim = Holder::find(dir)?;
    if !blocks_hangup(shim.pid) {
        return Err(RecallError::Unready);
    }
    let made = make_folder(socket);
    // Without the folder, too: what this process may not make, the shim may.
    shim.signal(Signal::HUP)
        .map_err(refused("signal its shim"))?;
    made
}

fn refused(action: &'static str) -> impl FnOnce(io::Error) -> RecallError {
    move |source| RecallError::System { action, source }
}

/// The process that holds the lock of a folder.
#[derive(Debug)]
pub(crate) struct Holder {
    pid: i32,
    process: OwnedFd,
}

impl Holder {
    /// Looks for it; no other process is taken for it. Blocks.
    pub(crate) fn find(dir: &InvDir) -> Result<Holder, RecallError> {
        if !lock::is_held(&dir.lock()).map_err(refused("ask for its lock"))? {
            return Err(RecallError::Gone);
        }
        let state = State::load(dir)?.ok_or(RecallError::Unknown)?;
        if state::boot_id().map_err(refused("ask for the boot"))? != state.boot_id {
            return Err(RecallError::Unknown);
        }
        let pid = Pid::from_raw(state.shim_pid).ok_or(RecallError::Unknown)?;
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Err(RecallError::Unknown);
        };
        // After the descriptor, which names one process whatever becomes of the number.
        if tree::start_ticks(state.shim_pid) != Some(state.shim_start_ticks) {
            return Err(RecallError::Unknown);
        }
        Ok(Holder {
            pid: state.shim_pid,
            process,
        })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.process, signal)?)
    }
}

/// For the owner alone.
fn make_folder(socket: &Path) -> Result<(), RecallError> {
    let Some(folder) = socket.parent() else {
        return Ok(());
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| RecallError::Folder {
        path: folder.to_owned(),
        source,
    })
}

/// Whether it is there to be read by it, and not to end it.
fn blocks_hangup(pid: i32) -> bool {
    const HANGUP: u64 = 1 << (Signal::HUP.as_raw() - 1);
    let status = procfs::text(format!("/proc/{pid}/status"));
    let blocked = status
        .lines()
        .find_map(|line| line.strip_prefix("SigBlk:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    blocked.is_some_and(|mask| mask & HANGUP != 0)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::spec::PROTOCOL;

    /// A process that a HUP would end, as the shim of a folder.
    pub(crate) struct Posing {
        folder: tempfile::TempDir,
        child: Child,
        state: State,
    }

    impl Posing {
        pub(crate) fn new() -> Posing {
            let child = Command::new("sleep").arg("1000").spawn().unwrap();
            let pid = child.id() as i32;
            let state = State {
                proto: PROTOCOL,
                shim_pid: pid,
                shim_start_ticks: tree::start_ticks(pid).unwrap(),
                agent_pid: None,
                agent_start_ticks: None,
                boot_id: state::boot_id().unwrap(),
                cgroup: None,
                unit: None,
            };
            Posing {
                folder: tempfile::tempdir().unwrap(),
                child,
                state,
            }
        }

        /// Its folder, as that stands now.
        pub(crate) fn dir(&self) -> InvDir {
            let dir = InvDir::at(self.folder.path());
            self.state.store(&dir).unwrap();
            dir
        }

        pub(crate) fn pid(&self) -> i32 {
            self.state.shim_pid
        }

        pub(crate) fn signal(&self, signal: Signal) {
            let pid = Pid::from_raw(self.pid()).unwrap();
            rustix::process::kill_process(pid, signal).unwrap();
        }

        /// From now on the number is another process's.
        pub(crate) fn began_later(&mut self) {
            self.state.shim_start_ticks += 1;
        }

        fn recalled(&self) -> RecallError {
            recall(&self.dir(), &self.socket()).unwrap_err()
        }

        fn socket(&self) -> PathBuf {
            self.folder.path().join("run/s/x")
        }
    }

    impl Drop for Posing {
        fn drop(&mut self) {
            // Both can only fail for one that was waited for.
            let _ = (self.child.kill(), self.child.wait());
        }
    }

    #[test]
    fn nobody_is_signalled_who_is_not_the_shim_or_would_be_ended() {
        let mut posing = Posing::new();
        assert!(matches!(posing.recalled(), RecallError::Gone));
        let lock = lock::acquire(&InvDir::at(posing.folder.path()).lock()).unwrap();
        assert!(matches!(posing.recalled(), RecallError::Unready));
        posing.began_later();
        assert!(matches!(posing.recalled(), RecallError::Unknown));
        posing.state.shim_start_ticks -= 1;
        posing.state.boot_id = "another".to_owned();
        assert!(matches!(posing.recalled(), RecallError::Unknown));
        assert!(posing.child.try_wait().unwrap().is_none());
        assert!(!posing.socket().parent().unwrap().exists());
        drop(lock);
    }
}
