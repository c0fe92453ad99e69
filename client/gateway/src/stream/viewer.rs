//! One viewer of a task: from its cursor to the end of what is logged by reads of its own, then
//! with all others from the ring of the shared upstream. What it has was handed on in order, and
//! its cursor stands behind that, so that each change of the source begins exactly where the last
//! one ended.
//!
//! ```text
//!  Reading ──end of what is there──> In the ring ──end of the log──> next invocation, or the end
//!    ^  └─ daemon away: waits          │
//!    └────────── fell behind ──────────┘
//! ```

mod said;

use std::sync::Arc;

use steroids_client::Backoff;
use tokio::time::Instant;

use super::absent::Log;
use super::body::Outlet;
use super::frame::place;
use super::hub::{Joined, Upstream};
use super::read::{Batch, ReadError, Run};
use super::ring::Taken;
use super::target::{Found, Target, TargetError, read_from};
use super::{Streams, special};
use crate::metrics::StreamGuard;

/// One viewer. What it seldom does is awaited in a box: its task has room for all that may ever be
/// awaited in place, for as long as it waits for the next line.
pub(super) struct Viewer {
    streams: Streams,
    target: Target,
    outlet: Outlet,
    stream: Arc<StreamGuard>,
    backoff: Backoff,
    /// Since when it catches up; none once it has, or where it had to wait for something else.
    behind_since: Option<Instant>,
    /// What it was last told of the connection.
    told: Told,
}

/// Where a viewer begins.
#[derive(Debug)]
pub(super) enum Begin {
    /// With this invocation, and perhaps what was read of it already.
    At(Found, Option<Result<Batch, ReadError>>),
    /// Nothing of the task runs.
    Idle,
    /// The daemon could not be asked.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Live,
    Away,
    Gone,
    Back,
}

/// How the stream of one invocation came to its end.
enum End {
    /// All was given.
    Whole,
    /// There is no log.
    NoLog,
    /// It was said why.
    Refused,
}

// === impl Viewer ===

impl Viewer {
    pub(super) fn new(
        streams: Streams,
        target: Target,
        outlet: Outlet,
        stream: StreamGuard,
    ) -> Viewer {
        Viewer {
            streams,
            target,
            outlet,
            stream: Arc::new(stream),
            backoff: Backoff::new(),
            behind_since: Some(Instant::now()),
            told: Told::Nothing,
        }
    }

    /// Hands on all there is to see.
    pub(super) async fn run(mut self, begin: Begin) {
        let (found, mut first) = match begin {
            Begin::At(found, first) => (Some(found), first),
            Begin::Idle => (None, None),
            Begin::Unknown => match Box::pin(self.find()).await {
                Some(found) => (found, None),
                None => return,
            },
        };
        let Some(mut found) = (match found {
            Some(found) => Some(found),
            None => Box::pin(self.begin_later()).await,
        }) else {
            return;
        };
        let mut after = std::mem::take(&mut self.target.after);
        if self.target.is_placed {
            // Who is cut off before the first line comes back to this place, and not to the last lines of then.
            self.outlet.note(place(&after)).await;
        }
        if read_from(&after).is_empty() {
            after.clear();
        }
        loop {
            let id = found.key.id;
            let after = std::mem::take(&mut after);
            let end = self.watch(found, after, first.take()).await;
            if !self.target.is_following || matches!(end, End::Refused) {
                return;
            }
            match Box::pin(self.next(id)).await {
                Some(next) => found = next,
                None => return,
            }
        }
    }

    /// Says that nothing runs; the invocation that comes then, if the task is followed.
    async fn begin_later(&mut self) -> Option<Found> {
        self.behind_since = None;
        self.say(&special::no_active_invocation(&self.target.task))
            .await;
        if !self.target.is_following {
            return None;
        }
        let newest = loop {
            match self.target.newest(&self.streams.daemon).await {
                Ok(newest) => break newest,
                Err(error) => self.passes(error).await?,
            }
        };
        match newest {
            // It began meanwhile.
            Some(newest) if !newest.is_ended => Some(newest),
            newest => self.next(newest.map_or(0, |it| it.key.id)).await,
        }
    }

