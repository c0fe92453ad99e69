//! Names of Linux signals, as the terminal line and messages spell them.

use std::borrow::Cow;

/// Signals 1 to 31, in order.
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// `SIGTERM` for 15; `SIG40` where there is no name.
pub(crate) fn name(signal: i32) -> Cow<'static, str> {
    usize::try_from(signal)
        .ok()
        .and_then(|number| number.checked_sub(1))
        .and_then(|index| NAMES.get(index))
        .map_or_else(
            || Cow::Owned(format!("SIG{signal}")),
            |name| Cow::Borrowed(*name),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_signals_have_their_names_and_others_their_numbers() {
        assert_eq!(name(1), "SIGHUP");
        assert_eq!(name(9), "SIGKILL");
        assert_eq!(name(15), "SIGTERM");
        assert_eq!(name(31), "SIGSYS");
        assert_eq!(name(34), "SIG34");
        assert_eq!(name(0), "SIG0");
        assert_eq!(name(i32::MIN), format!("SIG{}", i32::MIN));
    }
}
