//! One subscriber's stream: catch up from a cursor, then follow.
//!
//! The logs are the buffer. A [`Follower`] holds positions in them and reads when it is asked for
//! more, so a subscriber that never reads costs its descriptors and nothing else, and one that
//! reads holds one batch. Replay, catching up and live are one loop: read from where we are; at
//! the end wait for a hint, or for the safety poll behind it (5 s for our own logs, which are
//! hinted in this process, and less often the longer they are silent; 1 s for the older tool's; none
//! while no log is open).
//!
//! A stream of a task, a project or everything takes invocations up in the order of their ids:
//! ended ones one after the other, each to its end before the next; running ones beside them, at
//! most [`MAX_OPEN`] at a time, as a cursor can list no more. Further ones wait for a place, and
//! lose nothing by it. The lines of one invocation are always in order. What is queued is passed over, and
//! given once it begins: however many wait, what runs is seen.
//!
//! A stream of what is there now ends when that was given. What still runs then keeps its place, so that the
//! last cursor speaks of it: who goes on from there is given the rest. Where that is more than a cursor
//! can list, the stream ends before the first that has no place.
//!
//! A stream may begin with what runs instead of what ended long ago. One look at the rows decides
//! which those are; each of them is given from its first line to its last, also if it ends before
//! its log is opened, and what starts after the look comes as ever. [`Follower::beginning`] is the
//! cursor of that look. Where more run than a cursor can list, it speaks of the first
//! [`MAX_OPEN`]: who resumes before the others had a place is also given what ended between them.
//!
//! What cannot be given is told by an event of type `gap`. Streams end with the follower; all its
//! waits are cancel-safe.

mod cursors;
mod error;
mod event;
mod forgotten;
mod gap;
mod look;
mod open;
mod past;
mod places;
mod queued;
mod roster;
mod row;
mod source;
mod stream;
mod tail;
mod trust;
mod waits;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop;
use tokio::time::Instant;

pub use error::FollowError;
pub use event::{Event, Piece};
pub use open::Begin;

use crate::domain::InvocationId;
use crate::domain::cursor::{MAX_OPEN, Reach, Scope};
use crate::watch::{Hints, Pace};
use event::{End, Pending};
use roster::{Roster, within};
use stream::Stream;
use tail::{Extent, Tail, Told};
use waits::Alarm;

/// Bytes read at once, unless one line has more: what a subscriber that does not read holds, and
/// about what one HTTP/2 window takes.
const READ: usize = 64 * 1024;

/// Bytes sent at once, cursors counted in, unless one line has more. Wide cursors can be many
/// times as long as the lines.
const BATCH: usize = 256 * 1024;

/// Our own logs are hinted by their writer, and by the kernel when another file has their name; this
/// finds what somebody else wrote to them.
const OWN_POLL: Duration = Duration::from_secs(5);

/// The same of logs that have been silent for long.
const SILENT_POLL: Duration = Duration::from_secs(60);

/// The older tool's logs may not be watchable, or be on a file server that tells of nothing. Only
/// whether they have grown is looked at so often, on the spot; the rest as of our own.
const FOREIGN_POLL: Duration = Duration::from_secs(1);

/// What to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// One invocation, to its terminal line.
    Invocation {
        /// Path of the project.
        project: PathBuf,
        /// Its id there.
        id: InvocationId,
    },
    /// All invocations of a task, those to come included.
    Task {
        /// Path of the project.
        project: PathBuf,
        /// The task's id.
        task: String,
    },
    /// All invocations of a project.
    Project {
        /// Its path.
        project: PathBuf,
    },
    /// All invocations of all projects.
    All,
}

/// One subscriber's stream; dropping it frees everything.
pub struct Follower {
    hints: Hints,
    form: Form,
    streams: Vec<Stream>,
    extent: Extent,
    pending: Option<Pending>,
    // Who had the last turn among the open logs, as (stream, log); the next one behind it has the next.
    turn: Option<(usize, InvocationId)>,
    polled: Instant,
    pace: Pace,
    alarm: Alarm,
    // When everything was looked at as if every hint had been lost.
    distrusted: Instant,
    // The streams are those of the projects there are.
    is_matched: bool,
    is_done: bool,
}

/// Of what the cursors are.
enum Form {
    Invocation,
    Scope,
    All(Roster),
}

/// What a follower gives where pieces are as good as events.
#[derive(Debug)]
pub enum Portion {
    /// Lines that need no more than their cursors.
    Piece(Piece),
    /// What is told one by one: gaps, and lines that are looked at first.
    Events(Vec<Event>),
}

enum More {
    Lines,
    Gap(Event),
    End,
}

enum Advance {
    Lines,
    Gap(Event),
    Nothing,
}

// === impl Follower ===

impl Follower {
    /// The next events, in at most 256 KiB with their cursors (or one longer line); `None` at the
    /// end. Waits where more is to come. Cancel-safe: what was not returned comes again.
    pub async fn next(&mut self) -> Result<Option<Vec<Event>>, FollowError> {
        loop {
            if let Some(events) = self.drain() {
                return Ok(Some(events));
            }
            match self.more().await? {
                More::Lines => {}
                More::Gap(event) => return Ok(Some(vec![event])),
                More::End => return Ok(None),
            }
        }
    }

