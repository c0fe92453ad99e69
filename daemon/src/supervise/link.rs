//! The line to a shim's socket. It carries wishes and hints, never data: without it everything is
//! still seen, only a little later, and stopping waits until it is back.
//!
//! A shim that does not answer is *mute*: it was stopped, or the host stands still. Its connection is
//! kept, as what was asked is answered once it goes on; it may be asked again at any time. If it was stopped
//! and is to end, it is told to go on ([`Stopped`]). One that cannot be reached, as its socket is gone, is mute as
//! well, and has it made anew ([`Door`]).

use std::path::PathBuf;
use std::time::Duration;

use steroids_shim::paths::InvDir;
use steroids_shim::protocol::{self, Message, Request, Stat};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::door::{ANSWER, Door};
use super::meter::Meter;
use super::stopped::Stopped;
use super::troubles::Why;
use super::vitals::{Held, Place};
use parting::Heard;
pub(super) use parting::Parting;

mod parting;

/// As often as one is asked that prints without pause.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Between attempts to reach a shim.
const RECONNECT: Duration = Duration::from_secs(2);

/// The connection to one shim, made when needed.
pub(super) struct ShimLink {
    door: Door,
    state: State,
    mute: bool,
    /// Whether that is as its process was stopped.
    stopped: Stopped,
    /// What it said last that a person should know.
    said: Said,
    /// Whether its hints are wanted.
    is_heeded: bool,
    /// Since when an answer is waited for.
    asked: Option<Instant>,
    /// When it was asked last.
    asked_at: Instant,
    meter: Meter,
    /// The last stop asked for, for every connection anew: a shim takes a second one as the first.
    wanted: Option<Request>,
    /// Whether it is still to be sent to the shim.
    owed: bool,
    /// What this connection has told of the shim's end,
    heard: Heard,
    /// and the one before it, which the shim has closed. Whether it is gone by now is asked each time: a process that is
    /// killed closes its files before it ends.
    before: Heard,
    /// Bytes of a message whose end has not come; kept here so that `next` may be cancelled.
    partial: Vec<u8>,
}

/// What a shim says of itself that a person should know.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// In words, for who looks at the invocation.
    alarm: Option<String>,
    /// Why it cannot write.
    trouble: Option<String>,
    /// Why nothing comes.
    held: Option<Held>,
}

pub(super) const ENDING: &str = "ending";

/// What each shim does at its end: nothing that is wrong with it.
const USUAL: [&str; 2] = ["draining", "recording"];

impl Said {
    fn hear(&mut self, message: &Message) {
        match message {
            Message::Stat(stat) => *self = Said::of(stat),
            Message::Ending { what } => {
                let is_usual = USUAL.contains(&&**what);
                self.alarm = (!is_usual).then(|| format!("ending: {what}"));
                // Since when is asked for at the next occasion.
                self.held.get_or_insert(Held {
                    why: ENDING,
                    since_ms: None,
                });
            }
            Message::Error { error } => self.alarm = Some(error.clone()),
            Message::Hello { .. } | Message::Stopping | Message::Killed => {}
            Message::Spool { .. } | Message::Input { .. } => {}
        }
    }

    fn of(stat: &Stat) -> Said {
        let alarm = match (&*stat.phase, &stat.trouble) {
            (phase, _) if phase.starts_with("ending: ") => Some(phase.to_owned()),
            (_, Some(trouble)) if stat.paused => Some(format!(
                "{trouble}: its agent is paused until its output can be kept"
            )),
            (_, Some(trouble)) => Some(format!("{trouble}: its output waits in memory")),
            (_, None) => None,
        };
        let why = match &*stat.phase {
            phase if phase == "draining" || phase.starts_with(ENDING) => Some(ENDING),
            _ => stat.paused.then_some("output_blocked"),
        };
        let since_ms = stat.since_ms.and_then(|since| i64::try_from(since).ok());
        Said {
            alarm,
            trouble: stat.trouble.clone(),
            held: why.map(|why| Held { why, since_ms }),
        }
    }
}

enum State {
    Unconnected,
    Connected {
        reader: BufReader<OwnedReadHalf>,
        writer: OwnedWriteHalf,
    },
    /// Not reachable just now; tried again at that moment, however often `next` is cancelled.
    Waiting {
        until: Instant,
    },
}

impl State {
    fn waiting() -> Self {
        State::Waiting {
            until: Instant::now() + RECONNECT,
        }
    }
}

impl ShimLink {
    pub(super) fn new(socket: PathBuf, dir: InvDir) -> Self {
        ShimLink {
            door: Door::new(socket, dir.clone()),
            state: State::Unconnected,
            mute: false,
            stopped: Stopped::new(dir),
            said: Said::default(),
            is_heeded: false,
            asked: None,
            asked_at: Instant::now(),
            meter: Meter::default(),
            wanted: None,
            owed: false,
            heard: Heard::default(),
            before: Heard::default(),
            partial: Vec::new(),
        }
    }

