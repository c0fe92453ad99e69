//! The main loop: one wait for everything, then whatever is ready.
//! `phase` says what follows from what, `ladder` and `ending` do it.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use steroids_provider::activity::{Stamp, Stream};
use steroids_provider::env::gentle_signal;
use steroids_provider::input;
use steroids_provider::kind::Kind;
use steroids_shim::exit::Reason;
use steroids_shim::lock::Lock;
use steroids_shim::protocol::Message;
use steroids_shim::spec::Limits;
use steroids_shim::spool::{Control, PAYLOAD_OFFSET, append_control, append_output};

use super::Prepared;
use super::cgroup::Group;
use super::clock::{Moment, mono_ms};
use super::connections::Connections;
use super::detach::Report;
use super::ending::LAST_READS;
use super::feed::Feed;
use super::life::Watch;
use super::limits::{Course, Warned};
use super::phase::{Event, Phase};
use super::provider::Provider;
use super::pulse::Pulse;
use super::queue::{LIMIT, Progress, Queue};
use crate::sys;

/// Bytes of one read: what makes the call cheap beside them, and no more, as a shim whose agent floods
/// it holds some of these.
pub(super) const READ: usize = 16 * 1024;

/// Reads of one pipe before others have their turn.
const READS_IN_A_ROW: usize = 4;

/// A writer that has written nothing for so long waits for the disk, and may do so for hours.
const STUCK_MS: u64 = 100;

/// Between two hints: a client that is told of each line of a burst only wakes in vain.
const HINT_EVERY_MS: u64 = 5;

/// What ends later than it should by so much was not this process's own doing, nor that of a busy
/// machine.
const STANDSTILL_MS: u64 = 2000;

/// One invocation, from the start of its provider to its exit record.
pub(super) struct Keeper {
    /// Dropped last of all that others can see: the socket is gone by then.
    _lock: Lock,
    /// For the launcher, until the provider's number is on record.
    report: Option<Report>,
    pub(super) uuid: String,
    pub(super) kind: Kind,
    /// Ids of the messages that were taken, with what tells one from another.
    pub(super) inputs: HashMap<String, u64>,
    pub(super) limits: Limits,
    pub(super) gentle: i32,
    pub(super) leave_background: bool,
    pub(super) pid: i32,
    /// Its session, until another one may have the number.
    pub(super) session: Option<i32>,
    pub(super) feed: Feed,
    /// Standard output and standard error, until they are at their end.
    pub(super) pipes: [Option<OwnedFd>; 2],
    pub(super) group: Option<Group>,
    signals: SignalFd,
    pub(super) connections: Connections,
    pub(super) queue: Arc<Queue>,
    pub(super) pulse: Pulse,
    pub(super) course: Course,
    pub(super) warned: Warned,
    pub(super) work: Watch,
    pub(super) phase: Phase,
    /// Why we ended it, where we did.
    pub(super) reason: Option<Reason>,
    /// The unit that this process is in, where that is its own.
    pub(super) unit: Option<String>,
    /// Of its memory, where that is bounded.
    pub(super) memory_max: Option<u64>,
    /// As much memory was seen to be in use at a time.
    pub(super) most_memory: u64,
    /// In words, until it is on record.
    pub(super) why: Option<String>,
    /// How it ended, once it has.
    pub(super) ended: Option<(sys::Ended, Moment)>,
    /// The spool's length once everything appended so far is written.
    pub(super) spool_end: u64,
    pub(super) progress: Progress,
    hinted: u64,
    hinted_at: u64,
    watched: bool,
    /// What is printed stays in the pipes for the moment.
    left: bool,
    /// What the writer had written when it was last seen to get on, and when that was.
    got_on: (u64, u64),
    pub(super) paused: bool,
    /// Since when, in epoch milliseconds.
    pub(super) paused_ms: Option<u64>,
    /// Why writing does not go on, and what that holds up, as last told.
    told: Option<Held>,
    scratch: Box<[u8]>,
}

