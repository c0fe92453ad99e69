//! Ways to end, and ways not to.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread::{park, sleep};

use nix::sys::signal::{SigSet, Signal, raise};

use crate::options::{Failure, Options, parse};
use crate::pipes;

pub(crate) fn exit(options: &Options) -> Result<u8, Failure> {
    if let Some(line) = options.text("line") {
        pipes::stdout(format!("{line}\n").as_bytes());
    }
    parse("exit", options.word("an exit code")?)
}

pub(crate) fn signal(options: &Options) -> Result<u8, Failure> {
    let number: i32 = parse("signal", options.word("a signal number")?)?;
    end_by(number)
}

/// Ends the process by a signal.
pub(crate) fn end_by(number: i32) -> Result<u8, Failure> {
    let signal =
        Signal::try_from(number).map_err(|e| Failure::new(format!("signal {number}: {e}")))?;
    // Twice: the runtime's handler for SIGSEGV and SIGBUS only restores the default at the first.
    for _ in 0..2 {
        raise(signal).map_err(|e| Failure::new(format!("raise {signal}: {e}")))?;
    }
    Err(Failure::new(format!("{signal} does not end a process")))
}

pub(crate) fn stall() -> Result<u8, Failure> {
    pipes::stdout(b"ready\n");
    forever()
}

/// Held off rather than ignored: the effect is the same, and an ignored signal would be inherited.
pub(crate) fn ignore_term(options: &Options) -> Result<u8, Failure> {
    hold_signals_off()?;
    let line = options.text("line").unwrap_or("ready");
    pipes::stdout(format!("{line}\n").as_bytes());
    forever()
}

pub(crate) fn stop_self() -> Result<u8, Failure> {
    pipes::stdout(b"ready\n");
    raise(Signal::SIGSTOP).map_err(|e| Failure::new(format!("raise SIGSTOP: {e}")))?;
    pipes::stdout(b"continued\n");
    forever()
}

pub(crate) fn close_output(options: &Options) -> Result<u8, Failure> {
    let pause = options.millis("ms", 1_000)?;
    pipes::stdout(b"closing\n");
    close_pipes()?;
    // How long it runs on without them is what is asked for.
    sleep(pause);
    options.number("exit", 0)
}

/// Puts /dev/null in the place of both pipes, which closes their last descriptors here.
fn close_pipes() -> Result<(), Failure> {
    let null = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .map_err(|e| Failure::new(format!("/dev/null: {e}")))?;
    rustix::stdio::dup2_stdout(&null)
        .and_then(|()| rustix::stdio::dup2_stderr(&null))
        .map_err(|e| Failure::new(format!("dup2: {e}")))
}

pub(crate) fn hold_signals_off() -> Result<(), Failure> {
    SigSet::all()
        .thread_block()
        .map_err(|e| Failure::new(format!("signal mask: {e}")))
}

/// Becomes another program, which inherits a mask with every signal in it.
pub(crate) fn hold_off() -> Result<u8, Failure> {
    let mut words = std::env::args_os().skip(2);
    let program = words
        .next()
        .ok_or_else(|| Failure::new("hold-off needs a program"))?;
    hold_signals_off()?;
    let error = Command::new(&program).args(words).exec();
    Err(Failure::new(format!("{}: {error}", program.display())))
}

pub(crate) fn forever() -> ! {
    loop {
        park();
    }
}