    /// What a person should know of it.
    pub(super) fn alarm(&self) -> Option<String> {
        const MUTE: &str =
            "its shim does not answer; the agent may go on, but cannot be stopped gently";
        match (self.mute, self.door.absent(), self.stopped.pid()) {
            (true, Some(why), _) => Some(format!(
                "its shim's socket is gone: {why}; the agent goes on, but cannot be stopped until it is back"
            )),
            (true, None, Some(pid)) => Some(format!(
                "its shim does not answer, as process {pid} was stopped, and keeps no limit: `kill -CONT {pid}` \
                 has it go on, as does a stop"
            )),
            (true, None, None) => Some(MUTE.to_owned()),
            (false, ..) => self.said.alarm.clone(),
        }
    }

    /// Why nothing comes, as far as it has said.
    pub(super) fn held(&self) -> Option<Held> {
        self.said.held
    }

    /// Where it runs, and what it uses there, as far as it has said.
    pub(super) fn place(&self) -> Place {
        self.meter.place.clone()
    }

    /// Asks for its hints, or for none: the kernel tells of the spool sooner, where it does, and each
    /// of them wakes both ends.
    pub(super) async fn heed(&mut self, hints: bool) {
        let is_news = std::mem::replace(&mut self.is_heeded, hints) != hints;
        let State::Connected { writer, .. } = &mut self.state else {
            return;
        };
        if !is_news {
            return;
        }
        let line = protocol::encode(&Request::Hello { hints });
        match timeout(ANSWER, writer.write_all(line.as_bytes())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => self.lose(),
        }
    }

