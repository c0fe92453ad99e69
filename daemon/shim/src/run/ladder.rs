//! Ending a provider: ask, wait, kill. The ladder is climbed once; who asks again can only make it
//! shorter.

use rustix::process::{Pid, Signal, kill_process_group};
use steroids_provider::activity::Level;
use steroids_shim::exit::Reason;
use steroids_shim::spool::Control;

use super::keeper::Keeper;
use super::limits;
use super::phase::{Deed, Event};

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
        self.climb(Event::Stop { kill_at }, reason, now);
    }

    pub(super) fn kill_on_request(&mut self, now: u64) {
        self.climb(Event::Kill, Reason::Stop, now);
    }

    /// Goes on where it is time to, and tells when it will be again.
    pub(super) fn go_on(&mut self, now: u64) -> Option<u64> {
        // A grace that is over has had its reason before.
        self.climb(Event::Time, Reason::Stop, now);
        self.phase.due()
    }

    fn climb(&mut self, event: Event, reason: Reason, now: u64) {
        let deed;
        (self.phase, deed) = self.phase.next(event, now);
        match deed {
            Deed::Nothing => {}
            Deed::Ask => {
                self.note_stop(reason);
                self.signal_group(self.gentle);
                // One that is stopped would not hear of it.
                self.signal_group(nix::libc::SIGCONT);
            }
            // The whole tree, the provider included; its end is news by itself.
            Deed::Kill => {
                self.note_stop(reason);
                self.signal_group(nix::libc::SIGKILL);
                self.tree().kill_once(&[]);
            }
        }
    }

    fn note_stop(&mut self, reason: Reason) {
        if self.reason.is_none() {
            self.reason = Some(reason);
            self.record(&Control::Stop { by: reason });
        }
    }

    fn signal_group(&self, signal: i32) {
        // The provider leads this group and is not reaped before the end, so the number is its own.
        if let (Some(group), Some(signal)) =
            (Pid::from_raw(self.pid), Signal::from_named_raw(signal))
        {
            let _ = kill_process_group(group, signal);
        }
    }
}