/// What a disk that cannot be written holds up.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    why: String,
    is_paused: bool,
    is_ending: bool,
}

/// What is ready.
#[derive(Debug, Clone, Copy)]
enum Ready {
    Signals,
    News,
    Socket,
    Pipe(usize),
    Feed,
    Client(usize),
}

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

impl Keeper {
    pub(super) fn new(
        prepared: Prepared,
        provider: Provider,
        started: Moment,
        report: Report,
    ) -> Keeper {
        let spec = prepared.spec;
        Keeper {
            _lock: prepared.lock,
            report: Some(report),
            pulse: Pulse::of(&spec),
            gentle: gentle_signal(spec.kind),
            uuid: spec.uuid,
            kind: spec.kind,
            inputs: HashMap::new(),
            limits: spec.limits,
            leave_background: spec.leave_background,
            memory_max: spec.resources.memory_max,
            most_memory: 0,
            unit: prepared.state.unit,
            pid: provider.pid,
            session: Some(provider.pid),
            feed: Feed::new(
                provider.stdin,
                input::first(spec.kind, spec.interactive, spec.prompt),
                spec.interactive,
            ),
            pipes: [Some(provider.stdout), Some(provider.stderr)],
            group: prepared.group,
            signals: prepared.signals,
            connections: prepared.connections,
            queue: prepared.queue,
            course: Course::begun(started.mono_ms),
            warned: Warned::default(),
            work: Watch::default(),
            phase: Phase::Running,
            reason: None,
            why: None,
            ended: None,
            spool_end: 0,
            progress: Progress::default(),
            hinted: 0,
            hinted_at: 0,
            watched: false,
            left: false,
            got_on: (0, started.mono_ms),
            paused: false,
            paused_ms: None,
            told: None,
            scratch: vec![0; READ].into_boxed_slice(),
        }
    }

    /// Keeps the invocation until its exit record is written; false if it could not be.
    pub(super) fn run(mut self) -> bool {
        sys::give_back_memory();
        let mut looked = self.course.started;
        loop {
            let now = mono_ms();
            // Also what is done between two waits takes no time to speak of.
            self.forgive(Some(looked), now);
            let wake_at = self.tick(now);
            if let Some(written) = self.progress.done {
                // There is no later one that could say it.
                if self.progress.written > self.hinted {
                    self.connections.hint(self.progress.written);
                }
                if let Some(group) = &self.group {
                    group.remove();
                }
                self.connections.close();
                return written;
            }
            let ready = self.wait(now, wake_at);
            looked = mono_ms();
            self.forgive(wake_at, looked);
            for ready in ready {
                self.handle(ready);
            }
            self.connections.clean_up();
            self.watch();
            self.tell_trouble();
        }
    }

    /// A host, or everything on it, that stood still is no silence of the provider, none of its
    /// time, and none of its grace.
    fn forgive(&mut self, wake_at: Option<u64>, now: u64) {
        let late = wake_at.map_or(0, |at| now.saturating_sub(at));
        if late > STANDSTILL_MS {
            self.course.forgive(late, now);
            (self.phase, _) = self.phase.next(Event::StoodStill { late }, now);
        }
    }

    /// Tells whoever listens when writing stops or goes on, and what that holds up.
    fn tell_trouble(&mut self) {
        let held = self.trouble_in_words().map(|why| Held {
            why,
            is_paused: self.paused,
            is_ending: self.phase == Phase::Ending,
        });
        if held != self.told {
            self.told = held;
            let stat = self.stat(mono_ms());
            self.connections.push(&Message::Stat(stat));
        }
    }

    /// Has the writer ring at every write only while somebody wants to hear of it.
    fn watch(&mut self) {
        let watched = self.connections.is_watched();
        if watched != self.watched {
            self.watched = watched;
            self.queue.watch(watched);
            // What was written until now has not rung.
            self.take_news();
        }
    }