    /// Asks for the invocation to begin with until the daemon answers; `None` after a refusal.
    async fn find(&mut self) -> Option<Option<Found>> {
        loop {
            match self.streams.find(&mut self.target).await {
                Ok(found) => return Some(found),
                Err(error) => self.passes(error).await?,
            }
        }
    }

    /// Waits for the task's next invocation; `None` after a refusal.
    async fn next(&mut self, id: i64) -> Option<Found> {
        let project = self.target.project.clone();
        let mut news = self.streams.nexts.watch(&project, &self.target.task);
        loop {
            news.mark();
            match self.target.next(&self.streams.daemon, id).await {
                Ok(Some(found)) => return Some(found),
                Ok(None) => news.changed().await,
                Err(error) => self.passes(error).await?,
            }
        }
    }

    /// Waits where the daemon is away; else says what is wrong, and gives `None`.
    async fn passes(&mut self, error: TargetError) -> Option<()> {
        let task = &self.target.task;
        let said = match error {
            TargetError::Away => {
                self.wait_for_daemon().await;
                return Some(());
            }
            TargetError::Gone(status) => {
                self.wait_for_project(&status).await;
                return Some(());
            }
            TargetError::Refused(status) => special::refused(&status, &self.target.project),
            TargetError::NoInvocation(id) | TargetError::OtherTask(id) => {
                special::log_not_found(task, self.target.invocation.unwrap_or(id))
            }
            TargetError::Cursor(what) => special::impossible(what, &self.target.project),
        };
        self.say(&said).await;
        None
    }

    /// One invocation, from a cursor to its end.
    async fn watch(
        &mut self,
        found: Found,
        mut cursor: String,
        mut first: Option<Result<Batch, ReadError>>,
    ) -> End {
        let streams = self.streams.clone();
        let mut log = Log::new(&found, &cursor);
        // Holds the upstream between two turns.
        let mut fresh = None;
        // Of who has taken a whole part: what comes next, read while it takes what it has.
        let mut run: Option<Run> = None;
        loop {
            let mut joined = fresh.take().or_else(|| streams.hubs.peek(&found.key));
            if let Some(there) = &mut joined
                && there.is_at(&cursor)
            {
                // Of an earlier place by the time the ring is left.
                first = None;
                run = None;
                match self.in_ring(there, &found, &mut cursor, &mut log).await {
                    Some(end) => return end,
                    None => continue,
                }
            }
            let is_early = first.is_some() || run.is_some();
            let read = match (first.take(), &mut run) {
                (Some(read), _) => Some(read),
                (None, Some(run)) => run.next().await,
                (None, None) => Some(Box::pin(streams.reads.read(found.part(&cursor))).await),
            };
            let Some(read) = read else {
                run = Some(streams.reads.run(found.part(&cursor)));
                continue;
            };
            let at_end = match read {
                Ok(batch) => {
                    let is_more = !batch.at_end;
                    let at_end = self.give(batch, &found, &mut cursor, &mut log).await;
                    run = match is_more {
                        true => run.or_else(|| Some(streams.reads.run(found.part(&cursor)))),
                        false => None,
                    };
                    at_end
                }
                Err(error) => {
                    run = None;
                    match Box::pin(self.read_failed(error, &found, &mut cursor)).await {
                        Some(end) => return end,
                        None => continue,
                    }
                }
            };
            match (at_end, joined) {
                (AtEnd::No, _) => {}
                (AtEnd::OfLog, _) => {
                    self.has_replayed();
                    return End::Whole;
                }
                // What was read before the upstream was there may lack what that began behind.
                (AtEnd::OfWhatIsThere, Some(mut joined)) => {
                    if !is_early && !joined.is_at(&cursor) {
                        joined.changed().await;
                    }
                }
                // The place in it is found at the next turn.
                (AtEnd::OfWhatIsThere, None) => {
                    fresh = Some(streams.hubs.join(&found.key, &cursor))
                }
            }
        }
    }

