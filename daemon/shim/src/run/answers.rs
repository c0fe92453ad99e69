//! What the shim answers over its socket.

use steroids_shim::exit::Reason;
use steroids_shim::protocol::{Message, Request, Stat};
use steroids_shim::spec::PROTOCOL;

use super::clock::mono_ms;
use super::keeper::Keeper;
use super::ladder::SHUTDOWN_GRACE_MS;
use super::phase::Phase;

/// Bytes of a reason that are kept: it becomes a line's `error`.
const LONGEST_WHY: usize = 512;

impl Keeper {
    /// The answer, unless it comes later.
    pub(super) fn obey(&mut self, request: Request) -> Option<Message> {
        let now = mono_ms();
        Some(match request {
            Request::Hello { hints: _ } => Message::Hello {
                proto: PROTOCOL,
                uuid: self.uuid.clone(),
                shim_pid: std::process::id() as i32,
                agent_pid: Some(self.pid),
            },
            Request::Stop {
                grace_ms,
                why,
                shutdown,
            } => {
                // Of the first reason alone a record is made.
                self.why = why.map(|mut why| {
                    why.truncate(why.floor_char_boundary(LONGEST_WHY));
                    why
                });
                let grace = grace_ms.unwrap_or(self.limits.grace_ms);
                let (reason, grace) = match shutdown {
                    true => (Reason::Shutdown, grace.min(SHUTDOWN_GRACE_MS)),
                    false => (Reason::Stop, grace),
                };
                self.stop(reason, grace, now);
                Message::Stopping
            }
            Request::Kill => {
                self.kill_on_request(now);
                Message::Killed
            }
            Request::Stat => {
                self.take_news();
                let load = self.load();
                Message::Stat(Stat {
                    load,
                    ..self.stat(now)
                })
            }
            Request::Input { id } => return self.announce_input(id),
        })
    }

    pub(super) fn stat(&self, now: u64) -> Stat {
        let trouble = self.trouble_in_words();
        let phase = match self.phase {
            Phase::Running => "running",
            Phase::Stopping { .. } => "stopping",
            Phase::Killing { .. } => "killing",
            Phase::Draining { .. } => "draining",
            Phase::Ending => "ending",
        };
        let phase = match (&trouble, self.phase) {
            (Some(trouble), Phase::Ending) => format!("{phase}: {trouble}"),
            _ => phase.to_owned(),
        };
        Stat {
            phase,
            spool: self.progress.written,
            waiting: self.queue.waiting() as u64,
            paused: self.paused,
            trouble,
            quiet_ms: now.saturating_sub(self.course.last_output),
            since_ms: self.ended.map(|(_, at)| at.wall_ms).or(self.paused_ms),
            unit: self.unit.clone(),
            load: None,
        }
    }
}
