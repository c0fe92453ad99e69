//! `steroids-shim --guard PROGRAM [ARGUMENTS]`: runs a program that must not outlive who asked for it.
//!
//! Whoever asks reads the guard's standard output, which is the program's own. When nobody does any
//! more, because they closed it or are gone, the program is asked to end, and soon killed. However it
//! ends, everything that it has started is killed after it, also what has left its session.
//!
//! The exit code is the program's; 128+n for a signal, 127 where it could not be started, which is
//! then said on standard error.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process_group, pidfd_open, set_child_subreaper, setsid,
};
use steroids_shim::tree::{MARKER, Tree, guard_marker};

use crate::sys::{self, ChildSetup};

/// Between asking to end and killing: its asker has gone, and nobody waits for what it does.
const GRACE: Duration = Duration::from_millis(500);

/// The code of shells for a program that cannot be run.
const NOT_RUN: u8 = 127;

/// Runs it to its end.
pub(crate) fn guard(words: &[OsString]) -> u8 {
    match run(words) {
        Ok(status) => code(status),
        Err(error) => {
            super::complain(&error);
            NOT_RUN
        }
    }
}

fn run(words: &[OsString]) -> Result<ExitStatus, String> {
    let (program, arguments) = words.split_first().ok_or("no program was given")?;
    let own = getpid().as_raw_pid();
    let cwd = prepare().map_err(|error| format!("cannot set up: {error}"))?;
    let marker = guard_marker(own.cast_unsigned());
    let mut command = Command::new(program);
    command.args(arguments).env(MARKER, &marker);
    let setup = ChildSetup {
        cwd,
        shim: own,
        oom_score_adj: b"0".to_vec(),
        cgroup: None,
    };
    sys::set_up_child(&mut command, setup);
    let mut child = command
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    // Held here, a program that reads nothing could not be told apart from one that is slow.
    let closed = File::open("/dev/null").and_then(|null| Ok(rustix::stdio::dup2_stdin(null)?));
    let ended = closed.and_then(|()| attend(&mut child));
    let tree = Tree {
        uuid: &marker,
        below: Some(own),
        session: Some(child.id().cast_signed()),
        cgroup: None,
    };
    // It has ended, or could not be attended: either way nothing of it stays.
    tree.kill_all();
    ended.map_err(|error| format!("cannot wait for {}: {error}", program.display()))
}

/// Leaves what the asker gave without meaning to, and becomes the heir of every orphan below.
fn prepare() -> io::Result<OwnedFd> {
    sys::close_inherited();
    sys::reset_signals();
    // Who ends this process would leave what it guards; it goes by itself. The child's are its own.
    SigSet::all().thread_block()?;
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    Ok(File::open("/")?.into())
}

/// Waits until the program has ended, by itself or because nobody wants it any more.
fn attend(child: &mut Child) -> io::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    let end = pidfd_open(pid, PidfdFlags::empty())?;
    if !ends_while_wanted(&end)? {
        // It leads a session and a group of its number, and is not waited for yet.
        let _ = kill_process_group(pid, Signal::TERM);
        let within = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(GRACE.subsec_nanos()),
        };
        poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&within))?;
        let _ = kill_process_group(pid, Signal::KILL);
    }
    child.wait()
}

/// False as soon as nobody reads standard output any more.
fn ends_while_wanted(end: &OwnedFd) -> io::Result<bool> {
    let stdout = io::stdout();
    loop {
        // An error is told of without being asked for: that of a pipe without a reader.
        let reader = PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::empty());
        let mut fds = [PollFd::new(end, PollFlags::IN), reader];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            polled => polled?,
        };
        if !fds[0].revents().is_empty() {
            return Ok(true);
        }
        if !fds[1].revents().is_empty() {
            return Ok(false);
        }
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code();
    let code = code.or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
