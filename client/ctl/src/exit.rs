//! The exit codes, all of them. Scripts rely on these numbers; none ever changes its meaning.

use std::process::ExitCode;

use signal_hook::consts::{SIGHUP, SIGTERM};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// What was asked for was done.
    Ok = 0,
    /// The invocation ended and did not succeed (`start --follow`, `stream --exit-status`, `wait`).
    InvocationFailed = 1,
    /// The command line, or a value in it, makes no sense.
    Usage = 2,
    /// No such project, task or invocation.
    NotFound = 3,
    /// The daemon refuses: a precondition, or a database that is corrupt or newer.
    Refused = 4,
    /// The daemon cannot be reached (EX_UNAVAILABLE).
    Unreachable = 69,
    /// Not now; the same command may succeed later (EX_TEMPFAIL).
    TryAgain = 75,
    /// A setting is wrong (EX_CONFIG).
    Configuration = 78,
    /// A limit ended the invocation, or the daemon did not answer in time (as `timeout` does).
    TimedOut = 124,
    /// The invocation was stopped, or Ctrl-C left this program (as shells do).
    Stopped = 130,
    /// SIGTERM ended this program; it dies of that, which shells show so.
    Terminated = 143,
    /// SIGHUP did, in the same way.
    HungUp = 129,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// Of several things that were done one after the other: the code of the first that went wrong.
    pub(crate) fn or(self, later: Exit) -> Exit {
        if self == Exit::Ok { later } else { self }
    }

    /// The signal that has ended this program, which it is to die of.
    pub(crate) fn signal(self) -> Option<i32> {
        match self {
            Exit::Terminated => Some(SIGTERM),
            Exit::HungUp => Some(SIGHUP),
            _ => None,
        }
    }

    /// Of an invocation that ended with this outcome.
    pub(crate) fn of_outcome(outcome: &str) -> Exit {
        match outcome {
            "success" => Exit::Ok,
            "timeout_wall" | "timeout_silence" => Exit::TimedOut,
            "cancelled" => Exit::Stopped,
            _ => Exit::InvocationFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_the_documented_codes() {
        assert_eq!(Exit::of_outcome("success") as u8, 0);
        assert_eq!(Exit::of_outcome("rate_limited") as u8, 1);
        assert_eq!(Exit::of_outcome("timeout_silence") as u8, 124);
        assert_eq!(Exit::of_outcome("cancelled") as u8, 130);
        assert_eq!(Exit::of_outcome("a word of next year") as u8, 1);
    }
}
