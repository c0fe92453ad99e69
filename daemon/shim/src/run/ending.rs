//! The end of an invocation: what the provider left in its pipes, what it left running, and the
//! record of it all.

use steroids_provider::activity::Level;
use steroids_shim::exit::{End, ExitRecord};
use steroids_shim::protocol::Message;
use steroids_shim::spec::PROTOCOL;
use steroids_shim::spool::Control;
use steroids_shim::tree::{self, Process, Tree};

use super::clock::{Moment, mono_ms};
use super::keeper::{Keeper, READ};
use super::phase::Event;
use crate::sys::Ended;

/// Pipes that somebody else holds open are closed after so long without a byte.
const DRAIN_QUIET_MS: u64 = 2000;

/// What the provider's own children get to notice that it has ended before they count as left
/// over: servers that end with their client do it now.
const SETTLE_MS: u64 = 200;

/// Between two looks whether they have.
const LOOK_MS: u64 = 20;

/// What is still read of a pipe when its writers have been killed: all that fits into one.
pub(super) const LAST_READS: usize = 1024 * 1024 / READ;

/// Left-over processes that are named; the rest is counted. A line has room for these.
const NAMED: usize = 10;

impl Keeper {
    pub(super) fn provider_ended(&mut self, ended: Ended) {
        let now = Moment::now();
        self.ended = Some((ended, now));
        (self.phase, _) = self.phase.next(Event::Ended, now.mono_ms);
        self.connections.push(&Message::Ending {
            what: "draining".to_owned(),
        });
    }

    pub(super) fn tree(&self) -> Tree<'_> {
        Tree {
            uuid: &self.uuid,
            below: Some(std::process::id() as i32),
            session: self.session,
            cgroup: self.group.as_ref().map(|group| group.path()),
        }
    }

    /// Waits for the pipes' end, within bounds, then ends everything. Tells when to look again.
    pub(super) fn drain(&mut self, now: u64, since: u64, until: u64) -> Option<u64> {
        if self.paused && until != 0 {
            // A full disk costs no output: what is in the pipes is read when there is room.
            let later = now + DRAIN_QUIET_MS;
            (self.phase, _) = self.phase.next(Event::Full { until: later }, now);
            return Some(until.max(later));
        }
        let quiet = self.course.last_output.max(since) + DRAIN_QUIET_MS;
        let at_end = self.pipes.iter().all(Option::is_none);
        if !at_end && now < quiet.min(until) {
            return Some(quiet.min(until));
        }
        let leftovers = if self.leave_background {
            self.tree().alive()
        } else if now >= since + SETTLE_MS {
            let killed = self.tree().kill_all();
            self.tell_of_left(killed.left);
            killed.found
        } else if self.is_alone() {
            Vec::new()
        } else {
            return Some(now + LOOK_MS);
        };
        self.end(&leftovers);
        None
    }

    /// Whether nothing is left of the tree. A look at it may miss somebody, but not its end.
    fn is_alone(&mut self) -> bool {
        if !self.tree().alive().is_empty() {
            return false;
        }
        // The provider is reaped with all others, and its number may be somebody else's then.
        self.session = None;
        !tree::reap_children()
    }

    fn tell_of_left(&mut self, left: u32) {
        if left > 0 {
            self.record(&Control::Notice {
                level: Level::Warn,
                msg: format!("still there, though killed again and again: {left}"),
            });
        }
    }

    /// Hands in the exit record, after the provider has been cleared up after.
    fn end(&mut self, leftovers: &[Process]) {
        for index in 0..self.pipes.len() {
            self.take_output(index, LAST_READS);
            self.pipes[index] = None;
        }
        self.session = None;
        tree::reap_children();
        if !leftovers.is_empty() {
            self.record(&Control::Notice {
                level: Level::Info,
                msg: left_over(leftovers, self.leave_background),
            });
        }
        self.tell_over_memory();
        let killed = match self.leave_background {
            true => 0,
            false => leftovers.len() as u32,
        };
        if let Some(record) = self.exit_record(killed) {
            (self.phase, _) = self.phase.next(Event::Recorded, mono_ms());
            self.connections.push(&Message::Ending {
                what: "recording".to_owned(),
            });
            self.queue.finish(record);
        }
    }

    fn exit_record(&self, leftovers: u32) -> Option<ExitRecord> {
        let (ended, at) = self.ended?;
        Some(ExitRecord {
            proto: PROTOCOL,
            end: End::Ran {
                code: ended.code,
                signal: ended.signal,
                ended_by: self.reason,
                duration_ms: at.mono_ms.saturating_sub(self.course.started),
                leftovers,
            },
            ended_ms: at.wall_ms,
            spool_length: self.spool_end,
            rusage: self.rusage(),
        })
    }
}

/// Who was left over, in words.
fn left_over(processes: &[Process], stay: bool) -> String {
    let named = processes.iter().take(NAMED);
    let mut names: Vec<String> = named
        .map(|process| format!("{} (pid {})", process.name, process.pid))
        .collect();
    let unnamed = processes.len() - names.len();
    if unnamed > 0 {
        names.push(format!("{unnamed} more"));
    }
    let names = names.join(", ");
    match stay {
        true => format!("still running, as was asked for: {names}"),
        false => format!("still running after the end, and ended now: {names}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processes(count: i32) -> Vec<Process> {
        let process = |pid| Process {
            pid,
            start_ticks: 1,
            name: "node".to_owned(),
        };
        (1..=count).map(process).collect()
    }

    #[test]
    fn those_left_over_are_named_and_many_of_them_counted() {
        assert_eq!(
            left_over(&processes(2), false),
            "still running after the end, and ended now: node (pid 1), node (pid 2)"
        );
        let words = left_over(&processes(200), true);
        assert!(words.ends_with("node (pid 10), 190 more"), "{words}");
        assert!(words.starts_with("still running, as was asked for: node (pid 1)"));
    }
}
