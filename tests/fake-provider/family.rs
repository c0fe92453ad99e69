//! Processes that outlive the one that was started. Each holds our stdout and prints to it, and
//! tells its pid first, so that a test can look for it afterwards.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::life;
use crate::options::{Failure, Options};
use crate::pipes;

/// The verb of the processes left behind.
pub(crate) const HOLD: &str = "hold";

/// Leaves one behind and exits at once. It is nobody's child but the subreaper's.
pub(crate) fn grandchild(options: &Options) -> Result<u8, Failure> {
    let mut child = start(options, &["--fork"])?;
    child
        .wait()
        .map_err(|e| Failure::new(format!("wait: {e}")))?;
    options.number("exit", 0)
}

/// Starts `count` of them and stays.
pub(crate) fn tree(options: &Options) -> Result<u8, Failure> {
    let count: u64 = options.number("count", 3)?;
    for _ in 0..count {
        let mut child = start(options, &["--fork"])?;
        child
            .wait()
            .map_err(|e| Failure::new(format!("wait: {e}")))?;
    }
    if options.flag("ignore-term") {
        life::hold_signals_off()?;
    }
    life::stall()
}

/// One process left behind: `held PID`, then a line every 100 ms, for `--ms`.
pub(crate) fn hold(options: &Options) -> Result<u8, Failure> {
    if options.flag("setsid") {
        // Fails only for a leader of a group, which a child just started is not.
        nix::unistd::setsid().map_err(|e| Failure::new(format!("setsid: {e}")))?;
    }
    if options.flag("fork") {
        start(options, &[])?;
        return Ok(0);
    }
    if options.flag("ignore-term") {
        life::hold_signals_off()?;
    }
    pipes::stdout(format!("held {}\n", std::process::id()).as_bytes());
    let end = Instant::now() + options.millis("ms", 3_600_000)?;
    let mut number = 0;
    while Instant::now() < end {
        // A word now and then, for as long as it lives.
        sleep(Duration::from_millis(100));
        number += 1;
        pipes::stdout(format!("late {number:06}\n").as_bytes());
    }
    Ok(0)
}

fn start(options: &Options, more: &[&str]) -> Result<std::process::Child, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::new(format!("own program: {e}")))?;
    let mut command = Command::new(program);
    command.arg(HOLD).stdin(Stdio::null()).args(more);
    command.env_remove("FAKE_PROVIDER");
    for key in ["setsid", "ignore-term"] {
        if options.flag(key) {
            command.arg(format!("--{key}"));
        }
    }
    if let Some(ms) = options.text("ms") {
        command.args(["--ms", ms]);
    }
    command
        .spawn()
        .map_err(|e| Failure::new(format!("start {HOLD}: {e}")))
}
