//! Holding the limits, and ending a provider: warn, ask, wait, kill. The ladder is climbed once; who asks again can only make it
//! shorter.

use rustix::process::{Pid, Signal, kill_process_group};
use steroids_provider::activity::Level;
use steroids_shim::exit::Reason;
use steroids_shim::spool::{Control, Limited};
use steroids_shim::tree::Tree;

use super::clock::{Moment, mono_ms};
use super::keeper::Keeper;
use super::limits::{self, Due, Step};
use super::phase::{Deed, Event};
use super::said;

/// What a host that shuts down leaves the provider; the service manager waits 20 s in all.
pub(super) const SHUTDOWN_GRACE_MS: u64 = 8000;

impl Keeper {
    /// Warns of a limit that is near, ends a provider that has reached one, and tells when to look
    /// again.
    pub(super) fn hold_limits(&mut self, now: u64) -> Option<u64> {
        let mut step = self.step(now)?;
        if !matches!(step, Step::Wait(_)) {
            // A shim that was itself held up must not take that for its provider's silence.
            self.take_output(0, 1);
            self.take_output(1, 1);
            step = self.step(now)?;
        }
        match step {
            Step::Wait(at) => return Some(at),
            Step::Near(due) => self.near(&due, now),
            Step::Over(due) => self.over(&due, now),
        }
        // To look at a great many processes takes its time, which is no standstill.
        Some(mono_ms())
    }

    fn step(&self, now: u64) -> Option<Step> {
        let vitals = self.pulse.vitals();
        let listens = self.feed.is_open();
        limits::step(&self.limits, vitals, listens, self.course, self.warned, now)
    }

    fn near(&mut self, due: &Due, now: u64) {
        if self.find_work(due, now).is_some() {
            self.course.last_work = now;
            return;
        }
        self.warned.note(due, now);
        let Some(limit) = due.name else {
            return;
        };
        let wait = self.pulse.waits_for();
        self.record(&Control::Limit {
            limit,
            ends_ms: Some(Moment::now().wall_ms + due.at.saturating_sub(now).max(due.fifth())),
            msg: said::near(due, &self.course, &wait, now),
        });
    }

    fn over(&mut self, due: &Due, now: u64) {
        if let Some(work) = self.find_work(due, now) {
            if let (true, Some(limit)) = (self.warned.has(due), due.name) {
                self.record(&Control::Limit {
                    limit,
                    ends_ms: None,
                    msg: said::goes_on(&self.course, &work, now),
                });
            }
            self.course.last_work = now;
            return;
        }
        if due.reason == Reason::PostResult && self.feed.is_open() {
            // It waits for more, as it was asked to; without that it ends by itself.
            let why = said::no_message(due);
            self.close_input(&why);
            self.course.tidy_until = now.saturating_add(self.limits.grace_ms);
            return;
        }
        self.record(&Control::Notice {
            level: Level::Warn,
            msg: said::over(due, &self.course),
        });
        self.stop(due.reason, self.limits.grace_ms, now);
    }

    /// What its processes did since they were last looked at, where that keeps it from being silent.
    fn find_work(&mut self, due: &Due, now: u64) -> Option<String> {
        if !matches!(due.name, Some(Limited::Silence | Limited::ToolSilence)) {
            return None;
        }
        let tree = Tree {
            uuid: &self.uuid,
            below: Some(std::process::id() as i32),
            session: self.session,
            cgroup: self.group.as_ref().map(|group| group.path()),
        };
        self.work.look(&tree, self.limits.life, &self.course, now)
    }

    /// Begins the ladder, or shortens the grace of one that has begun.
    pub(super) fn stop(&mut self, reason: Reason, grace_ms: u64, now: u64) {
        let kill_at = now.saturating_add(grace_ms);
        self.climb(Event::Stop { kill_at }, reason, now);
    }

    /// Ends it as something that ends this process wants: the service manager, mostly.
    pub(super) fn end_on_signal(&mut self, signal: nix::sys::signal::Signal, sender: u32) {
        self.why = Some(said::told_to_end(signal.as_str(), sender));
        self.stop(Reason::Shutdown, SHUTDOWN_GRACE_MS, mono_ms());
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
                self.tree().kill_once();
            }
        }
    }

    fn note_stop(&mut self, reason: Reason) {
        if self.reason.is_none() {
            self.reason = Some(reason);
            let why = self.why.take();
            self.record(&Control::Stop { by: reason, why });
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
