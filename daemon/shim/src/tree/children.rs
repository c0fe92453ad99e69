//! The children of this process, which inherits every orphan below it. A search through `/proc` takes its time, and
//! one that moves on by fork may be in no part of it that is read; but it is always somebody's child, and so there is
//! something below this process until it has no child.

use std::os::fd::AsFd as _;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// Those that are reaped at a time: what forks without end ends others without end.
const REAPED: usize = 1000;

/// Also those of which the kernel would tell their parent by no SIGCHLD.
const WALL: WaitIdOptions = WaitIdOptions::from_bits_retain(0x4000_0000);

/// Reaps children that have ended; whether there may be others. False is certain.
pub fn reap_children() -> bool {
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WALL;
    for _ in 0..REAPED {
        match waitid(WaitId::All, ended) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return true,
            // ECHILD; nothing else can be wrong.
            Err(_) => return false,
        }
    }
    true
}

/// Tells of ends of children, where this process has SIGCHLD blocked. An end is where one moves on, too.
pub(super) struct Ends(Option<SignalFd>);

impl Ends {
    pub(super) fn new() -> Ends {
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ends(SignalFd::with_flags(&set, flags).ok())
    }

    /// Those up to now are of no interest any more.
    pub(super) fn forget(&self) {
        // The kernel keeps one at a time.
        let _ = self.0.as_ref().map(SignalFd::read_signal);
    }

    /// Waits for the next, so long at most.
    pub(super) fn wait(&self, at_most: Duration) {
        let Some(ends) = &self.0 else {
            return thread::sleep(at_most);
        };
        let at_most = Timespec {
            tv_sec: at_most.as_secs() as i64,
            tv_nsec: i64::from(at_most.subsec_nanos()),
        };
        let _ = poll(
            &mut [PollFd::from_borrowed_fd(ends.as_fd(), PollFlags::IN)],
            Some(&at_most),
        );
    }
}