    /// Why it cannot write what it keeps, as far as it has said.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.said.trouble.as_deref()
    }

    /// True if it could not be reached, or has not answered in time; until it says something.
    pub(super) fn is_mute(&self) -> bool {
        self.mute
    }

    /// Why it is mute, if it is.
    pub(super) fn silence(&self) -> Option<Why<'_>> {
        let why = match (self.door.absent(), self.stopped.pid()) {
            (Some(why), _) => Why::Absent(why),
            (None, Some(pid)) => Why::Stopped(pid),
            (None, None) => Why::Mute,
        };
        self.mute.then_some(why)
    }

    /// Looks whether one that owes an answer was stopped; if it is to end, has it go on. Within seconds.
    pub(super) async fn rouse(&mut self) {
        let is_late = |asked: Instant| asked.elapsed() >= ANSWER;
        if !self.asked.is_some_and(is_late) {
            return;
        }
        match self.wanted {
            Some(_) => self.stopped.end().await,
            None => self.stopped.look().await,
        }
    }

    /// The next message; `None` when the connection was lost, or an answer did not come. Safe to
    /// cancel.
    pub(super) async fn next(&mut self) -> Option<Message> {
        loop {
            match &mut self.state {
                State::Unconnected => {
                    if !self.reach().await {
                        return None;
                    }
                    self.pay().await;
                }
                State::Waiting { until } => {
                    sleep_until(*until).await;
                    self.state = State::Unconnected;
                }
                State::Connected { reader, .. } => {
                    // `read_until` keeps what it has read in `partial` when it is cancelled.
                    let reading = reader.read_until(b'\n', &mut self.partial);
                    let read = match self.asked.filter(|_| !self.mute) {
                        Some(asked) => match timeout_at(asked + ANSWER, reading).await {
                            Ok(read) => read,
                            Err(_) => {
                                self.mute = true;
                                return None;
                            }
                        },
                        None => reading.await,
                    };
                    match read {
                        Ok(n) if n > 0 && self.partial.ends_with(b"\n") => {
                            let line = std::mem::take(&mut self.partial);
                            self.asked = None;
                            self.stopped.forget();
                            let was_mute = std::mem::take(&mut self.mute);
                            match protocol::decode(&String::from_utf8_lossy(&line)) {
                                // One that it began to say before it was asked for none, or that a
                                // release before ours says; who was told of a silence is told of its
                                // end.
                                Ok(Message::Spool { .. }) if !self.is_heeded && !was_mute => {}
                                Ok(message) => {
                                    self.heard.hear(&message);
                                    self.said.hear(&message);
                                    self.meter.read(&message, Instant::now());
                                    return Some(message);
                                }
                                Err(error) => {
                                    tracing::debug!(%error, "shim message not understood")
                                }
                            }
                        }
                        Ok(_) | Err(_) => {
                            self.lose();
                            return None;
                        }
                    }
                }
            }
        }
    }

    /// Asks how it is where it is time to: of one that prints without pause, nothing else would.
    pub(super) async fn ask_in_turn(&mut self) {
        if self.asked_at.elapsed() >= ASK_EVERY {
            self.ask().await;
        }
    }

    /// Asks how it is, unless it owes an answer. The answer is a message, or that it is mute.
    pub(super) async fn ask(&mut self) {
        if self.asked.is_some() {
            return;
        }
        let line = protocol::encode(&Request::Stat);
        let State::Connected { writer, .. } = &mut self.state else {
            return;
        };
        match timeout(ANSWER, writer.write_all(line.as_bytes())).await {
            Ok(Ok(())) => {
                self.asked_at = Instant::now();
                self.asked = Some(self.asked_at);
            }
            Ok(Err(_)) | Err(_) => self.lose(),
        }
    }

    /// Passes a stop on, now or as soon as the shim can be reached. Not to be cancelled: a provider
    /// that prints without pause would otherwise never let it through.
    pub(super) async fn stop(
        &mut self,
        grace: Option<Duration>,
        why: Option<&str>,
        shutdown: bool,
    ) {
        self.wanted = Some(Request::Stop {
            grace_ms: grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)),
            why: why.map(str::to_owned),
            shutdown,
        });
        self.owed = true;
        self.stopped.look_again();
        if !matches!(self.state, State::Connected { .. }) {
            // Nobody there: it stays owed.
            let _ = self.reach().await;
        }
        self.pay().await;
        self.rouse().await;
    }

    /// Waits until it is time to [`catch_up`](ShimLink::catch_up); for ever where nothing is owed. Safe to
    /// cancel.
    pub(super) async fn is_due(&self) {
        match &self.state {
            _ if !self.owed => std::future::pending().await,
            State::Waiting { until } => sleep_until(*until).await,
            State::Unconnected | State::Connected { .. } => {}
        }
    }

    /// Tries once more to pass on what could not be, when it is time to; otherwise does nothing.
    /// Not to be cancelled either, for the same reason.
    pub(super) async fn catch_up(&mut self) {
        self.rouse().await;
        if !self.owed {
            return;
        }
        match &self.state {
            State::Waiting { until } if *until > Instant::now() => return,
            State::Waiting { .. } | State::Unconnected => {
                let _ = self.reach().await;
            }
            State::Connected { .. } => {}
        }
        self.pay().await;
    }

    /// Connects and says hello; false if nobody is there. Whether somebody answers, shows later.
    async fn reach(&mut self) -> bool {
        match self.connect().await {
            Some(connected) => {
                self.state = connected;
                self.asked_at = Instant::now();
                self.asked = Some(self.asked_at);
                true
            }
            None => {
                self.state = State::waiting();
                self.mute = true;
                false
            }
        }
    }

    /// How its shim has gone, as far as it has.
    pub(super) fn parting(&mut self) -> Parting {
        if self.hear_out() {
            self.lose();
        }
        match self.state {
            State::Connected { .. } => Parting::Connected,
            State::Unconnected | State::Waiting { .. } => self.before.parting(),
        }
    }

    /// Hears what a shim that has hung up has said before; false if it has not.
    fn hear_out(&mut self) -> bool {
        let State::Connected { reader, .. } = &self.state else {
            return false;
        };
        self.heard.hear_out(reader, &self.partial)
    }

    fn lose(&mut self) {
        if self.hear_out() {
            self.before = std::mem::take(&mut self.heard);
        }
        self.heard = Heard::default();
        self.partial.clear();
        self.said = Said::default();
        self.asked = None;
        self.stopped.forget();
        self.state = State::waiting();
        // It may have gone unheard.
        self.owed = self.wanted.is_some();
    }

    async fn pay(&mut self) {
        let (Some(request), true) = (&self.wanted, self.owed) else {
            return;
        };
        let line = protocol::encode(request);
        let State::Connected { writer, .. } = &mut self.state else {
            return;
        };
        match timeout(ANSWER, writer.write_all(line.as_bytes())).await {
            Ok(Ok(())) => {
                self.owed = false;
                // It is answered at once.
                self.asked.get_or_insert_with(Instant::now);
            }
            Ok(Err(_)) | Err(_) => self.lose(),
        }
    }

    async fn connect(&mut self) -> Option<State> {
        let stream = self.door.connect().await?;
        self.heard = Heard::of(&stream);
        self.before = Heard::default();
        let (reader, mut writer) = stream.into_split();
        // It pushes what changes; how it is now, it must be asked.
        let hints = self.is_heeded;
        let hello = [Request::Hello { hints }, Request::Stat];
        let hello = hello.map(|request| protocol::encode(&request));
        let hello = hello.concat();
        timeout(ANSWER, writer.write_all(hello.as_bytes()))
            .await
            .ok()?
            .ok()?;
        let reader = BufReader::with_capacity(4096, reader);
        Some(State::Connected { reader, writer })
    }
}

#[cfg(test)]
mod tests;
