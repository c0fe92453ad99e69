//! As the first process of a container: every process there whose parent has ended becomes ours, each
//! shim among them, and stays as a zombie until somebody waits for it. The daemon waits only for what
//! it has started itself, so it runs as a child, and this process does nothing but wait for all.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use rustix::process::{WaitOptions, wait};

/// What is passed on to the daemon: what it ends by, or reads its configuration again, and what would end this process.
const PASSED_ON: [Signal; 5] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// If this is the first process of a PID namespace: runs the daemon as a child, with the same
/// arguments, waits for whatever ends, and gives the daemon's exit code (128 + N for signal N) when
/// that has ended; the kernel then ends all the others. `None` if it is not. Call it while there is
/// one thread.
///
/// # Errors
/// When no process can be started or waited for.
pub fn as_first_process() -> io::Result<Option<u8>> {
    if std::process::id() != 1 {
        return Ok(None);
    }
    // Before there is a child: what comes at any time from now on is kept until it is waited for. The
    // child takes its signals for itself.
    let mut awaited = SigSet::from_iter(PASSED_ON);
    awaited.add(Signal::SIGCHLD);
    awaited.thread_block()?;
    let daemon = start()?;
    loop {
        match awaited.wait()? {
            Signal::SIGCHLD => {
                if let Some(code) = wait_for_all(&daemon)? {
                    return Ok(Some(code));
                }
            }
            // It may have ended by now, of which the next signal tells.
            other => drop(kill(pid(&daemon), other)),
        }
    }
}

fn start() -> io::Result<Child> {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_else(|| "steroidsd".into());
    Command::new("/proc/self/exe")
        .arg0(name)
        .args(words)
        .spawn()
}

/// Waits for every child that has ended; gives the daemon's exit code if it is among them. One signal
/// may stand for many.
fn wait_for_all(daemon: &Child) -> io::Result<Option<u8>> {
    while let Some((ended, status)) = wait(WaitOptions::NOHANG)? {
        // By numbers: a real-time signal has no name, and any process here may have ended by one.
        let by_signal = || status.terminating_signal().map(|signal| 128 + signal);
        if ended.as_raw_pid() == daemon.id().cast_signed()
            && let Some(code) = status.exit_status().or_else(by_signal)
        {
            return Ok(Some(u8::try_from(code).unwrap_or(1)));
        }
    }
    Ok(None)
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}