    /// Does what is due, and tells when something will be next.
    fn tick(&mut self, now: u64) -> Option<u64> {
        // With a margin for what one round of reading may add, the last one at most.
        let margin = 2 * LAST_READS.max(READS_IN_A_ROW) * (READ * 2);
        let full = self.queue.waiting() + margin > LIMIT;
        if self.paused || full {
            // Whoever is kept from printing is not silent.
            self.course.last_output = now;
        }
        if full != self.paused {
            self.paused = full;
            self.paused_ms = full.then(|| Moment::now().wall_ms);
        }
        let next = match self.phase {
            Phase::Running => self.hold_limits(now),
            Phase::Stopping { .. } | Phase::Killing { .. } => self.go_on(now),
            Phase::Draining { since, until } => self.drain(now, since, until),
            Phase::Ending => None,
        };
        let left = self.leave(now);
        [next, left, self.hint(now), self.connections.wake_at(now)]
            .into_iter()
            .flatten()
            .min()
    }

    /// While the writer is behind and gets on, leaves what a command prints in its pipes, and the shim
    /// stays small. A command waits there as it would at any other pipe; a CLI may lose its end to a
    /// reader that lags. Tells when to look again, where no writing ends sooner.
    fn leave(&mut self, now: u64) -> Option<u64> {
        // What is left when it has ended is all of a pipe, which would be read at once.
        let phase = matches!(self.phase, Phase::Running | Phase::Draining { .. });
        let may_wait = self.kind == Kind::Command && phase && !self.paused;
        let behind = may_wait.then(|| self.queue.behind()).flatten();
        let Some(written) = behind else {
            self.left = false;
            self.got_on = (0, now);
            return None;
        };
        if written != self.got_on.0 {
            self.got_on = (written, now);
        }
        let stuck_at = self.got_on.1 + STUCK_MS;
        self.left = now < stuck_at;
        if self.left {
            // It may have printed.
            self.course.last_output = now;
        }
        self.left.then_some(stuck_at)
    }

    fn hint(&mut self, now: u64) -> Option<u64> {
        if self.progress.written <= self.hinted || !self.connections.is_watched() {
            return None;
        }
        let due = self.hinted_at + HINT_EVERY_MS;
        if due > now {
            return Some(due);
        }
        self.hinted = self.progress.written;
        self.hinted_at = now;
        self.connections.hint(self.hinted);
        None
    }