    /// As [`Follower::next`], in pieces of at most 64 KiB (or one longer line) where one invocation is
    /// followed.
    pub async fn next_portion(&mut self) -> Result<Option<Portion>, FollowError> {
        loop {
            if let Some(portion) = self.drain_portion() {
                return Ok(Some(portion));
            }
            match self.more().await? {
                More::Lines => {}
                More::Gap(event) => return Ok(Some(Portion::Events(vec![event]))),
                More::End => return Ok(None),
            }
        }
    }

    // Waits until there are lines to hand on, or a gap to tell of, or nothing more.
    async fn more(&mut self) -> Result<More, FollowError> {
        loop {
            if self.is_done {
                return Ok(More::End);
            }
            match self.advance().await? {
                Advance::Lines => return Ok(More::Lines),
                Advance::Gap(event) => return Ok(More::Gap(event)),
                Advance::Nothing if self.is_done => {}
                Advance::Nothing if matches!(self.extent, Extent::Whole) => self.wait().await,
                Advance::Nothing => self.is_done = true,
            }
        }
    }

    // Reads the log whose turn it is, or takes up the next invocation.
    async fn advance(&mut self) -> Result<Advance, FollowError> {
        self.notice().await?;
        loop {
            if let Some(event) = self.other_database() {
                return Ok(Advance::Gap(event));
            }
            let is_behind = |it: &(usize, InvocationId)| self.turn.is_none_or(|turn| *it > turn);
            let Some((at, id)) = self.fresh().find(is_behind) else {
                self.turn = None;
                let are_none = self.fresh().next().is_none();
                let is_taken_up =
                    self.streams.iter().any(Stream::has_more) && Box::pin(self.take_up()).await?;
                if !is_taken_up && are_none {
                    return Ok(Advance::Nothing);
                }
                continue;
            };
            self.turn = Some((at, id));
            let Some(tail) = self.streams[at].tail(id) else {
                continue;
            };
            let told = match within(self.form.limit(), tail.step(READ)).await {
                Ok(told) => told,
                Err(error) => {
                    self.let_go(at, error)?;
                    continue;
                }
            };
            match told {
                Told::Lines(batch) => {
                    self.pending = Some(Pending {
                        stream: at,
                        id,
                        batch,
                        position: tail.position(),
                        is_ours: tail.is_ours(),
                        is_held_to_ours: tail.is_held_to_ours(),
                    });
                    self.stirred();
                    return Ok(Advance::Lines);
                }
                Told::Gap(gap) => return Ok(Advance::Gap(self.gap_event(at, id, &gap))),
                Told::Idle => {}
                Told::Finished => {
                    self.end_tail(at, id);
                    if self.is_done {
                        return Ok(Advance::Nothing);
                    }
                }
            }
        }
    }

    // The logs that may have more.
    fn fresh(&self) -> impl Iterator<Item = (usize, InvocationId)> {
        let tails = self
            .streams
            .iter()
            .enumerate()
            .flat_map(|(at, stream)| stream.tails.iter().map(move |tail| (at, tail)));
        tails
            .filter(|(_, tail)| tail.is_fresh)
            .map(|(at, tail)| (at, tail.id()))
    }

    async fn take_up(&mut self) -> Result<bool, FollowError> {
        let limit = self.form.limit();
        for at in 0..self.streams.len() {
            let stream = &mut self.streams[at];
            let begun = within(limit, stream.begin_anew()).await;
            if self.is_taken_up(at, begun)? {
                return Ok(true);
            }
            let stream = &mut self.streams[at];
            let taken = within(limit, stream.take_up_missing(&self.hints, self.extent)).await;
            if self.is_taken_up(at, taken)? {
                return Ok(true);
            }
        }
        let mut tails = self.streams.iter().flat_map(|stream| &stream.tails);
        // Ended ones are replayed one after the other.
        if tails.any(Tail::is_replayed) {
            return Ok(false);
        }
        let taken = self.places_taken();
        if taken >= MAX_OPEN {
            return Ok(self.make_room());
        }
        let room = MAX_OPEN - taken;
        for at in 0..self.streams.len() {
            let stream = &mut self.streams[at];
            let taken = within(limit, stream.take_up(&self.hints, self.extent, room)).await;
            if self.is_taken_up(at, taken)? {
                return Ok(true);
            }
        }
        // Who has more then has no room for it.
        Ok(self.streams.iter().any(Stream::has_more) && self.make_room())
    }

    // Where a project was let go of the others are to be asked again, as if one had been taken up.
    fn is_taken_up(
        &mut self,
        at: usize,
        taken: Result<bool, FollowError>,
    ) -> Result<bool, FollowError> {
        match taken {
            Ok(is_taken_up) => Ok(is_taken_up),
            Err(error) => self.let_go(at, error).map(|()| true),
        }
    }

    fn places_taken(&self) -> usize {
        match &self.form {
            Form::All(roster) => places_taken(&self.streams, roster.absent()),
            Form::Invocation | Form::Scope => places_taken(&self.streams, &BTreeMap::new()),
        }
    }

