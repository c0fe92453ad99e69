//! Ending a provider: ask, wait, kill. The ladder is climbed once; who asks again can only make it
//! shorter.

use rustix::process::{Pid, Signal, kill_process_group};
use steroids_provider::activity::Level;
use steroids_shim::exit::Reason;
use steroids_shim::spool::Control;

use super::keeper::Keeper;
use super::limits;

/// Between the first two rounds of killing; later ones are further apart.
pub(super) const KILL_AGAIN_MS: u64 = 50;

/// Between two rounds at most: what the kernel does not let go of is not worth more.
const LONGEST_PAUSE_MS: u64 = 1000;

/// How far the invocation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// As it should be.
    Running,
    /// The provider was asked to end.
    Stopping {
        /// The end of its grace.
        kill_at: u64,
    },
    /// It is being killed.
    Killing {
        /// The next round.
        again_at: u64,
        /// Between that one and the one after it.
        pause: u64,
    },
    /// It has ended; its pipes may hold more, or be held open.
    Draining {
        /// When it ended.
        since: u64,
        /// When they are closed in any case.
        until: u64,
    },
    /// All that is left is the exit record.
    Ending,
}

impl Keeper {
    /// Ends a provider that has reached a limit, and tells when the next one would be.
    pub(super) fn hold_limits(&mut self, now: u64) -> Option<u64> {
        let mut due = limits::next(&self.limits, self.pulse.vitals(), self.course)?;
        if due.at <= now {
            // A shim that was itself held up must not take that for its provider's silence.
            self.take_output(0, 1);
            self.take_output(1, 1);
            due = limits::next(&self.limits, self.pulse.vitals(), self.course)?;
        }
        if due.at > now {
            return Some(due.at);
        }
        self.record(&Control::Notice {
            level: Level::Warn,
            msg: limits::notice(due),
        });
        self.stop(due.reason, self.limits.grace_ms, now);
        Some(now)
    }

    /// Begins the ladder, or shortens the grace of one that has begun.
    pub(super) fn stop(&mut self, reason: Reason, grace_ms: u64, now: u64) {
        let kill_at = now.saturating_add(grace_ms);
        match self.phase {
            Phase::Running => {
                self.note_stop(reason);
                self.signal_group(self.gentle);
                // One that is stopped would not hear of it.
                self.signal_group(nix::libc::SIGCONT);
                self.phase = Phase::Stopping { kill_at };
            }
            Phase::Stopping { kill_at: earlier } => {
                self.phase = Phase::Stopping {
                    kill_at: kill_at.min(earlier),
                };
            }
            Phase::Killing { .. } | Phase::Draining { .. } | Phase::Ending => {}
        }
    }

    fn note_stop(&mut self, reason: Reason) {
        if self.reason.is_none() {
            self.reason = Some(reason);
            self.record(&Control::Stop { by: reason });
        }
    }

    /// One round of killing the whole tree, the provider included; its end is news by itself.
    pub(super) fn kill(&mut self, now: u64, pause: u64) -> Option<u64> {
        self.signal_group(nix::libc::SIGKILL);
        self.tree().kill_once(&[]);
        let again_at = now + pause;
        self.phase = Phase::Killing {
            again_at,
            pause: (pause * 2).min(LONGEST_PAUSE_MS),
        };
        Some(again_at)
    }

    fn signal_group(&self, signal: i32) {
        // The provider leads this group and is not reaped before the end, so the number is its own.
        if let (Some(group), Some(signal)) =
            (Pid::from_raw(self.pid), Signal::from_named_raw(signal))
        {
            let _ = kill_process_group(group, signal);
        }
    }

    pub(super) fn kill_on_request(&mut self, now: u64) {
        match self.phase {
            Phase::Running | Phase::Stopping { .. } => {
                self.note_stop(Reason::Stop);
                self.kill(now, KILL_AGAIN_MS);
            }
            Phase::Draining { .. } => self.phase = Phase::Draining { since: 0, until: 0 },
            Phase::Killing { .. } | Phase::Ending => {}
        }
    }
}