    fn wait(&self, now: u64, wake_at: Option<u64>) -> Vec<Ready> {
        let mut names = vec![Ready::Signals, Ready::News];
        let mut wanted = vec![
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.queue.news(), PollFlags::IN),
        ];
        let mut want = |name, fd, flags| {
            names.push(name);
            wanted.push(PollFd::from_borrowed_fd(fd, flags));
        };
        if let Some(socket) = self.connections.socket(now) {
            want(Ready::Socket, socket, PollFlags::IN);
        }
        for (index, pipe) in self.pipes.iter().enumerate() {
            if let (Some(pipe), false) = (pipe, self.paused || self.left) {
                want(Ready::Pipe(index), pipe.as_fd(), PollFlags::IN);
            }
        }
        if let Some(pipe) = self.feed.pending() {
            want(Ready::Feed, pipe, PollFlags::OUT);
        }
        for (index, (socket, flags)) in self.connections.open().enumerate() {
            want(Ready::Client(index), socket, flags);
        }
        let timeout = wake_at.map(|at| {
            let ms = at.saturating_sub(now);
            Timespec {
                tv_sec: (ms / 1000).min(86_400) as i64,
                tv_nsec: (ms % 1000 * 1_000_000) as i64,
            }
        });
        match poll(&mut wanted, timeout.as_ref()) {
            Ok(_) => {}
            // Nothing is known to be ready; what is will be so the next time.
            Err(_) => return Vec::new(),
        }
        names
            .into_iter()
            .zip(&wanted)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(name, _)| name)
            .collect()
    }

    fn handle(&mut self, ready: Ready) {
        match ready {
            Ready::Signals => self.take_signals(),
            Ready::News => self.take_news(),
            Ready::Socket => self.connections.accept(mono_ms()),
            Ready::Pipe(index) => self.take_output(index, READS_IN_A_ROW),
            Ready::Feed => self.feed.go_on(),
            Ready::Client(index) => {
                for request in self.connections.serve(index) {
                    if let Some(answer) = self.obey(request) {
                        self.connections.answer(index, &answer);
                    }
                }
            }
        }
    }

    fn take_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGCHLD) => self.look_after_children(),
                Ok(Signal::SIGHUP) => self.connections.bind_again(),
                Ok(Signal::SIGUSR1 | Signal::SIGUSR2) => {}
                Ok(signal) => self.end_on_signal(signal, info.ssi_pid),
                Err(_) => {}
            }
        }
    }

    /// Sees whether the provider has ended, and reaps whatever else has.
    fn look_after_children(&mut self) {
        if self.ended.is_none() {
            if let Some(ended) = sys::ended_child(Some(self.pid)) {
                self.feed.close();
                self.provider_ended(ended);
            } else {
                while let Some(orphan) =
                    sys::ended_child(None).filter(|child| child.pid != self.pid)
                {
                    sys::reap(orphan.pid);
                }
            }
        }
    }

    pub(super) fn take_news(&mut self) {
        let before = self.trouble_in_words();
        self.progress = self.queue.progress();
        self.take_inputs();
        if self.progress.introduced
            && let Some(report) = self.report.take()
        {
            report.taken();
        }
        let after = self.trouble_in_words();
        if self.phase == Phase::Ending && after != before {
            let what = after.unwrap_or_else(|| "recording".to_owned());
            self.connections.push(&Message::Ending { what });
        }
    }

    pub(super) fn trouble_in_words(&self) -> Option<String> {
        let trouble = self.progress.trouble.as_ref()?;
        Some(match trouble.disk_full {
            true => "disk full".to_owned(),
            false => trouble.message.clone(),
        })
    }

    /// Reads from one pipe, so often at most; tells how many bytes that were.
    pub(super) fn take_output(&mut self, index: usize, reads: usize) {
        for _ in 0..reads {
            let Some(pipe) = &self.pipes[index] else {
                return;
            };
            let count = match read(pipe, &mut self.scratch[..]) {
                Ok(0) => {
                    self.pipes[index] = None;
                    return;
                }
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.pipes[index] = None;
                    return;
                }
            };
            self.keep(STREAMS[index], count);
            if count < READ {
                return;
            }
        }
    }

    /// Hands on what was read into the scratch buffer.
    fn keep(&mut self, stream: Stream, count: usize) {
        let Moment { wall_ms, mono_ms } = Moment::now();
        let bytes = &self.scratch[..count];
        let at = Stamp {
            wall_ms,
            mono_ms,
            raw: self.spool_end + PAYLOAD_OFFSET as u64,
        };
        self.pulse.feed(stream, at, bytes);
        self.course.last_output = mono_ms;
        let spool_end = &mut self.spool_end;
        self.queue.append(|records| {
            let before = records.len();
            append_output(records, wall_ms, mono_ms, stream, bytes);
            *spool_end += (records.len() - before) as u64;
        });
    }

    /// Puts on record what was done to the provider.
    pub(super) fn record(&mut self, control: &Control) {
        let Moment { wall_ms, mono_ms } = Moment::now();
        let spool_end = &mut self.spool_end;
        self.queue.append(|records| {
            let before = records.len();
            append_control(records, wall_ms, mono_ms, control);
            *spool_end += (records.len() - before) as u64;
        });
    }
}