    /// Hands on what was read.
    async fn give(
        &mut self,
        batch: Batch,
        found: &Found,
        cursor: &mut String,
        log: &mut Log,
    ) -> AtEnd {
        self.came_back().await;
        self.backoff.reset();
        batch.cursor.clone_into(cursor);
        // Each is let go of as it is taken: a client that trickles holds no more than it has to.
        for segment in batch.segments {
            log.came();
            let count = segment.len() as u64;
            self.outlet.frames(segment.bytes, count).await;
        }
        if batch.terminal && found.is_managed || batch.at_end && found.is_ended {
            AtEnd::OfLog
        } else if batch.at_end {
            AtEnd::OfWhatIsThere
        } else {
            AtEnd::No
        }
    }

    async fn read_failed(
        &mut self,
        error: ReadError,
        found: &Found,
        cursor: &mut String,
    ) -> Option<End> {
        match error {
            ReadError::Away => {
                self.wait_for_daemon().await;
                None
            }
            ReadError::Gone(status) => {
                self.wait_for_project(&status).await;
                None
            }
            ReadError::Cursor(_) if !cursor.is_empty() => {
                self.lost(found, cursor).await;
                None
            }
            ReadError::Cursor(status) | ReadError::Refused(status) => {
                self.say(&special::refused(&status, &found.key.project))
                    .await;
                Some(End::Refused)
            }
        }
    }

    /// With the others, until the end; `None` where it has to read for itself again.
    async fn in_ring(
        &mut self,
        joined: &mut Joined,
        found: &Found,
        cursor: &mut String,
        log: &mut Log,
    ) -> Option<End> {
        joined.tell_lag(&self.stream);
        loop {
            // Before the ring: what it says then holds for all that was in there.
            let upstream = joined.look();
            match joined.take(cursor)? {
                Taken::Frames(frames) => {
                    log.came();
                    self.came_back().await;
                    match self.told {
                        Told::Live => self.outlet.fresh(frames).await,
                        _ => self.outlet.frames(frames.bytes, frames.count).await,
                    }
                    continue;
                }
                Taken::Nothing | Taken::Behind => {}
            }
            match upstream {
                // The end comes, and nothing is said behind the last line.
                Upstream::Live if found.is_managed && joined.is_over() => {}
                Upstream::Live => self.caught_up().await,
                Upstream::CatchingUp => {}
                Upstream::Away => self.went_away().await,
                Upstream::Gone(status) => self.project_went(&status).await,
                Upstream::Ended => {
                    self.has_replayed();
                    return Some(End::Whole);
                }
                Upstream::Lost => {
                    self.lost(found, cursor).await;
                    return None;
                }
                Upstream::Refused(status) => {
                    self.say(&special::refused(&status, &found.key.project))
                        .await;
                    return Some(End::Refused);
                }
            }
            if self.wait(joined, found, log).await {
                return Some(End::NoLog);
            }
        }
    }

    /// Waits for news; true if no log came in time.
    async fn wait(&mut self, joined: &mut Joined, found: &Found, log: &mut Log) -> bool {
        if matches!(self.told, Told::Away | Told::Gone) {
            joined.changed().await;
            log.wait_anew();
            return false;
        }
        if log.is_settled() {
            joined.changed().await;
            return false;
        }
        let until = match log.until() {
            Some(until) => until,
            None if Box::pin(self.streams.has_log(found)).await => {
                log.came();
                return false;
            }
            None => {
                let waiting = special::waiting_for_log(&self.target.task, found.key.id);
                self.say(&waiting).await;
                log.wait()
            }
        };
        tokio::select! {
            biased;
            () = joined.changed() => return false,
            () = tokio::time::sleep_until(until) => {}
        }
        if Box::pin(self.streams.has_log(found)).await {
            // There, and nothing whole in it yet.
            log.came();
            return false;
        }
        self.say(&special::log_not_found(&self.target.task, found.key.id))
            .await;
        true
    }

    async fn lost(&mut self, found: &Found, cursor: &mut String) {
        let gap = special::lost_place(found.key.id, cursor);
        cursor.clear();
        self.say(&gap).await;
    }
}

/// How far a read came.
enum AtEnd {
    No,
    OfWhatIsThere,
    OfLog,
}
