//! What the standard library and the system-call crates offer only as unsafe, and all of it that
//! the shim needs.
#![expect(
    unsafe_code,
    reason = "fork, and what may be done between fork and exec, have no safe form"
)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;
use nix::unistd::ForkResult;

/// Which side of a fork this is.
pub(crate) enum Side {
    /// The one that was there before.
    Parent,
    /// The new one.
    Child,
}

/// Closes every descriptor but the standard three.
pub(crate) fn close_inherited() {
    // SAFETY: called first thing, when no value of this program owns a descriptor above 2.
    unsafe { libc::close_range(3, u32::MAX, 0) };
}

/// Forks. Only while this process has one thread.
pub(crate) fn fork() -> io::Result<Side> {
    // SAFETY: there is one thread, so no lock can be left taken in the child.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { .. } => Ok(Side::Parent),
        ForkResult::Child => Ok(Side::Child),
    }
}

/// Gives every signal its default disposition, but for two: a write to a closed pipe and one past
/// the file size limit are answered with an error.
pub(crate) fn reset_signals() {
    for signal in 1..=64 {
        let action = match signal {
            libc::SIGPIPE | libc::SIGXFSZ => libc::SIG_IGN,
            _ => libc::SIG_DFL,
        };
        // SAFETY: neither disposition runs any code. Signals that cannot be changed are refused.
        unsafe { libc::signal(signal, action) };
    }
    // Two that the C library keeps to itself and so does not change here; its posix_spawn, by which
    // a daemon starts a shim, may leave one ignored.
    for signal in [32, 33] {
        let default = [0_u64; 4];
        // SAFETY: to the kernel, zeros are the default disposition with no flags and an empty mask,
        // of which it reads no more than there is.
        unsafe {
            let nowhere = std::ptr::null_mut::<libc::c_void>();
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                nowhere,
                8_usize,
            );
        }
    }
}

/// What the provider's process does to itself between fork and exec.
#[derive(Debug)]
pub(crate) struct ChildSetup {
    /// Its working directory.
    pub(crate) cwd: OwnedFd,
    /// The shim: if the parent is another one by then, the shim has died.
    pub(crate) shim: i32,
    /// What goes to `/proc/self/oom_score_adj`.
    pub(crate) oom_score_adj: Vec<u8>,
    /// `cgroup.procs` of its control group, where it gets one.
    pub(crate) cgroup: Option<OwnedFd>,
}

/// Has a command's process set itself up before it becomes the program.
pub(crate) fn set_up_child(command: &mut Command, setup: ChildSetup) {
    // SAFETY: `enter` calls nothing but async-signal-safe functions, allocates nothing and takes no
    // lock; what it uses was made before the fork.
    unsafe { command.pre_exec(move || setup.enter()) };
}

impl ChildSetup {
    /// Async-signal-safe.
    fn enter(&self) -> io::Result<()> {
        // SAFETY: system calls with plain numbers, with descriptors that `self` keeps open, and with
        // a signal set on this stack.
        unsafe {
            check(libc::setsid())?;
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            if libc::getppid() != self.shim {
                libc::_exit(1);
            }
            if let Some(cgroup) = &self.cgroup {
                // Without its own group it is killed one process at a time.
                libc::write(cgroup.as_raw_fd(), c"0".as_ptr().cast(), 1);
            }
            self.offer_to_oom_killer();
            check(libc::fchdir(self.cwd.as_raw_fd()))?;
            for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
                libc::signal(signal, libc::SIG_DFL);
            }
            let mut none = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&mut none);
            check(libc::sigprocmask(
                libc::SIG_SETMASK,
                &none,
                std::ptr::null_mut(),
            ))?;
            // Not closed but marked: the standard library reports a failed exec through one of them.
            libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32);
        }
        Ok(())
    }

    /// Best effort, async-signal-safe.
    fn offer_to_oom_killer(&self) {
        let flags = libc::O_WRONLY | libc::O_CLOEXEC;
        // SAFETY: a constant path, and a buffer that `self` keeps.
        unsafe {
            let fd: RawFd = libc::open(c"/proc/self/oom_score_adj".as_ptr(), flags);
            if fd >= 0 {
                let bytes = &self.oom_score_adj;
                libc::write(fd, bytes.as_ptr().cast(), bytes.len());
                libc::close(fd);
            }
        }
    }
}

fn check(result: i32) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A child that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Which.
    pub(crate) pid: i32,
    /// Its exit code, where it exited.
    pub(crate) code: Option<i32>,
    /// The signal that ended it, otherwise.
    pub(crate) signal: Option<i32>,
}

/// Looks whether a child has ended, without reaping it: this one, or any.
pub(crate) fn ended_child(pid: Option<i32>) -> Option<Ended> {
    let (kind, id) = match pid {
        Some(pid) => (libc::P_PID, pid as libc::id_t),
        None => (libc::P_ALL, 0),
    };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `status` is plain data of which all-zero is a value, and is written by the kernel
    // before its union is read: it fills in the fields of a child when si_pid is not 0.
    let (result, code, pid, status) = unsafe {
        let mut status = std::mem::zeroed::<libc::siginfo_t>();
        let result = libc::waitid(kind, id, &mut status, options);
        (result, status.si_code, status.si_pid(), status.si_status())
    };
    if result != 0 || pid == 0 {
        return None;
    }
    let exited = code == libc::CLD_EXITED;
    Some(Ended {
        pid,
        code: exited.then_some(status),
        signal: (!exited).then_some(status),
    })
}

/// Reaps a child that has ended.
pub(crate) fn reap(pid: i32) {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
}

/// Has large buffers given back to the system as soon as they are dropped.
pub(crate) fn tune_allocator() {
    #[cfg(target_env = "gnu")]
    // SAFETY: numbers only; called while there is one thread.
    unsafe {
        // One arena: a second one for the writer would keep what it once held. The fixed threshold
        // also switches off its growing with use.
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 * 1024);
    }
}

/// Gives back what is not needed while a provider is quiet, which may be for hours: what the
/// allocator keeps free, and the code that ran so far, most of it for the last time.
pub(crate) fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
    steroids_shim::code::give_back();
}