    fn end_tail(&mut self, at: usize, id: InvocationId) {
        self.streams[at].drop_tail(id);
        self.is_done |= matches!(self.form, Form::Invocation);
    }

    async fn notice(&mut self) -> Result<(), FollowError> {
        for stream in &mut self.streams {
            stream.notice();
        }
        if let Form::All(roster) = &mut self.form
            && roster.take_word()
        {
            self.is_matched = false;
        }
        if !self.is_matched {
            Box::pin(self.match_projects()).await?;
            // Only now: whoever drops the wait must find the rest undone.
            self.is_matched = true;
        }
        Ok(())
    }

    async fn wait(&mut self) {
        let poll = self.poll();
        let is_hinted = poll_fn(|cx| {
            // Who is hinted without pause gives way to others now and then.
            let budget = ready!(coop::poll_proceed(cx));
            match (self.poll_hinted(cx), poll) {
                (Poll::Ready(()), _) => {
                    budget.made_progress();
                    Poll::Ready(true)
                }
                (Poll::Pending, Some(at)) => self.alarm.poll(at, cx).map(|()| false),
                (Poll::Pending, None) => {
                    self.alarm.clear();
                    Poll::Pending
                }
            }
        })
        .await;
        if is_hinted {
            self.stirred();
        } else {
            let now = Instant::now();
            self.polled = now;
            if self.is_at_rest() {
                self.pace.slow_down();
            }
            if now.duration_since(self.distrusted) < OWN_POLL {
                self.streams.iter_mut().for_each(Stream::look_again);
            } else {
                self.distrusted = now;
                self.streams.iter_mut().for_each(Stream::distrust);
            }
        }
    }

    // Something has happened: the next look comes so long after it as after any other.
    fn stirred(&mut self) {
        if self.pace.wait() > OWN_POLL {
            self.polled = Instant::now();
        }
        self.pace.reset();
    }

    // Ready while there is any hint, none of which it takes.
    fn poll_hinted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut streams = self.streams.iter_mut();
        let is_hinted = streams.any(|stream| stream.poll_hinted(cx).is_ready());
        match &mut self.form {
            _ if is_hinted => Poll::Ready(()),
            Form::All(roster) => roster.poll(cx),
            Form::Invocation | Form::Scope => Poll::Pending,
        }
    }

    fn is_at_rest(&self) -> bool {
        let mut tails = self.streams.iter().flat_map(|stream| &stream.tails);
        tails.all(Tail::is_at_rest)
    }

    // When to look without a hint.
    fn poll(&self) -> Option<Instant> {
        let judged = self.streams.iter().filter_map(|it| it.past.judged_at());
        self.poll_tails().into_iter().chain(judged).min()
    }

    fn poll_tails(&self) -> Option<Instant> {
        let tails = || self.streams.iter().flat_map(|stream| &stream.tails);
        tails().next()?;
        Some(if !tails().all(Tail::is_ours) {
            self.polled + FOREIGN_POLL
        } else if self.is_at_rest() {
            self.pace.due(self.polled)
        } else {
            self.polled + OWN_POLL
        })
    }

    // Hands the batch read last on as it is, where nothing has to be said of each line.
    fn drain_portion(&mut self) -> Option<Portion> {
        let pending = self.pending.as_ref()?;
        if pending.is_held_to_ours || !matches!(self.form, Form::Invocation) {
            return self.drain().map(Portion::Events);
        }
        let mut pending = self.pending.take()?;
        let template = self.template(pending.stream, pending.id);
        let (piece, end) = pending.take_piece(&template);
        if end == End::Terminal {
            self.end_tail(pending.stream, pending.id);
        }
        (!piece.lines.is_empty()).then_some(Portion::Piece(piece))
    }

    // Makes events of the batch read last, as many as fit; None if none is left.
    fn drain(&mut self) -> Option<Vec<Event>> {
        let mut pending = self.pending.take()?;
        let template = self.template(pending.stream, pending.id);
        let project = Arc::clone(self.streams[pending.stream].source.root());
        let is_wide = !matches!(self.form, Form::Invocation);
        // Only there does each event name its project.
        let names = matches!(self.form, Form::All(_)).then(|| project.as_os_str().len());
        let drained = pending.drain(&template, &project, is_wide, names.unwrap_or(0));
        match drained.end {
            End::Terminal => self.end_tail(pending.stream, pending.id),
            End::NotOurs(at) => {
                if let Some(tail) = self.streams[pending.stream].tail(pending.id) {
                    tail.reject(at);
                }
            }
            End::Enough if pending.batch.bytes.is_empty() => {}
            End::Enough => self.pending = Some(pending),
        }
        (!drained.events.is_empty()).then_some(drained.events)
    }
}

/// Of the [`MAX_OPEN`] that a cursor can list.
fn places_taken(streams: &[Stream], absent: &BTreeMap<Scope, Reach>) -> usize {
    let taken: usize = streams.iter().map(Stream::places).sum();
    let absent: usize = absent.values().map(Reach::places).sum();
    taken + absent
}

#[cfg(test)]
mod tests;
